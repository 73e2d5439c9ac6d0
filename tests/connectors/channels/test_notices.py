"""A notice on its last steps: said by the bot in the conversation, and shown by the channel that was used last."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from connectors import choices
from connectors import notices as module
from connectors.bot_client import BotClient
from connectors.delivery import Delivery
from connectors.notices import NoticeRelay
from mall_adapter import models, notices, people
from mall_adapter.actors import SHELL
from mall_adapter.notices import KINDS
from storage import WRITES
from storage.outbox import Dead, Outbox, Outcome, Parked, State, Unknown
from tests.connectors.fake_rasa import FakeRasa

from .paper import PLAIN, Paper

BUTTON = {"title": "查看物流", "payload": '/track_parcel{"order_id": "ORD12345"}'}
SAID = [{"text": "包裹送到啦", "buttons": [BUTTON]}]


@pytest.fixture(autouse=True)
async def customers(engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    """C1 and C2, whom no account reaches yet; and it is never night."""
    monkeypatch.setattr(type(KINDS.quiet), "ends", lambda *_: None)
    monkeypatch.setattr(module, "AGAIN", timedelta())
    now = datetime.now(UTC)
    async with AsyncSession(engine.execution_options(**WRITES)) as session, session.begin():
        for table in (models.NoticeChoice, models.ChannelAccount, models.Membership, models.Principal, models.Customer):
            await session.execute(delete(table))
        for each in ("1", "2"):
            told = {"name": "某人", "phone": each, "address": "上海", "region": "310000", "registered_at": now}
            session.add(models.Customer(id=f"C{each}", phone_index=models.phone_index(each), **told))


async def account(engine: AsyncEngine, sender: str, hours: float = 0, customer: str = "C1") -> None:
    """One of the customer's, which wrote so many hours ago."""
    now = datetime.now(UTC)
    async with AsyncSession(engine.execution_options(**WRITES)) as session, session.begin():
        await people.bind(session, sender, customer, SHELL, now)
        await people.meet(session, sender, now - timedelta(hours=hours))


async def notify(engine: AsyncEngine, kind: str = "parcel_delivered", about: str = "shipment:1", **more: str) -> None:
    now = datetime.now(UTC)
    values = {"order_id": "ORD12345", "carrier": "顺丰", "form": "plain", "text": "新品"} | more
    customer, cause = values.pop("customer", "C1"), values.pop("cause", "1")
    async with AsyncSession(engine.execution_options(**WRITES)) as session, session.begin():
        assert await notices.notify(session, customer, kind, values, about=about, cause=cause, at=now, now=now)  # type: ignore[arg-type]


async def ends(engine: AsyncEngine) -> list[tuple[str, str, State, str | None]]:
    """Channel, kind, state and why, in order, when nothing moves any more."""
    async with asyncio.timeout(30):
        while True:
            async with AsyncSession(engine) as session:
                columns = (Outbox.channel, Outbox.kind, Outbox.state, Outbox.error_class)
                rows = (await session.execute(select(*columns).order_by(Outbox.id))).all()
            if not any(row.state in (State.PENDING, State.LEASED) for row in rows):
                return [tuple(row) for row in rows]  # type: ignore[misc]
            await asyncio.sleep(0.02)


@asynccontextmanager
async def relaying(engine: AsyncEngine, rasa: FakeRasa, *papers: Paper, sends: bool = True) -> AsyncIterator[None]:
    rasa.said["utter_notice_parcel_delivered"] = SAID
    on = {paper.name: paper for paper in papers}
    async with aclosing(BotClient((rasa.url,), 5.0)) as bot:
        delivery = Delivery(engine, on)
        relay = NoticeRelay(engine, bot, on, ("web",), delivery.soon)
        tasks = [asyncio.create_task(relay.keep_telling())]
        if sends:
            tasks.append(asyncio.create_task(delivery.keep_sending()))
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


DAYS = replace(PLAIN, window=timedelta(hours=48))


@pytest.mark.parametrize(
    "heard, told",
    [
        ({"paper:ann": 5, "letter:ann": 1}, "letter"),
        ({"paper:ann": 1, "letter:ann": 5}, "paper"),
        ({"paper:ann": 72, "letter:ann": 60}, "paper"),  # the letter's window is shut, the paper has none
        ({"letter:ann": 60}, "letter"),  # it waits there
        ({"web:ann": 1, "paper:ann": 5}, "bot"),  # it is in the conversation when they come back
        ({"fax:ann": 1, "paper:ann": 5}, "paper"),  # a channel that is off
        ({"fax:ann": 1}, "nobody"),
    ],
)
async def test_by_which_channel(engine: AsyncEngine, rasa: FakeRasa, heard: dict[str, float], told: str) -> None:
    for sender, hours in heard.items():
        await account(engine, sender, hours)
    paper, letter = Paper(), Paper("letter", capabilities=DAYS)
    await notify(engine)
    async with relaying(engine, rasa, paper, letter):
        found = await ends(engine)
    assert [bool(each.texts("ann")) for each in (paper, letter)] == [told == "paper", told == "letter"]
    assert len(rasa.notices) == (told != "nobody")
    assert found[0][2:] == ((State.DONE, "nobody") if told == "nobody" else (State.SENT, None))


