"""One message as the actions read it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import pytest
from rasa_sdk import Tracker

from bot.actions.focus import pointed_at
from bot.actions.turn import Turn
from bot.actions.wording import day
from settings import SHANGHAI


def said(
    text: str,
    entities: Sequence[dict[str, Any]] = (),
    intent: str = "nlu_fallback",
    acts: Sequence[str] = (),
    **more: Any,
) -> Tracker:
    message = {
        "text": text,
        "entities": list(entities),
        "intent": {"name": intent, "confidence": 0.9},
        "acts": list(acts),
        **more,
    }
    event = {"event": "user", "text": text, "parse_data": message, "message_id": "m1"}
    return Tracker("a", {}, message, [event], False, None, {}, "action_listen")


@pytest.mark.parametrize(
    ("acts", "intent", "yes"),
    [
        (["yes"], "nlu_fallback", True),
        (["yes_weak", "ack"], "nlu_fallback", True),
        ([], "affirm", True),
        (["no"], "nlu_fallback", False),
        ([], "deny", False),
        (["ack"], "thank", None),
    ],
)
def test_yes_and_no(acts: list[str], intent: str, yes: bool | None) -> None:
    assert Turn.of(said("…", intent=intent, acts=acts)).yes is yes


def test_a_question_is_one_by_its_words() -> None:
    assert Turn.of(said("能退吗", acts=["question"])).asks
    assert not Turn.of(said("退货", intent="ask_policy")).asks


@pytest.mark.parametrize(
    ("text", "places", "expected"),
    [
        ("…", [2], ["b"]),
        ("…", [-1], ["c"]),
        ("…", [1, 3], ["a", "c"]),
        ("…", [4], []),
        ("…", [0], []),
        ("…", [], []),
        ("2", [], ["b"]),
        ("12", [], []),
    ],
)
def test_pointing_at_what_was_listed(text: str, places: list[int], expected: list[str]) -> None:
    turn = Turn.of(said(text, [{"entity": "ordinal", "value": place, "start": 0, "end": 0} for place in places]))
    listed = [{"kind": "order", "id": name, "title": name} for name in "abc"]
    assert [one["id"] for one in pointed_at(turn, listed)] == expected
    assert pointed_at(turn, []) == []


@pytest.mark.parametrize(
    ("text", "number", "words"),
    [
        ("订单 ORD12345 还能退吗", "ORD12345", "还能退吗"),
        ("ORD12345还能价保吗", "ORD12345", "还能价保吗"),
        ("我的订单号是ORD12345，能退吗", "ORD12345", "我的 ，能退吗"),
        ("can I return order ORD12345", "ORD12345", "can I return"),
        ("ORD12345", "ORD12345", ""),
        ("这个订单还能退吗", None, "这个订单还能退吗"),
        ('/ask_policy{"answer": "x"}', None, ""),
    ],
)
def test_the_words_of_a_question_without_its_numbers(text: str, number: str | None, words: str) -> None:
    start = text.find(number) if number else 0
    found = [{"entity": "order_id", "value": number, "start": start, "end": start + len(number)}] if number else []
    assert " ".join(Turn.of(said(text, found)).words.split()) == words


def test_of_several_requests_the_one_that_the_action_runs_for() -> None:
    parts = [{"text": "运费谁出", "topic": "return_exchange"}, {"text": "快递到哪了", "topic": "delivery"}]
    tracker = said("运费谁出 快递到哪了", parts=parts)
    top = {"flow": "track_parcel", "began": 3, "part": 1}
    tracker.slots["dialogue"] = {"turn": 3, "stack": [top]}
    assert (Turn.of(tracker).text, Turn.of(tracker).topic) == ("快递到哪了", "delivery")
    assert Turn.whole(tracker).text == "运费谁出 快递到哪了"
    tracker.slots["dialogue"] = {"turn": 4, "stack": [top]}  # it began earlier: the message is not its own
    assert Turn.of(tracker).text == "运费谁出 快递到哪了"


@pytest.mark.parametrize(("years", "told"), [(0, "{month}月5日"), (1, "{year}年{month}月5日")])
def test_a_day_of_an_earlier_year_is_told_with_it(years: int, told: str) -> None:
    now = datetime.now(SHANGHAI)
    moment = now.replace(year=now.year - years, day=5)
    tracker = Tracker("web:x", {"language": "zh"}, {}, [], False, None, {}, "action_listen")
    assert day(tracker, moment) == told.format(year=moment.year, month=moment.month)
