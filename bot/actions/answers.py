"""Which answers of the graph fit what a customer has just said, and where an answer comes from."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from rasa_sdk import Tracker
from rasa_sdk.executor import CollectingDispatcher

from bot.actions.focus import Focus
from bot.actions.graphs import ask, get_answering
from bot.actions.turn import Turn
from knowledge_graph import Answer, Found, Question, content, gaps


async def find_answers(tracker: Tracker, turn: Turn) -> list[Found]:
    """The likeliest, with what is being talked of in mind; none for a button or a bare number."""
    if not turn.words.strip():
        return []
    near = frozenset[str]()
    if product_id := Focus(tracker).at_hand("product"):
        belonging: list[Answer] = await ask(lambda graph: content.applying_to(graph, product_id), [])
        near = frozenset(answer.id for answer in belonging)
    answering = await get_answering()
    asked = [Question(turn.words, turn.topic, near)]
    return (await asyncio.to_thread(answering.find, asked))[0]


def say_plainly(dispatcher: CollectingDispatcher, found: Found) -> None:
    """The rule itself, without an order."""
    say_text(dispatcher, found.answer)
    cite(dispatcher, found)


def say_text(dispatcher: CollectingDispatcher, answer: Answer) -> None:
    dispatcher.utter_message(response="utter_answer", answer=answer.text, title=answer.title)


async def note_gap(turn: Turn) -> None:
    """Counts a question that has no answer yet, for the trainers: without the customer's own numbers."""
    if turn.words.strip():
        await ask(lambda graph: gaps.record(graph, turn.words.strip(), turn.topic), None)


def button(answer: Answer) -> dict[str, str]:
    return {"title": answer.title, "payload": f"/ask_policy{json.dumps({'answer': answer.id})}"}


def cite(dispatcher: CollectingDispatcher, found: Found) -> None:
    """Names the source with what was said last."""
    answer = found.answer
    source = {"id": answer.id, "title": answer.title, "topic": answer.topic, "score": found.score}
    if answer.valid_until:
        source["valid_until"] = answer.valid_until.isoformat()
    message: dict[str, Any] = dispatcher.messages[-1]
    message["custom"] = {"source": source}
