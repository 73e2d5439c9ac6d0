"""What whoever presses hears: of the ticket, the order, the rule or the goods at hand, and with nothing at hand."""

from __future__ import annotations

from typing import Any

import pytest

from bot.actions.next_step import SayNext
from knowledge_graph import Graph
from tests.bot.actions.said import Said, answer, at_hand, frame

PRESSED = [frame("pattern_pressed", began=2)]


async def press(**more: Any) -> Said:
    return await answer(SayNext(), "给个准话", acts=["presses"], stack=PRESSED, **more)


@pytest.mark.parametrize(
    ("focus", "response"),
    [
        ({"answer": "return_freight"}, "utter_next_answer"),
        ({"order": "ORD10001"}, "utter_next_order"),
        ({"order": "ORD10004"}, "utter_urge_paid"),
        ({"unknown": "any"}, "utter_unknown_person"),
        ({"order": "ORD10001", "unknown": "any"}, "utter_unknown_person"),
        ({}, "utter_say_what"),
    ],
)
async def test_what_is_at_hand_is_told_on(focus: dict[str, Any], response: str, answers: Graph) -> None:
    told = await press(focus=at_hand(**focus))
    assert told.responses == [response]


async def test_whose_turn_it_is_with_a_request(answers: Graph, ticket: str) -> None:
    told = await press(focus=at_hand(ticket=ticket))
    assert told.responses == ["utter_next_ticket_send"]


async def test_pressed_again_a_person_is_offered(answers: Graph) -> None:
    first = await press(focus=at_hand(order="ORD10001"))
    again = await press(turn=3, focus=first.slots["focus"])
    assert again.responses == ["utter_next_order", "utter_further_offer"]


async def test_the_rule_is_one_sentence_and_not_told_twice(answers: Graph) -> None:
    told = await press(focus=at_hand(answer="return_freight"))
    assert told.text.count("。") <= 2
    again = await press(turn=3, focus=told.slots["focus"])
    assert again.responses[0] == "utter_unknown_person"
