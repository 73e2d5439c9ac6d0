"""What is said of an offer below the facts of an order: to whom, and to whom nothing is."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from rasa_sdk import Tracker
from rasa_sdk.executor import CollectingDispatcher
from sqlalchemy.ext.asyncio import AsyncSession

import settings
from bot.actions import malls
from bot.actions.compensation import AcceptOffer, DeclineOffer, OfferCompensation
from mall_adapter import Offers, SqlMall
from mall_adapter.offers import OfferLimits, OfferTable, Rules
from storage import WRITES, create_engine, migrate
from tests.bot.actions.asking import DOMAIN, add_orders
from tests.mall_adapter.goods import empty

LATE, LOST, TRAVELS = "ORD10000000002", "ORD10000000003", "ORD10000000004"
EVERYBODY = {"name": "all", "variants": {"usual": {"share": 100, "percent": 100}}}


@pytest.fixture(scope="module")
def address(house: Path) -> str:
    url = f"sqlite+aiosqlite:///{house}/compensation.db"
    asyncio.run(migrate(url))
    return url


@pytest.fixture(autouse=True)
async def shop(address: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[SqlMall]:
    engine = create_engine(address)
    file = yaml.safe_load(settings.budgets_file().read_text("utf-8")) | {"experiment": EVERYBODY}
    rules = Rules(OfferTable.load(), OfferLimits(yaml.safe_dump(file, allow_unicode=True)))
    mall = SqlMall(engine)
    monkeypatch.setattr(malls._mall, "room", mall)
    monkeypatch.setattr(malls._offers, "room", Offers(engine, rules))
    async with AsyncSession(engine.execution_options(**WRITES)) as session, session.begin():
        await empty(session)
        add_orders(session)
    yield mall
    await engine.dispose()


def said(text: str, label: str, number: int, **entities: str) -> dict[str, Any]:
    parse = {
        "text": text,
        "intent": {"name": "order_status", "confidence": 0.9},
        "worry": {"score": 0.9 if label in ("worry", "anger") else 0.1, "label": label, "cues": []},
        "entities": [{"entity": name, "value": value, "start": 0, "end": 0} for name, value in entities.items()],
    }
    return {"event": "user", "text": text, "parse_data": parse, "message_id": f"m{number}", "metadata": {}}


async def meets(
    action: OfferCompensation | AcceptOffer | DeclineOffer,
    *messages: dict[str, Any],
    order: str = LATE,
    told: int = 3,
    sender: str = "web:ann",
    **slots: Any,
) -> list[dict[str, Any]]:
    """What is said to the last message in turn 3; the order was told in turn ``told``."""
    known = {"dialogue": {"turn": 3, "stack": []}, "focus": {"order": {"id": order, "turn": told}}, **slots}
    tracker = Tracker(sender, known, messages[-1]["parse_data"], list(messages), False, None, {}, "action_listen")
    dispatcher = CollectingDispatcher()
    await action.run(dispatcher, tracker, DOMAIN)
    for message in dispatcher.messages:  # whichever variant is said, all of its values are there
        for variant in DOMAIN["responses"][message["response"]]:
            variant["text"].format_map(message)
    heard: list[dict[str, Any]] = dispatcher.messages
    return heard


@pytest.mark.parametrize(
    ("label", "order", "response"),
    [
        ("worry", LATE, "utter_offer_coupon"),
        ("anger", LATE, "utter_offer_coupon"),
        ("urge", TRAVELS, "utter_offer_faster"),
        ("worry", LOST, "utter_offer_person"),
        ("anger", "ORD10000000001", "utter_offer_freight"),
        ("worry", "ORD10000000006", "utter_offer_coupon"),
    ],
)
async def test_what_is_offered(label: str, order: str, response: str) -> None:
    (message,) = await meets(OfferCompensation(), said("怎么还没到", label, 1), order=order)
    assert message["response"] == response


@pytest.mark.parametrize(
    "more",
    [
        {"told": 2},  # another order was talked of, or none
        {"sender": "web:ben"},
        {"sender": "web:guest"},
        {"queued": True},
        {"order": TRAVELS, "label": "worry"},
        {"order": TRAVELS, "label": "neutral"},
    ],
    ids=str,
)
async def test_who_hears_no_more_than_the_facts(more: dict[str, Any]) -> None:
    label = more.pop("label", "worry")
    assert await meets(OfferCompensation(), said("怎么还没到", label, 1), **more) == []


async def test_who_asked_for_money_before_gets_none() -> None:
    demand = said("给我赔100", "anger", 1, complaint="compensation")
    assert await meets(OfferCompensation(), demand, said("我很担心", "worry", 2)) == []
    assert await meets(OfferCompensation(), said("我很担心", "worry", 3)) == []  # nor in another conversation


async def test_who_is_angry_once_more_gets_none() -> None:
    assert await meets(OfferCompensation(), said("气死人了", "anger", 1), said("还没到? 骗子", "anger", 2)) == []


async def test_it_is_taken_once(shop: SqlMall) -> None:
    (offer,) = await meets(OfferCompensation(), said("我很担心", "worry", 1))
    tap = said("/accept_offer", "neutral", 2, offer_id=offer["offer_id"])
    for _ in range(2):
        (message,) = await meets(AcceptOffer(), tap)
        assert (message["response"], message["yuan"]) == ("utter_offer_accepted_coupon", "¥10")
    assert [coupon.off_cents for coupon in await shop.coupons_of("web:ann")] == [1000]
    (message,) = await meets(DeclineOffer(), said("不要了", "neutral", 3, offer_id=offer["offer_id"]))
    assert message["response"] == "utter_offer_accepted_coupon"  # what was taken stays


async def test_it_is_declined_in_words(shop: SqlMall) -> None:
    await meets(OfferCompensation(), said("我很担心", "worry", 1))
    (message,) = await meets(DeclineOffer(), said("不要券", "neutral", 2))
    assert message["response"] == "utter_offer_declined"
    for action in (AcceptOffer(), DeclineOffer()):
        (message,) = await meets(action, said("券我要了", "neutral", 3))
        assert message["response"] == "utter_offer_none"
    assert await shop.coupons_of("web:ann") == []


async def test_a_button_of_anothers_offer_opens_nothing() -> None:
    (offer,) = await meets(OfferCompensation(), said("我很担心", "worry", 1))
    tap = said("/accept_offer", "neutral", 2, offer_id=offer["offer_id"])
    (message,) = await meets(AcceptOffer(), tap, sender="web:ben")
    assert message["response"] == "utter_offer_over"