async def test_its_button_leads_on(engine: AsyncEngine, rasa: FakeRasa) -> None:
    await account(engine, "paper:ann")
    paper = Paper()
    await notify(engine)
    async with relaying(engine, rasa, paper):
        (text,) = await paper.until("ann", 1)
    assert text.startswith("包裹送到啦\n1. 查看物流")
    [shown] = paper.bubbles["ann"]
    assert shown.occasion and (shown.occasion.kind, shown.occasion.values["carrier"]) == ("parcel_delivered", "顺丰")
    async with AsyncSession(engine) as session:
        assert await choices.pick(session, "paper:ann", "1", datetime.now(UTC)) == BUTTON["payload"]


async def test_a_bot_that_is_away_is_told_later_and_once(engine: AsyncEngine, rasa: FakeRasa) -> None:
    await account(engine, "paper:ann")
    paper = Paper()
    rasa.failures += [500, b"not an answer"]
    await notify(engine)
    async with relaying(engine, rasa, paper):
        assert len(await paper.until("ann", 1)) == 1
        await ends(engine)
    assert [event["text"] for event in rasa.notices] == ["utter_notice_parcel_delivered"]
    assert len(paper.tries) == 1


async def test_relays_that_run_at_once_say_it_once(engine: AsyncEngine, rasa: FakeRasa) -> None:
    await account(engine, "paper:ann")
    paper = Paper()
    for number in range(10):
        await notify(engine, about=f"shipment:{number}", cause=str(number))
    async with relaying(engine, rasa, paper), relaying(engine, rasa, paper), relaying(engine, rasa, paper):
        await ends(engine)
    assert len(paper.texts("ann")) == len(rasa.notices) == 10


async def test_what_waits_for_a_shut_window_gives_way_to_what_is_newer(engine: AsyncEngine, rasa: FakeRasa) -> None:
    await account(engine, "paper:ann")
    paper = Paper(outcomes=[Parked("window"), Parked("window")])
    await notify(engine, "parcel_delayed", month="3", day="4", date="2026-03-04")
    async with relaying(engine, rasa, paper):
        await ends(engine)
        await notify(engine)
        found = await ends(engine)
    states = [(kind, state, why) for channel, kind, state, why in found if channel == "paper"]
    assert states == [
        ("parcel_delayed", State.DONE, "replaced"),
        ("parcel_delivered", State.PARKED, "window"),
    ]


@pytest.mark.parametrize(
    "kind, outcomes, tries, state",
    [
        ("parcel_delivered", [Unknown("timeout")], 2, State.SENT),  # it may come twice
        ("broadcast", [Unknown("timeout")], 1, State.UNKNOWN),
        ("broadcast", [Dead("person:43004")], 1, State.DEAD),
    ],
)
async def test_how_it_ends(
    engine: AsyncEngine,
    rasa: FakeRasa,
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
    outcomes: Collection[Outcome],
    tries: int,
    state: State,
) -> None:
    monkeypatch.setattr("connectors.delivery.backoff", lambda _: timedelta())
    await account(engine, "paper:ann")
    paper = Paper(outcomes=[*outcomes])
    await notify(engine, kind)
    async with relaying(engine, rasa, paper):
        found = await ends(engine)
    assert (len(paper.tries), found[-1][2]) == (tries, state)
    async with AsyncSession(engine) as session:
        assert bool(await people.heard(session, "C1")) == (state is not State.DEAD)  # who has left is not written to


async def test_results_of_a_broadcast_by_channel(engine: AsyncEngine, rasa: FakeRasa) -> None:
    await account(engine, "paper:ann")
    await account(engine, "letter:bob", customer="C2")
    await notify(engine, "broadcast", "broadcast:7", customer="C1")
    await notify(engine, "broadcast", "broadcast:7", customer="C2")
    async with AsyncSession(engine.execution_options(**WRITES)) as session, session.begin():
        now = datetime.now(UTC)
        session.add(models.NoticeChoice(customer_id="C2", marketing=False, changed_at=now, told=0))
    async with relaying(engine, rasa, Paper(outcomes=[Parked("window")]), Paper("letter")):
        await ends(engine)
    async with AsyncSession(engine) as session:
        assert await notices.broadcasts.results(session, 7) == [(None, "unsubscribed", 1), ("paper", "parked", 1)]
