"""How each end of a try goes on, by the kind of what is sent."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from connectors import delivery as module
from connectors.delivery import TRIES, Delivery, backoff
from connectors.rendering import Bubble
from storage import WRITES, outbox
from storage.outbox import Dead, Message, Outbox, Outcome, Parked, Retry, Sent, State, Unknown

from .paper import Paper


def retry(word: str) -> Retry:
    return Retry(word, datetime.now(UTC))


async def enqueue(engine: AsyncEngine, text: str, kind: str = "answer", account: str = "ann") -> int:
    message = Message(
        channel="paper",
        recipient=account,
        order_key=f"paper:{account}",
        kind=kind,
        payload=asdict(Bubble(text)),
        dedupe=f"{account} {text}",
    )
    async with AsyncSession(engine.execution_options(**WRITES)) as session, session.begin():
        number = await outbox.enqueue(session, message, datetime.now(UTC))
    assert number is not None
    return number


async def change(engine: AsyncEngine, number: int, **values: Any) -> None:
    async with engine.execution_options(**WRITES).begin() as connection:
        await connection.execute(update(Outbox).where(Outbox.id == number).values(values))


async def ends(engine: AsyncEngine) -> dict[str, tuple[State, str | None]]:
    """When nothing moves any more, by text."""
    async with asyncio.timeout(30):
        while True:
            async with AsyncSession(engine) as session:
                rows = (await session.execute(select(Outbox.payload, Outbox.state, Outbox.error_class))).all()
            if not any(state in (State.PENDING, State.LEASED) for _, state, _ in rows):
                return {json.loads(payload)["text"]: (state, error) for payload, state, error in rows}
            await asyncio.sleep(0.02)


@asynccontextmanager
async def sending(engine: AsyncEngine, channel: Paper, **options: timedelta) -> AsyncIterator[Delivery]:
    delivery = Delivery(engine, {channel.name: channel}, **options)
    task = asyncio.create_task(delivery.keep_sending())
    try:
        yield delivery
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tries follow one another at once."""
    monkeypatch.setattr(module, "backoff", lambda _: timedelta())
    monkeypatch.setattr(module, "PAUSE", 0.05)


@pytest.mark.parametrize(
    ("kind", "outcomes", "end", "tries"),
    [
        ("answer", [Sent("p")], (State.SENT, None), 1),
        ("answer", [retry("later:429"), retry("later:-1"), Sent()], (State.SENT, None), 3),
        ("answer", [retry("later")] * TRIES, (State.DEAD, "later"), TRIES),
        ("answer", [Dead("person:blocked")], (State.DEAD, "person:blocked"), 1),
        ("answer", [Dead("content")], (State.DEAD, "content"), 1),
        ("answer", [Parked("window")], (State.PARKED, "window"), 1),
        ("answer", [Unknown("timeout"), Sent()], (State.SENT, None), 2),
        ("answer", [Unknown("timeout"), Unknown("timeout")], (State.UNKNOWN, "timeout"), 2),
        ("desk", [Unknown("timeout"), Sent()], (State.SENT, None), 2),
        ("gift", [Unknown("timeout")], (State.UNKNOWN, "timeout"), 1),
        ("gift", [retry("later"), Sent()], (State.SENT, None), 2),
    ],
    ids=str,
)
async def test_an_end_goes_on_by_its_class_and_the_kind(
    engine: AsyncEngine, kind: str, outcomes: list[Outcome], end: tuple[State, str | None], tries: int
) -> None:
    channel = Paper(outcomes=list(outcomes))
    number = await enqueue(engine, "在的", kind)
    async with sending(engine, channel):
        assert await ends(engine) == {"在的": end}
    assert channel.tries == [str(number)] * tries


@pytest.mark.parametrize(("kind", "end"), [("answer", (State.SENT, None)), ("gift", (State.UNKNOWN, "lost"))])
async def test_what_a_process_that_died_had_in_hand(
    engine: AsyncEngine, kind: str, end: tuple[State, str | None]
) -> None:
    await enqueue(engine, "在的", kind)
    await outbox.claim(engine, ["paper"], 1, timedelta(), datetime.now(UTC))
    channel = Paper()
    async with sending(engine, channel):
        assert await ends(engine) == {"在的": end}
    assert channel.texts("ann") == (["在的"] if kind == "answer" else [])


