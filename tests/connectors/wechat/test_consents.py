"""Consents to notices: each is good for one, however often WeChat tells of it, in both databases."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncEngine

from connectors.wechat.consents import Consents
from connectors.wechat.parsing import Choice

LI, WANG = "oLi", "oWang"
AT = datetime(2026, 11, 1, 8, 0, tzinfo=UTC)
YES, NO, NEVER = Choice("S1", True, False), Choice("S1", False, False), Choice("S1", False, True)


async def test_each_is_used_once_the_oldest_first(engine: AsyncEngine) -> None:
    consents = Consents(engine)
    for minutes in (0, 0, 5):  # the first is told twice
        await consents.note(LI, [YES], AT + timedelta(minutes=minutes))
    taken = [await consents.take(LI, "S1", AT) for _ in range(3)]
    assert None not in taken[:2] and taken[2] is None
    assert await consents.take(WANG, "S1", AT) is None
    assert await consents.take(LI, "S2", AT) is None


async def test_one_that_was_not_used_is_there_again_and_one_that_was_is_not_by_being_told_again(
    engine: AsyncEngine,
) -> None:
    consents = Consents(engine)
    await consents.note(LI, [YES], AT)
    number = await consents.take(LI, "S1", AT)
    assert number is not None
    await consents.note(LI, [YES], AT)
    assert await consents.take(LI, "S1", AT) is None
    await consents.give_back(number)
    assert await consents.take(LI, "S1", AT) == number


async def test_who_says_no_once_keeps_what_was_agreed_and_who_says_never_does_not(engine: AsyncEngine) -> None:
    consents = Consents(engine)
    await consents.note(LI, [YES], AT)
    await consents.note(LI, [NO], AT + timedelta(minutes=1))
    number = await consents.take(LI, "S1", AT)
    assert number is not None
    await consents.give_back(number)
    await consents.note(LI, [NEVER], AT + timedelta(minutes=2))
    assert await consents.take(LI, "S1", AT) is None
    await consents.note(LI, [YES], AT + timedelta(minutes=3))
    assert await consents.take(LI, "S1", AT) is not None


async def test_two_at_once_use_no_consent_twice(engine: AsyncEngine) -> None:
    consents = Consents(engine)
    await consents.note(LI, [YES], AT)
    taken = await asyncio.gather(*(consents.take(LI, "S1", AT) for _ in range(4)))
    assert sorted(number is not None for number in taken) == [False, False, False, True]


async def test_what_was_used_long_ago_is_forgotten(engine: AsyncEngine) -> None:
    consents = Consents(engine)
    await consents.note(LI, [YES], AT)
    number = await consents.take(LI, "S1", AT)
    await consents.note(LI, [Choice("S2", True, False)], AT + timedelta(days=2))
    assert number is not None
    await consents.give_back(number)  # there is nothing to give back
    assert await consents.take(LI, "S1", AT) is None
