"""Idempotency keys: a command that is sent twice has its effect once, and is answered twice alike.

The record is written before the effect, in the same transaction. Of two callers with one key the second waits for the
first's commit and then finds its answer, or, after a roll-back, does the work itself. What was refused by an exception
has left no record, and may be tried again with its key.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, is_dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import Any, Generic, TypeVar, cast

from pydantic import ValidationError
from sqlalchemy import Table, bindparam, delete, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from privacy.columns import EncryptedText, KeyedHash, exact_index
from storage.adapters import adapter
from storage.engine import insert_on
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

    ``request`` are the arguments: JSON, dataclasses, enums and times. One that is None, or a field that is at its
    default, does not count, so a command that gets a new one still knows the keys of before.
    """

    caller: str
    key: str
    name: str
    request: Mapping[str, Any]

    def __post_init__(self) -> None:
        if not self.key:
            raise ValueError("an idempotency key is needed")

    @property
    def key_index(self) -> str:
        return exact_index(json.dumps([self.caller, self.key]), "idempotency_record.key")

    @property
    def request_hash(self) -> str:
        told = json.dumps(_told(self.request), sort_keys=True, ensure_ascii=False)
        return exact_index(told, "idempotency_record.request")


@dataclass(frozen=True, slots=True)
class Known(Generic[Answer]):
    """What a command was answered when it came before."""

    answer: Answer


async def once(
    session: AsyncSession,
    command: Command,
    answer: type[Answer],
    now: datetime,
    do: Callable[[], Awaitable[Answer]],
) -> Answer:
    """What ``do`` gives, or what it gave when the command was sent before; ``answer`` is its type.

    In the transaction of ``session``, which must write. Raises IdempotencyConflict if the caller used the key for
    another command or other arguments, and what ``do`` raises.
    """
    key_index = command.key_index
    new = {
        "key_index": key_index,
        "command": command.name,
        "request_hash": command.request_hash,
        "answer": None,
        "created_at": now,
        "expires_at": now + KEPT,
    }
    if await session.scalar(_write_down(session.get_bind().dialect.name), new) is None:
        known = await recall(session, command, answer, now)
        if known is None:  # its transaction was rolled back, or it was forgotten in between
            raise IdempotencyConflict("this key is in use")
        return known.answer
    given = await do()
    told = adapter(answer).dump_json(given).decode()
    await session.execute(_ANSWER, {"of_key": key_index, "answer": told})
    return given


_RECORDS = cast(Table, IdempotencyRecord.__table__)
_ANSWER = update(_RECORDS).where(_RECORDS.c.key_index == bindparam("of_key"))


@cache
def _write_down(dialect: str) -> Any:
    """Gives the key back, or nothing where it is known; one that has expired is as good as none."""
    made = insert_on(dialect, _RECORDS)
    new = {column.name: made.excluded[column.name] for column in _RECORDS.c if not column.primary_key}
    over = _RECORDS.c.expires_at <= made.excluded.created_at
    made = made.on_conflict_do_update(index_elements=["key_index"], set_=new, where=over)
    return made.returning(_RECORDS.c.key_index)


async def recall(session: AsyncSession, command: Command, answer: type[Answer], now: datetime) -> Known[Answer] | None:
    """What the command was answered before; None if it is new. Writes nothing. Raises IdempotencyConflict as ``once``
    does."""
    record = IdempotencyRecord
    query = select(record.command, record.request_hash, record.answer)
    query = query.where(record.key_index == command.key_index, record.expires_at > now)
    known = (await session.execute(query)).one_or_none()
    if known is None:
        return None
    if (known.command, known.request_hash) != (command.name, command.request_hash):
        raise IdempotencyConflict("this key belongs to another request")
    try:
        return Known(adapter(answer).validate_json(known.answer or ""))
    except ValidationError:
        raise IdempotencyConflict("this key's request was answered by another release") from None


async def forget_expired(session: AsyncSession, now: datetime, limit: int = 1000) -> bool:
    """Forgets some of the keys that are so old that nobody repeats them; whether there may be more."""
    record = IdempotencyRecord
    old = select(record.key_index).where(record.expires_at <= now).limit(limit)
    gone = await session.scalars(delete(record).where(record.key_index.in_(old)).returning(record.key_index))
    return len(gone.all()) == limit


def _told(value: Any) -> Any:
    """As JSON, without what says nothing; pydantic knows the defaults of a dataclass only by its own type."""
    if isinstance(value, Mapping):
        return {str(key): _told(each) for key, each in value.items() if each is not None}
    if isinstance(value, (list, tuple)):
        return [_told(each) for each in value]
    kind = type(value) if is_dataclass(value) else object
    return adapter(kind).dump_python(value, mode="json", exclude_defaults=True, exclude_none=True)
