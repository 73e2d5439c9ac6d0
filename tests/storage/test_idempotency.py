"""A command that is sent twice has its effect once, and is answered twice alike."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

import pytest
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from storage import WRITES, Command, IdempotencyConflict, forget_expired, once, recall
from storage.idempotency import KEPT, IdempotencyRecord

NOW = datetime(2026, 3, 11, 2, 0, tzinfo=UTC)


class Size(StrEnum):
    LARGE = "large"


@dataclass(frozen=True, slots=True)
class Part:
    name: str
    pieces: int = 1


@dataclass(frozen=True, slots=True)
class Wish:
    part: Part
    size: Size
    others: tuple[Part, ...] = ()


@dataclass(frozen=True, slots=True)
class Answer:
    id: str
    at: datetime
    wish: Wish
    note: str | None = None
    counts: dict[str, int] = field(default_factory=dict)


# the same of a later release: each knows one thing more


@dataclass(frozen=True, slots=True)
class LaterPart:
    name: str
    pieces: int = 1
    colour: str | None = None
    tags: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class LaterWish:
    part: LaterPart
    size: Size
    others: tuple[LaterPart, ...] = ()
    gift: bool = False


WISH = Wish(Part("shoes"), Size.LARGE, (Part("laces", 2),))
ANSWER = Answer("A1", NOW, WISH, "有货", {"shoes": 1})


class House:
    """Answers each command anew, and counts how often."""

    def __init__(self, engine: AsyncEngine) -> None:
        self.engine, self.done = engine, 0

    async def asks(self, caller: str, key: str, request: Any = WISH, name: str = "wish", at: datetime = NOW) -> Answer:
        async with AsyncSession(self.engine.execution_options(**WRITES)) as session, session.begin():

            async def do() -> Answer:
                self.done += 1
                return Answer(f"A{self.done}", NOW, WISH, "有货", {"shoes": 1})

            return await once(session, Command(caller, key, name, {"wish": request}), Answer, at, do)


@pytest.fixture
def house_of(engine: AsyncEngine) -> House:
    return House(engine)


async def test_the_first_answer_is_given_again(house_of: House) -> None:
    first = await house_of.asks("ann", "k")
    assert first == ANSWER
    assert await house_of.asks("ann", "k", at=NOW + timedelta(days=29)) == first
    assert house_of.done == 1


async def test_a_key_belongs_to_its_caller(house_of: House) -> None:
    assert (await house_of.asks("ann", "k")).id == "A1"
    assert (await house_of.asks("bob", "k")).id == "A2"
    with pytest.raises(ValueError, match="key is needed"):
        await house_of.asks("ann", "")


@pytest.mark.parametrize(
    ("request_", "name"), [(Wish(Part("shoes", 2), Size.LARGE), "wish"), (WISH, "another command")], ids=str
)
async def test_a_key_of_another_request_is_refused(house_of: House, request_: Wish, name: str) -> None:
    await house_of.asks("ann", "k")
    with pytest.raises(IdempotencyConflict):
        await house_of.asks("ann", "k", request_, name)
    assert house_of.done == 1


def test_a_new_field_with_a_default_changes_no_hash() -> None:
    """Of the part, of the wish, or of the command."""

    def hashed(**request: Any) -> str:
        return Command("ann", "k", "wish", request).request_hash

    later = LaterWish(LaterPart("shoes"), Size.LARGE, (LaterPart("laces", 2),))
    assert hashed(wish=later) == hashed(wish=WISH)
    assert hashed(wish=later, coupon=None) == hashed(wish=WISH)
    assert hashed(wishes=[later]) == hashed(wishes=(WISH,))
    assert hashed(wishes={"a": later}) == hashed(wishes={"a": WISH})
    changed = LaterWish(LaterPart("shoes", colour="red"), Size.LARGE, (LaterPart("laces", 2),))
    assert hashed(wish=changed) != hashed(wish=WISH)
    assert hashed(items={"a": 1, "b": 2}) == hashed(items={"b": 2, "a": 1})
    assert hashed(items={"a": 0}) != hashed(items={})  # nothing of a mapping is a default


async def test_what_was_refused_may_be_tried_again(engine: AsyncEngine) -> None:
    command = Command("ann", "k", "wish", {})

    async def refuse() -> str:
        raise LookupError

    async def grant() -> str:
        return "done"

    for do, expected in ((refuse, None), (grant, "done"), (refuse, "done")):
        try:
            async with AsyncSession(engine.execution_options(**WRITES)) as session, session.begin():
                assert await once(session, command, str, NOW, do) == expected
        except LookupError:
            assert expected is None


async def test_a_key_that_has_expired_is_as_good_as_new(house_of: House, engine: AsyncEngine) -> None:
    await house_of.asks("ann", "old")
    later = NOW + KEPT
    assert (await house_of.asks("ann", "old", at=later)).id == "A2"
    # and of many who come with it at once, one has the effect
    much_later = later + KEPT
    answers = await asyncio.gather(*(house_of.asks("ann", "old", at=much_later) for _ in range(8)))
    assert {each.id for each in answers} == {"A3"}

    await house_of.asks("ann", "young", at=much_later)
    async with AsyncSession(engine.execution_options(**WRITES)) as session, session.begin():
        await forget_expired(session, much_later + KEPT - timedelta(seconds=1))
        assert await session.scalar(select(func.count()).select_from(IdempotencyRecord)) == 2
        assert await forget_expired(session, much_later + KEPT, limit=1)
        assert await forget_expired(session, much_later + KEPT, limit=1)
        assert not await forget_expired(session, much_later + KEPT, limit=1)
        assert await session.scalar(select(func.count()).select_from(IdempotencyRecord)) == 0


async def test_one_key_many_times_at_once(house_of: House) -> None:
    answers = await asyncio.gather(*(house_of.asks("ann", "k") for _ in range(20)))
    assert answers == [answers[0]] * 20
    assert house_of.done == 1


async def test_an_answer_of_another_shape_is_told_as_one(engine: AsyncEngine, house_of: House) -> None:
    """A release later an answer may not be read any more: it is not done again, and not half read."""
    await house_of.asks("ann", "k")
    command = Command("ann", "k", "wish", {"wish": WISH})

    async def do() -> int:
        raise AssertionError

    async with AsyncSession(engine.execution_options(**WRITES)) as session:
        with pytest.raises(IdempotencyConflict, match="another release"):
            await once(session, command, int, NOW, do)


async def test_recalling_writes_nothing(engine: AsyncEngine, house_of: House) -> None:
    command = Command("ann", "k", "wish", {"wish": WISH})
    async with AsyncSession(engine) as session:
        assert await recall(session, command, Answer, NOW) is None
    await house_of.asks("ann", "k")
    async with AsyncSession(engine) as session:
        known = await recall(session, command, Answer, NOW)
        assert known is not None
        assert known.answer == ANSWER
        with pytest.raises(IdempotencyConflict):
            await recall(session, Command("ann", "k", "wish", {}), Answer, NOW)


async def test_neither_key_nor_words_lie_open(engine: AsyncEngine, house_of: House) -> None:
    await house_of.asks("web:zhou", "key of 周琳", "13800005678")
    async with engine.connect() as connection:
        stored = repr((await connection.exec_driver_sql("SELECT * FROM idempotency_record")).all())
    for secret in ("zhou", "周琳", "13800005678", "有货"):
        assert secret not in stored
        assert repr(secret.encode())[2:-1] not in stored
