"""What the house keeps of a person: each capability tells its own part, and forgets it.

Whoever keeps something of people has a :class:`Part` beside its tables. Nobody knows all tables; the rooms that are put
together at the gateway hand theirs to ``mall_adapter.data_rights``.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import delete
from sqlalchemy.ext.asyncio import AsyncSession

from storage.inbox import Inbox
from storage.outbox import Outbox
from storage.queue import order_index

Rows = Sequence[Mapping[str, Any]]
"""Of JSON, enums, dates and times."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """A customer, by all names under which something of theirs may be kept."""

    customer_id: str
    merged_ids: Sequence[str]  # customers who were found to be the same
    principal_id: str
    person: str  # among those who hold cards
    senders: Sequence[str]  # of accounts that are bound to them
    sender_indexes: Sequence[str]  # the same hashed, with those of which no more is known
    conversations: Sequence[str]

    @property
    def customer_ids(self) -> Sequence[str]:
        return [self.customer_id, *self.merged_ids]


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """``export`` gives tables of rows by their names, ``erase`` takes away whatever tells of the person, or makes it
    tell of nobody: both in the caller's transaction. None: there is nothing to tell, or nothing that names anybody."""

    export: Callable[[AsyncSession, Subject], Awaitable[Mapping[str, Rows]]] | None = None
    erase: Callable[[AsyncSession, Subject, datetime], Awaitable[None]] | None = None


async def _erase(session: AsyncSession, subject: Subject, _: datetime) -> None:
    """What has come from them, and what goes to them or went."""
    keys = [*subject.senders, *(f"customer:{each}" for each in subject.customer_ids)]
    for table in (Inbox, Outbox):
        indexes = [order_index(table, key) for key in keys]
        await session.execute(delete(table).where(table.order_key.in_(indexes)))


MESSAGES = Part(erase=_erase)
