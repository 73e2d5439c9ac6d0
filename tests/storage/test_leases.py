"""What only one of several processes does, on both databases."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncEngine

from storage import Lease

NOW = datetime(2026, 11, 30, 1, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


async def test_one_holds_it_until_it_has_run_out_or_was_given_back(engine: AsyncEngine) -> None:
    first, second = Lease(engine, "one at a time"), Lease(engine, "one at a time")
    assert await first.hold(MINUTE, NOW)
    assert not await second.hold(MINUTE, NOW + MINUTE / 2)
    assert await first.hold(MINUTE, NOW + MINUTE / 2)  # for longer
    assert not await second.hold(MINUTE, NOW + MINUTE)
    assert await second.hold(MINUTE, NOW + MINUTE * 1.5)
    assert not await first.hold(MINUTE, NOW + MINUTE * 2)
    await first.give_back(NOW + MINUTE * 2)  # it is not the first one's any more
    assert not await first.hold(MINUTE, NOW + MINUTE * 2)
    await second.give_back(NOW + MINUTE * 2)
    assert await first.hold(MINUTE, NOW + MINUTE * 2)


async def test_names_are_leased_apart(engine: AsyncEngine) -> None:
    assert await Lease(engine, "this").hold(MINUTE, NOW)
    assert await Lease(engine, "that").hold(MINUTE, NOW)


async def test_of_many_at_once_one_gets_it(engine: AsyncEngine) -> None:
    asked = (Lease(engine, "wanted by all").hold(MINUTE, NOW) for _ in range(20))
    assert sorted(await asyncio.gather(*asked)) == [False] * 19 + [True]
