"""How worried a customer is: by the words of the message, and by the state of things."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from rasa_sdk import Tracker

from bot.actions.worry_state import FILE, Worry, angry_again, read, worried
from mall_adapter.values import Order, OrderStatus, Shipment

NOW = datetime(2026, 3, 11, 2, 0, tzinfo=UTC)
ID = "ORD10000000002"
CALM = {"score": 0.1, "label": "neutral", "cues": []}
AFRAID = {"score": 0.8, "label": "worry", "cues": ["担心"]}


def order(status: OrderStatus = OrderStatus.SHIPPED, parcel: str = "in_transit", promised: int = 2) -> Order:
    """``promised`` days from now is the day of dispatch, or of arrival."""
    day = NOW + timedelta(days=promised)
    shipment = Shipment("S1", "疾鹿速运", "JL1", parcel, day, NOW - timedelta(days=3), None, ())
    shipped = status is OrderStatus.SHIPPED
    return Order(ID, status, NOW - timedelta(days=4), 9900, day, None, (), (shipment,) if shipped else ())


def said(intent: str, hours_ago: float = 0, worry: Any = CALM, about: str | None = None) -> dict[str, Any]:
    entities = [{"entity": "order_id", "value": about}] if about else []
    parse = {"intent": {"name": intent}, "entities": entities, "worry": worry}
    at = (NOW - timedelta(hours=hours_ago)).timestamp()
    return {"event": "user", "text": "？", "timestamp": at, "parse_data": parse}


def noticed(about: str = ID, response: str = "utter_notice_presale_moved") -> dict[str, Any]:
    """What the house said unasked, two days ago."""
    data = {"buttons": [{"title": "查看订单", "payload": f'/order_status{{"order_id": "{about}"}}'}]}
    at = (NOW - timedelta(days=2)).timestamp()
    return {"event": "bot", "text": "…", "timestamp": at, "metadata": {"utter_action": response}, "data": data}


def judged(events: list[dict[str, Any]], about: Order | None) -> Worry:
    last = events[-1]["parse_data"]
    return worried(Tracker("web:ann", {}, last, events, False, None, {}, "action_listen"), about, NOW)


ANGRY = {"score": 0.9, "label": "anger", "cues": []}


@pytest.mark.parametrize(
    ("messages", "again"),
    [
        pytest.param([said("track_parcel", 0, ANGRY)], False, id="the first time"),
        pytest.param([said("complain", 2, ANGRY), said("track_parcel", 0, ANGRY)], True, id="the second"),
        pytest.param([said("complain", 2, ANGRY), said("track_parcel")], False, id="calm again"),
        pytest.param([said("track_parcel", 2, AFRAID), said("track_parcel", 0, ANGRY)], False, id="worried before"),
        pytest.param([said("complain", 30, ANGRY), said("track_parcel", 0, ANGRY)], False, id="angry yesterday"),
        pytest.param([said("complain", 2, 0.9), said("track_parcel", 0, ANGRY)], False, id="an older conversation"),
    ],
)
def test_whoever_is_angry_again(messages: list[dict[str, Any]], again: bool) -> None:
    last = messages[-1]["parse_data"]
    tracker = Tracker("web:ann", {}, last, messages, False, None, {}, "action_listen")
    assert angry_again(tracker, NOW) is again


ASKED = [said("track_parcel", 5), said("order_status", 1), said("track_parcel")]
PAST, LOST = order(promised=-1), order(parcel="lost")
WAITING = order(OrderStatus.PRESALE)


@pytest.mark.parametrize(
    ("events", "about", "held"),
    [
        pytest.param([said("track_parcel")], order(), (), id="a calm question"),
        pytest.param([said("track_parcel")], None, (), id="no order known"),
        pytest.param(ASKED, order(), ("asked_again",), id="the third question that day"),
        pytest.param(ASKED[1:], order(), (), id="the second"),
        pytest.param([said("track_parcel", 30), *ASKED[1:]], order(), (), id="the first was yesterday"),
        pytest.param([said("track_parcel", 5, about="ORD9"), *ASKED[1:]], order(), (), id="the first meant another"),
        pytest.param([said("track_parcel", 5, about=ID), *ASKED[1:]], order(), ("asked_again",), id="named it"),
        pytest.param([*ASKED, said("thank")], order(), (), id="thanks ask nothing"),
        pytest.param([said("order_status")], PAST, ("promise_passed",), id="late"),
        pytest.param([said("order_status")], order(OrderStatus.PAID, promised=-1), ("promise_passed",), id="overdue"),
        pytest.param([said("order_status")], LOST, ("parcel_lost",), id="lost"),
        pytest.param([noticed(), said("order_status")], WAITING, ("presale_moved",), id="put off"),
        pytest.param([noticed("ORD9"), said("order_status")], WAITING, (), id="another was put off"),
        pytest.param([noticed(), said("order_status")], order(), (), id="put off, and gone since"),
        pytest.param([noticed(response="utter_notice_shipped"), said("order_status")], WAITING, (), id="other news"),
        pytest.param([said("chitchat", 2, AFRAID), said("inform")], None, ("worried_before",), id="worried before"),
        pytest.param([said("chitchat", 30, AFRAID), said("inform")], None, (), id="worried long ago"),
        pytest.param([said("chitchat", 2, 0.9), said("inform")], None, (), id="of older conversations, a number"),
        pytest.param([said("chitchat", 2, AFRAID), *ASKED], PAST, ("worried_before", "asked_again", "promise_passed")),
    ],
)
def test_what_adds_to_a_worry(events: list[dict[str, Any]], about: Order | None, held: tuple[str, ...]) -> None:
    worry = judged(events, about)
    assert worry.cues == held
    assert (worry.score > 0.1) is bool(held)


def test_each_takes_its_share_of_what_is_missing() -> None:
    assert judged([said("track_parcel")], PAST) == Worry(0.46, "neutral", ("promise_passed",))
    assert judged(ASKED, PAST) == Worry(0.622, "worry", ("asked_again", "promise_passed"))


@pytest.mark.parametrize(
    ("label", "after"),
    [("neutral", "worry"), ("urge", "worry"), ("worry", "worry"), ("anger", "anger"), ("?", "worry")],
)
def test_the_state_of_things_makes_nobody_less_angry(label: str, after: str) -> None:
    events = [*ASKED[:2], said("track_parcel", worry={"score": 0.4, "label": label, "cues": ["还没到"]})]
    assert judged(events, LOST) == Worry(0.79, after, ("还没到", "asked_again", "parcel_lost"))  # type: ignore[arg-type]


def test_a_button_and_an_older_message_have_no_words() -> None:
    assert judged([said("order_status", worry=0.2)], order()) == Worry(0.0, "neutral", ())


@pytest.mark.parametrize(
    "change",
    [
        {"shares": {"asked_again": 0.3}},
        {"shares": {**yaml.safe_load(FILE.read_text("utf-8"))["shares"], "parcel_lost": 1}},
        {"worried_from": 2},
        {"weather": 1},
    ],
)
def test_a_table_that_is_not_well_made_is_refused(tmp_path: Path, change: dict[str, Any]) -> None:
    path = tmp_path / "circumstances.yml"
    path.write_text(yaml.safe_dump(yaml.safe_load(FILE.read_text("utf-8")) | change), "utf-8")
    with pytest.raises(ValueError, match=r"exactly|shares"):
        read(path)
