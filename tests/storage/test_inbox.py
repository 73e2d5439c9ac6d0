"""The inbox: a message is known for ever, one of a sender is worked on at a time, and what a worker leaves is taken."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from storage import WRITES, inbox
from storage.inbox import Dead, Done, Inbox, Known, Leased, Message, Retry, State

NOW = datetime(2026, 3, 11, 2, 0, tzinfo=UTC)
LEASE = timedelta(seconds=10)
CHANNEL = "paper"


def message(name: str, sender: str = "ann", channel: str = CHANNEL) -> Message:
    return Message(channel, f"{channel}:{sender}", {"text": name}, f"{sender} {name}")


async def accept(
    engine: AsyncEngine, what: Message, lease: timedelta | None = None, at: datetime = NOW
) -> Leased | int | Known:
    async with AsyncSession(engine.execution_options(**WRITES)) as session, session.begin():
        return await inbox.accept(session, what, at, lease)


async def claim(engine: AsyncEngine, at: datetime = NOW) -> Sequence[Leased]:
    return await inbox.claim(engine, [CHANNEL], 20, LEASE, at)


async def finish(engine: AsyncEngine, leased: Leased, outcome: inbox.Outcome) -> bool:
    async with AsyncSession(engine.execution_options(**WRITES)) as session, session.begin():
        return await inbox.finish(session, leased, outcome)


def texts(claimed: Sequence[Leased]) -> list[str]:
    return [each.payload["text"] for each in claimed]


async def mine(engine: AsyncEngine, what: Message, at: datetime = NOW) -> Leased:
    leased = await accept(engine, what, LEASE, at)
    assert isinstance(leased, Leased)
    return leased


async def test_what_comes_again_is_known_for_ever(engine: AsyncEngine) -> None:
    leased = await mine(engine, message("1"))
    assert await accept(engine, message("1"), LEASE) == Known(leased.id, State.LEASED)
    await finish(engine, leased, Done())
    much_later = NOW + timedelta(days=1000)
    assert await accept(engine, message("1"), LEASE, much_later) == Known(leased.id, State.DONE)
    assert await claim(engine, much_later) == []
    # the same id of another sender, or in another channel, is another message
    assert isinstance(await accept(engine, message("1", "bob"), LEASE), Leased)
    assert isinstance(await accept(engine, message("1", channel="other"), LEASE), Leased)


async def test_of_many_that_write_the_same_one_wins(engine: AsyncEngine) -> None:
    accepted = await asyncio.gather(*(accept(engine, message("1"), LEASE) for _ in range(10)))
    assert sum(isinstance(each, Leased) for each in accepted) == 1
    assert sum(isinstance(each, Known) for each in accepted) == 9


async def test_the_next_of_a_sender_waits_whoever_accepts_it(engine: AsyncEngine) -> None:
    first = await mine(engine, message("1"))
    second, third = await accept(engine, message("2"), LEASE), await accept(engine, message("3"), LEASE)
    assert isinstance(second, int)
    assert isinstance(third, int)
    other = await mine(engine, message("1", "bob"))
    assert await claim(engine) == []
    await finish(engine, first, Done())
    (leased,) = await claim(engine)
    assert (leased.id, texts([leased])) == (second, ["2"])
    await finish(engine, leased, Retry("away", NOW + timedelta(seconds=5)))
    await finish(engine, other, Done())
    assert await claim(engine) == []  # 3 waits for 2, which waits for its next try
    (again,) = await claim(engine, NOW + timedelta(seconds=5))
    assert (again.id, again.attempts, again.error_class) == (second, 2, "away")
    await finish(engine, again, Dead("away"))
    assert texts(await claim(engine)) == ["3"]


async def test_a_lease_that_ran_out_is_anothers_unless_it_is_renewed(engine: AsyncEngine) -> None:
    lost = await mine(engine, message("1"))
    kept = await mine(engine, message("1", "bob"))
    await inbox.renew(engine, [kept], NOW + 3 * LEASE)
    (taken,) = await claim(engine, NOW + LEASE)
    assert (taken.id, taken.error_class, taken.attempts) == (lost.id, "lost", 2)
    await inbox.renew(engine, [lost], NOW + 9 * LEASE)  # too late: it is another's
    assert not await finish(engine, lost, Done())
    assert await finish(engine, kept, Done())
    assert texts(await claim(engine, NOW + 2 * LEASE)) == ["1"]


async def test_only_the_name_of_what_is_done_stays(engine: AsyncEngine) -> None:
    leased = await mine(engine, message("order 周琳", "周琳"))
    async with engine.connect() as connection:
        stored = repr((await connection.execute(text("SELECT * FROM inbox"))).all())
    for secret in ("周琳", "paper:"):
        assert secret not in stored
        assert repr(secret.encode())[2:-1] not in stored
    await finish(engine, leased, Done())
    async with AsyncSession(engine) as session:
        assert (await session.execute(select(Inbox.payload, Inbox.state))).one() == (None, State.DONE)


async def test_what_nobody_works_on_any_more_is_listed_and_can_be_worked_on_again(engine: AsyncEngine) -> None:
    await finish(engine, await mine(engine, message("1")), Dead("BotUnavailable"))
    damaged = await accept(engine, message("2", "bob"))
    async with engine.execution_options(**WRITES).begin() as connection:
        await connection.execute(text("UPDATE inbox SET payload = :junk WHERE id = :id"), {"junk": b"x", "id": damaged})
    assert await claim(engine) == []
    async with AsyncSession(engine.execution_options(**WRITES)) as session, session.begin():
        broken, dead = await inbox.stuck(session, 10)
        assert (broken.error_class, dead.error_class, dead.attempts) == ("damaged", "BotUnavailable", 1)
        assert await inbox.work_again(session, dead.id, NOW)
        assert not await inbox.work_again(session, broken.id, NOW)
        assert not await inbox.work_again(session, dead.id, NOW)  # a second click
    assert texts(await claim(engine)) == ["1"]


async def test_of_what_nobody_worked_on_for_long_only_the_name_stays(engine: AsyncEngine) -> None:
    await finish(engine, await mine(engine, message("1")), Dead("BotUnavailable"))
    later = NOW + timedelta(days=1)
    await finish(engine, await mine(engine, message("2"), later), Dead("BotUnavailable"))
    await accept(engine, message("3"))
    async with AsyncSession(engine.execution_options(**WRITES)) as session, session.begin():
        assert not await inbox.forget_stuck(session, later)
    async with AsyncSession(engine) as session:
        kept = await session.execute(select(Inbox.state, Inbox.payload.is_(None)).order_by(Inbox.id))
        assert list(kept) == [(State.DONE, True), (State.DEAD, False), (State.PENDING, False)]
    assert isinstance(await accept(engine, message("1")), Known)
