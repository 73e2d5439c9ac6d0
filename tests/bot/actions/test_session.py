"""A conversation that was left for a day starts afresh, and keeps what was left undone."""

from __future__ import annotations

from typing import Any

from bot.actions.house import SessionStart
from tests.bot.actions.said import Said, answer, frame

RETURN = {"order_id": "ORD12345", "reason": "dislike", "ticket_kind": "return", "phone_tail": None, "proved": True}


async def start(stack: list[dict[str, Any]], **slots: Any) -> Said:
    return await answer(SessionStart(), "在吗", "greet", turn=5, lost=2, stack=stack, **slots)


async def test_what_was_left_undone_waits() -> None:
    left = frame("after_sales", "request_return", asked="reason", asks={"reason": 2}, fresh=False)
    told = await start([left], **RETURN, focus={"order": {"id": "ORD12345", "turn": 4}})
    assert (told.responses, told.events) == ([], ["session_started", "action"])
    (waiting,) = told.slots["dialogue"]["stack"]
    assert (waiting["status"], waiting["fresh"], waiting["asks"], waiting["asked"]) == ("waiting", True, {}, "reason")
    assert (told.slots["dialogue"]["turn"], told.slots["dialogue"]["lost"]) == (5, 0)
    assert {name: told.slots[name] for name in ("order_id", "reason", "ticket_kind", "proved", "language")} == {
        "order_id": "ORD12345",
        "reason": "dislike",
        "ticket_kind": "return",
        "proved": True,
        "language": "zh",
    }
    assert told.focus["order"] == "ORD12345"


async def test_what_was_summed_up_is_not_carried_over() -> None:
    told = await start(
        [frame("after_sales", "request_return", asked="confirmed")], **RETURN, summary="x", confirmed="x"
    )
    assert not {"summary", "confirmed"} & set(told.slots)


async def test_a_request_beneath_a_question_gets_its_values_back() -> None:
    """The question had the slot of the order; it is gone, and the request's own value stands in its frame."""
    request = frame("after_sales", "request_return", values={"order_id": "ORD12345", "summary": "x"})
    question = frame("order_status", "order_status")
    told = await start([request, question], order_id="ORD99999", reason="dislike")
    assert (told.slots["order_id"], told.slots["reason"]) == ("ORD12345", "dislike")
    assert told.slots["dialogue"]["stack"][0]["values"] == {}


async def test_of_two_requests_each_keeps_its_own() -> None:
    below = frame("after_sales", "request_return", "parked", values={"order_id": "ORD1", "reason": "quality"})
    above = frame("request_invoice", "request_invoice", "next")
    told = await start([below, above], order_id="ORD2", reason="dislike", invoice_kind="personal")
    assert (told.slots["order_id"], told.slots["invoice_kind"]) == ("ORD2", "personal")
    assert told.slots["reason"] == "dislike"  # only the return has it
    first, second = told.slots["dialogue"]["stack"]
    assert (first["status"], second["status"]) == ("waiting", "waiting")
    assert first["values"] == {"order_id": "ORD1"}


async def test_an_offer_of_yesterday_is_not_on_the_screen_any_more() -> None:
    offered = {**frame("after_sales", "request_return", "waiting"), "offered_in": 1}
    told = await start([offered], **RETURN)
    assert told.slots["dialogue"]["stack"][0]["offered_in"] == 0


async def test_a_question_that_was_left_is_forgotten() -> None:
    told = await start(
        [frame("order_status", "order_status", asked="order_id")], order_id="ORD12345", missing="order_id"
    )
    assert told.slots["dialogue"]["stack"] == []
    assert set(told.slots) == {"dialogue", "language"}


async def test_the_first_session() -> None:
    told = await answer(SessionStart(), "你好", "greet", dialogue=None, language=None)
    assert (told.slots, told.events) == ({}, ["session_started", "action"])


async def test_an_operator_goes_on_talking() -> None:
    told = await answer(SessionStart(), "你好", "greet", paused=True)
    assert told.events == ["session_started", "pause", "action"]
