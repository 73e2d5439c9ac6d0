"""The service desk: waiting, being answered, handing back, rating, and the trainers' queue."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from mall_adapter import Desk, DeskError, HandoffStatus, is_open, opens_at

from .conftest import Clock


@pytest.fixture
def desk(engine: AsyncEngine, clock: Clock) -> Desk:
    return Desk(engine, clock)


async def test_a_conversation_with_a_person(desk: Desk, clock: Clock) -> None:
    waiting = await desk.request("web:zhou", "human_handoff")
    assert waiting.status is HandoffStatus.WAITING and waiting.id.startswith("HF")
    clock.advance(minutes=3)
    await desk.claim(waiting.id)
    clock.advance(minutes=1)
    await desk.say(waiting.id, "您好，我来帮您", "k1")
    ended = await desk.hand_back(waiting.id, True, "再见")
    assert (ended.status, ended.resolved) == (HandoffStatus.ENDED, True)
    assert ended.first_answer_at and ended.claimed_at
    assert (ended.first_answer_at - ended.claimed_at).seconds == 60
    assert [message.text for message in await desk.messages("web:zhou", 0)] == ["您好，我来帮您", "再见"]
    assert await desk.rate("web:zhou", 4)
    assert (await desk.handoff(waiting.id)).rating == 4


async def test_asking_again_keeps_the_place(desk: Desk, clock: Clock) -> None:
    first = await desk.request("web:zhou", "human_handoff")
    clock.advance(minutes=1)
    second = await desk.request("web:he", "complain")
    assert await desk.request("web:zhou", "complain") == first
    assert (await desk.before(first), await desk.before(second)) == (0, 1)
    assert [handoff.sender for handoff in await desk.queue()] == ["web:zhou", "web:he"]


async def test_what_is_said_twice_under_one_key_is_said_once(desk: Desk) -> None:
    handoff = await desk.claim((await desk.request("web:zhou", "human_handoff")).id)
    said = await asyncio.gather(*(desk.say(handoff.id, "您好", "k1") for _ in range(3)))
    assert len({message.id for message in said}) == 1
    again = await desk.say(handoff.id, "您好", "k2")
    assert [message.id for message in await desk.messages("web:zhou", said[0].id)] == [again.id]
    assert await desk.messages("web:he", 0) == []


async def test_steps_that_do_not_fit(desk: Desk) -> None:
    handoff = await desk.request("web:zhou", "human_handoff")
    with pytest.raises(DeskError):
        await desk.say(handoff.id, "您好", "k1")  # nobody has taken over
    with pytest.raises(DeskError):
        await desk.hand_back(handoff.id, True, "再见")
    assert await desk.withdraw("web:zhou")
    assert not await desk.withdraw("web:zhou")
    for step in (desk.claim(handoff.id), desk.claim("HF0"), desk.hand_back(handoff.id, True, "再见")):
        with pytest.raises(DeskError):
            await step
    assert not await desk.rate("web:zhou", 5)
    with pytest.raises(ValueError):
        await desk.rate("web:zhou", 6)


async def test_an_answered_customer_cannot_withdraw(desk: Desk) -> None:
    handoff = await desk.claim((await desk.request("web:zhou", "human_handoff")).id)
    assert not await desk.withdraw("web:zhou")
    assert await desk.claim(handoff.id) == handoff


async def test_the_trainers_queue_holds_a_message_once(desk: Desk) -> None:
    for _ in range(2):
        await desk.note_misunderstood("web:zhou", "呜啦啦", [("greet", 0.21234)], "m1")
    await desk.note_misunderstood("web:he", "嘎嘎", [], "m1")
    queue = await desk.misunderstood()
    assert [(entry.text, entry.guesses) for entry in queue] == [("嘎嘎", []), ("呜啦啦", [("greet", 0.212)])]
    await desk.settle(queue[0].id)
    assert [entry.text for entry in await desk.misunderstood()] == ["呜啦啦"]


@pytest.mark.parametrize(
    ("utc", "is_open_then", "opens"),
    [
        ((2026, 3, 11, 2, 0), True, (2026, 3, 11, 10, 0)),  # ten in Shanghai
        ((2026, 3, 11, 0, 30), False, (2026, 3, 11, 9, 0)),  # half past eight
        ((2026, 3, 11, 13, 0), False, (2026, 3, 12, 9, 0)),  # nine in the evening
    ],
)
def test_working_hours_are_shanghais(utc: tuple[int, ...], is_open_then: bool, opens: tuple[int, ...]) -> None:
    now = datetime(*utc, tzinfo=UTC)  # type: ignore[arg-type,misc]
    assert is_open(now) is is_open_then
    shown = opens_at(now)
    assert (shown.year, shown.month, shown.day, shown.hour, shown.minute) == opens