async def test_who_is_too_busy_to_renew_its_leases_sends_nothing_twice(
    engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def never(*_: object) -> None:
        await asyncio.Event().wait()

    class Slow(Paper):
        async def send(self, recipient: str, bubble: Bubble, key: str) -> Outcome:
            outcome = await super().send(recipient, bubble, key)
            await asyncio.sleep(0.5)  # its lease runs out, and there is a look for what is due
            return outcome

    monkeypatch.setattr(module, "keep_renewing", never)
    monkeypatch.setattr(module, "PAUSE", 0.1)
    channel = Slow()
    number = await enqueue(engine, "在的")
    async with sending(engine, channel, lease=timedelta(seconds=0.1)):
        assert await ends(engine) == {"在的": (State.SENT, None)}
    assert channel.tries == [str(number)]


async def test_a_channel_that_breaks_is_no_worse_than_one_that_does_not_answer(engine: AsyncEngine) -> None:
    class Broken(Paper):
        async def send(self, recipient: str, bubble: Bubble, key: str) -> Outcome:
            await super().send(recipient, bubble, key)
            raise RuntimeError("a fault of ours")

    channel = Broken()
    await enqueue(engine, "在的")
    await enqueue(engine, "好的", account="bob")
    async with sending(engine, channel):
        assert set((await ends(engine)).values()) == {(State.UNKNOWN, "RuntimeError")}
    assert channel.texts("ann") == ["在的"]  # sent again once, under the same key


async def test_a_channel_that_does_not_answer_is_not_waited_for_for_ever(
    engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PATIENCE", 0.1)

    class Silent(Paper):
        async def send(self, recipient: str, bubble: Bubble, key: str) -> Outcome:
            await asyncio.Event().wait()
            raise AssertionError

    await enqueue(engine, "券", "gift")
    async with sending(engine, Silent()):
        assert await ends(engine) == {"券": (State.UNKNOWN, "timeout")}


async def test_a_channel_whose_credentials_are_refused_rests_and_loses_nothing(
    engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "REST", 0.5)
    channel = Paper(outcomes=[retry("configuration:40001")])
    await enqueue(engine, "一")
    await enqueue(engine, "二")
    async with sending(engine, channel):
        assert await channel.until("ann", 2) == ["一", "二"]
        assert len(channel.tries) == 3
        assert set((await ends(engine)).values()) == {(State.SENT, None)}


async def test_one_who_cannot_be_reached_holds_up_nobody_else(engine: AsyncEngine) -> None:
    number = await enqueue(engine, "一")
    await change(engine, number, not_before=datetime.now(UTC) + timedelta(hours=1))
    await enqueue(engine, "二")
    await enqueue(engine, "三", account="bob")
    channel = Paper()
    async with sending(engine, channel):
        assert await channel.until("bob", 1) == ["三"]
    assert channel.texts("ann") == []


async def test_what_was_not_sent_is_told_and_goes_out_when_it_is_sent_again(engine: AsyncEngine) -> None:
    channel = Paper(outcomes=[Dead("content"), Dead("person:blocked")])
    number = await enqueue(engine, "在的")
    async with sending(engine, channel) as delivery:
        await ends(engine)
        await enqueue(engine, "还在吗", account="gone")  # of whom nobody need be told
        await ends(engine)
        (warned,) = await delivery.check()
        assert "1 条" in warned
        async with AsyncSession(engine.execution_options(**WRITES)) as session, session.begin():
            assert await outbox.send_again(session, number, datetime.now(UTC))
        delivery.soon()
        assert (await ends(engine))["在的"] == (State.SENT, None)
        assert await delivery.check() == []
    assert channel.texts("ann") == ["在的"]


def test_tries_are_further_and_further_apart_and_never_all_at_once() -> None:
    seconds = [[backoff(attempts).total_seconds() for _ in range(20)] for attempts in (1, 2, 5, 20, 200)]
    assert [max(some) < least * 1.21 for some, least in zip(seconds, (1, 2, 16, 900, 900), strict=True)] == [True] * 5
    assert [min(some) > least * 0.79 for some, least in zip(seconds, (1, 2, 16, 900, 900), strict=True)] == [True] * 5
    assert all(len(set(some)) > 1 for some in seconds)
