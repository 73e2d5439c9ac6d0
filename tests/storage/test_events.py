"""What happened is written with what caused it, says who, and is never changed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import ClassVar

import pytest
from sqlalchemy import delete, select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from storage import WRITES, Actor, Event, Role, events, read_events, record
from storage.events import EventRow

NOW = datetime(2026, 3, 11, 2, 0, tzinfo=UTC)
OPERATOR = Actor(Role.OPERATOR, "P1", channel="dashboard")


@dataclass(frozen=True, slots=True, kw_only=True)
class ParcelSent(Event):
    kind: ClassVar[str] = "parcel_sent"
    carrier: str
    promised_by: datetime
    note: str | None = None


SENT = ParcelSent(subject="order:ORD1", region="330100", carrier="顺丰", promised_by=NOW)


async def written(engine: AsyncEngine, *, commit: bool = True) -> EventRow | None:
    async with AsyncSession(engine.execution_options(**WRITES)) as session:
        record(session, SENT, OPERATOR, NOW)
        await (session.commit() if commit else session.rollback())
    async with AsyncSession(engine) as session:
        row: EventRow | None = await session.scalar(select(EventRow))
        return row


async def test_an_event_says_what_who_when_and_where(engine: AsyncEngine) -> None:
    row = await written(engine)
    assert row is not None
    assert (row.kind, row.subject, row.at, row.region) == ("parcel_sent", "order:ORD1", NOW, "330100")
    assert (row.role, row.principal_id, row.channel) == (Role.OPERATOR, "P1", "dashboard")
    assert row.data == {"carrier": "顺丰", "promised_by": "2026-03-11T02:00:00Z"}


async def test_what_did_not_happen_is_no_event(engine: AsyncEngine) -> None:
    assert await written(engine, commit=False) is None


@pytest.mark.parametrize("change", ["role = 'customer'", "subject = subject", "data = '{}'"])
async def test_the_database_refuses_to_change_what_happened(engine: AsyncEngine, change: str) -> None:
    await written(engine)
    async with engine.execution_options(**WRITES).connect() as connection:
        with pytest.raises(DBAPIError, match="never changed"):
            await connection.execute(text(f"UPDATE event SET {change}"))  # noqa: S608
    async with AsyncSession(engine.execution_options(**WRITES)) as session, session.begin():
        row = (await session.scalars(select(EventRow))).one()
        assert row.role is Role.OPERATOR
        await session.execute(delete(EventRow))  # what is erased, is
    assert await written(engine, commit=False) is None


class Reader:
    """Writes down which events it took; ``breaks``: the how-manieth take fails."""

    def __init__(self, engine: AsyncEngine, name: str, behind: str | None = None) -> None:
        self._engine, self._name, self._behind = engine, name, behind
        self.taken: list[str] = []
        self.breaks = 0

    async def take(self, session: AsyncSession, event: EventRow) -> None:
        self.taken.append(event.subject)
        if len(self.taken) == self.breaks:
            raise RuntimeError

    async def reads(self) -> bool:
        kinds = [ParcelSent.kind]
        return await read_events(self._engine, self._name, kinds, self.take, behind=self._behind)


async def happen(engine: AsyncEngine, *subjects: str) -> None:
    async with AsyncSession(engine.execution_options(**WRITES)) as session, session.begin():
        for subject in subjects:
            record(session, replace(SENT, subject=subject), OPERATOR, NOW)
            await session.flush()


async def test_each_reader_takes_each_event_once_and_in_its_order(
    engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "AT_ONCE", 2)
    one, other = Reader(engine, "one"), Reader(engine, "other")
    assert not await one.reads()
    await happen(engine, "a", "b", "c")
    assert await one.reads()  # there may be more
    assert not await one.reads()
    await happen(engine, "d")
    assert [await one.reads(), await one.reads(), await other.reads()] == [False, False, True]
    assert (one.taken, other.taken) == (["a", "b", "c", "d"], ["a", "b"])


async def test_what_was_taken_in_vain_is_taken_again(engine: AsyncEngine) -> None:
    await happen(engine, "a", "b")
    one = Reader(engine, "in vain")
    one.breaks = 2
    with pytest.raises(RuntimeError):
        await one.reads()
    await one.reads()
    assert one.taken == ["a", "b", "a", "b"]


async def test_a_reader_does_not_overtake_the_one_that_it_follows(engine: AsyncEngine) -> None:
    first, follower = Reader(engine, "first"), Reader(engine, "follower", behind="first")
    await happen(engine, "a")
    await first.reads()
    await happen(engine, "b")
    await follower.reads()
    assert follower.taken == ["a"]
    await first.reads()
    await follower.reads()
    assert follower.taken == ["a", "b"]
