"""What came in, kept for a day, so that a message that is sent again gets its first answer and never a second turn.

Two small writes a turn: the message before the bot sees it, the sealed answer afterwards. The table tells a reader of
the database neither who wrote nor what: sender and text are keyed hashes.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import (
    Column,
    ColumnElement,
    DateTime,
    LargeBinary,
    MetaData,
    String,
    Table,
    delete,
    insert,
    select,
    update,
)
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine

from connectors.messages import InboundMessage, Reply
from mall_adapter.database import WRITES
from privacy.cipher import seal, unseal
from privacy.keyring import current_ring

KEPT = timedelta(days=1)

metadata = MetaData()

inbound_message = Table(
    "inbound_message",
    metadata,
    Column("sender", String(64), primary_key=True),  # keyed hash
    Column("message_id", String(64), primary_key=True),
    Column("text", String(64), nullable=False),  # keyed hash
    Column("received_at", DateTime(timezone=True), nullable=False, index=True),
    Column("reply", LargeBinary),  # sealed; NULL while there is no answer
)


class MessageIdReused(Exception):
    """This sender has sent another text under the same message id."""


@dataclass(frozen=True, slots=True)
class Known:
    """A message that has been received before; ``reply`` is None when its first sending was never answered."""

    reply: Reply | None


class Inbox:
    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._writes = engine.execution_options(**WRITES)

    async def receive(self, message: InboundMessage) -> Known | None:
        """Write the message down; None when it is new. Raises MessageIdReused."""
        key, text = _keyed("sender", message.sender), _keyed("text", message.text)
        row = {"sender": key, "message_id": message.message_id, "text": text, "received_at": datetime.now(UTC)}
        try:
            async with self._writes.begin() as connection:
                await connection.execute(insert(inbound_message).values(row))
        except IntegrityError:
            pass
        else:
            return None
        async with self._engine.connect() as connection:
            query = select(inbound_message.c.text, inbound_message.c.reply).where(*_is(message))
            known = (await connection.execute(query)).one()
        if known.text != text:
            raise MessageIdReused
        if known.reply is None:
            return Known(None)
        return Known(Reply.model_validate_json(unseal(current_ring(), known.reply, _place(message))))

    async def answer(self, message: InboundMessage, reply: Reply) -> None:
        """Keep the bot's answer for whoever sends this message again."""
        sealed = seal(current_ring(), reply.model_dump_json(exclude_unset=True).encode(), _place(message))
        async with self._writes.begin() as connection:
            await connection.execute(update(inbound_message).where(*_is(message)).values(reply=sealed))

    async def purge(self) -> int:
        """Forget what is older than KEPT; returns how many messages that were."""
        async with self._writes.begin() as connection:
            old = inbound_message.c.received_at < datetime.now(UTC) - KEPT
            return (await connection.execute(delete(inbound_message).where(old))).rowcount


def _is(message: InboundMessage) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    columns = inbound_message.c
    return columns.sender == _keyed("sender", message.sender), columns.message_id == message.message_id


def _place(message: InboundMessage) -> bytes:
    """An answer opens only in the row for which it was sealed."""
    return f"inbound_message.reply:{_keyed('sender', message.sender)}:{message.message_id}".encode()


def _keyed(column: str, value: str) -> str:
    return hmac.new(current_ring().derive(f"inbound_message.{column}"), value.encode(), hashlib.sha256).hexdigest()
