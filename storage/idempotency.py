"""Idempotency keys: a command that is sent twice has its effect once, and is answered twice alike.

The record is written before the effect, in the same transaction. Of two callers with one key the second waits for the
first's commit and then finds its answer, or, after a roll-back, does the work itself. What was refused by an exception
has left no record, and may be tried again with its key.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Awaitable, Callable, Hashable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any, TypeVar, cast

from pydantic import TypeAdapter
from sqlalchemy import delete
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from privacy import EncryptedText, KeyedHash, blind_index
from storage.engine import insert
from storage.tables import Base

Answer = TypeVar("Answer")

KEPT = timedelta(days=30)
"""How long a key is known: longer than any channel or program repeats what it has sent."""


class IdempotencyConflict(Exception):
    """The key belongs to another request, or to one whose answer is not known any more."""


class IdempotencyRecord(Base):
    """Written in the transaction of the effect: a key that is here has had its effect, any other has had none."""

    __tablename__ = "idempotency_record"

    key_index: Mapped[str] = mapped_column(KeyedHash(), primary_key=True)  # keyed hash of the caller and its key
    command: Mapped[str]
    request_hash: Mapped[str] = mapped_column(KeyedHash())
    # JSON, as it was given the first time; none inside the transaction that writes the effect
    answer: Mapped[str | None] = mapped_column(EncryptedText("idempotency_record.answer"))
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime] = mapped_column(index=True)


@dataclass(frozen=True, slots=True)
class Command:
    """``name`` is asked for by ``caller``, to whom the key belongs: two callers may use the same one.

    ``request`` are the arguments: JSON, dataclasses, enums and times. One that is None or at its default does not
    count, so a command that gets a new argument still knows the keys of before.
    """

    caller: str
    key: str
    name: str
    request: Mapping[str, Any]


async def once(
    session: AsyncSession,
    command: Command,
    answer: type[Answer],
    now: datetime,
    do: Callable[[], Awaitable[Answer]],
) -> Answer:
    """What ``do`` gives, or what it gave when the command was sent before; ``answer`` is its type.

    In the transaction of ``session``, which must write. Raises IdempotencyConflict if the caller used the key for
    another command or other arguments, ValueError for an empty key, and what ``do`` raises.
    """
    if not command.key:
        raise ValueError("an idempotency key is needed")
    key_index = _hash(json.dumps([command.caller, command.key]), "idempotency_record.key")
    request_hash = _hash(_canonical(command.request), "idempotency_record.request")
    new = {
        "key_index": key_index,
        "command": command.name,
        "request_hash": request_hash,
        "created_at": now,
        "expires_at": now + KEPT,
    }
    record = IdempotencyRecord
    made = insert(session, record).values(new).on_conflict_do_nothing().returning(record.key_index)
    if await session.scalar(made) is None:
        known = await session.get_one(record, key_index, populate_existing=True)
        if known.expires_at > now:
            if (known.command, known.request_hash) != (command.name, request_hash):
                raise IdempotencyConflict("this key belongs to another request")
            if known.answer is None:
                raise IdempotencyConflict("this key's request was answered by an earlier release")
            first: Answer = _adapter(cast(Hashable, answer)).validate_json(known.answer)
            return first
        await session.execute(delete(record).where(record.key_index == key_index))
        await session.execute(insert(session, record).values(new))
    given = await do()
    row = await session.get_one(record, key_index)
    row.answer = _adapter(cast(Hashable, answer)).dump_json(given).decode()
    return given


async def forget_expired(session: AsyncSession, now: datetime) -> None:
    """Keys that are so old that nobody repeats them."""
    await session.execute(delete(IdempotencyRecord).where(IdempotencyRecord.expires_at <= now))


@lru_cache(maxsize=128)
def _adapter(kind: Hashable) -> TypeAdapter[Any]:
    return TypeAdapter(kind)


def _canonical(request: Mapping[str, Any]) -> str:
    told = _adapter(dict[str, Any]).dump_python(dict(request), mode="json", exclude_defaults=True, exclude_none=True)
    return json.dumps(told, sort_keys=True, ensure_ascii=False)


def _hash(value: str, purpose: str) -> str:
    # keyed, because a request holds a sender and a customer's words; hashed first, because a blind index forgives case
    return blind_index(hashlib.sha256(value.encode()).hexdigest(), purpose)
