"""Which answers of the graph fit what a customer has just said, and where an answer comes from."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

from rasa_sdk import Tracker
from rasa_sdk.executor import CollectingDispatcher

from bot import patterns
from bot.actions.focus import Focus
from bot.actions.graphs import ask, get_answering
from bot.actions.turn import Turn
from bot.spelling import plain
from knowledge_graph import Answer, Found, Question, content, gaps, sure

TOLD_BESIDE = 0.8
"""Chance from which the second question of a message is answered, too."""

LIKELY = 0.35
"""Chance from which what goes on from the question before is asked together with it."""

QUOTABLE, MOST_QUOTED_FROM = 14, 2
"""Characters of a customer's words that are quoted, and so many pieces of a message in which they may stand."""

SURELY_AGAIN = 0.9
"""Chance from which a question that nothing fits by itself is one about what was just told: "几天之内"."""

SHORTEST, MOST = 4, 4
"""Characters of a question that stands beside another one, and so many of them are read."""

MOST_RULED_OUT = 0.95
"""Chance that is given to the others at most: what is left of it where one was sure is noise."""

_ASKS = patterns.read(patterns.FOLDER / "clauses.yml")["question"]
_BETWEEN = re.compile(r"(?:[,，。！!？?；;\s~…、]|(?<!\d)\.|\.(?!\d))+")
_COUNTS = re.compile(r"\d")


@dataclass(frozen=True, slots=True)
class Asked:
    """``best``: the likeliest answers; ``beside``: that to the other question of a message that asks two things;
    ``chosen``: it was picked from a list."""

    best: list[Found] = field(default_factory=list)
    beside: Found | None = None
    chosen: bool = False


def pieces_of(words: str) -> list[str]:
    """What stands between blanks and punctuation, where it is long enough to say something."""
    return [piece for piece in _BETWEEN.split(words.strip()) if len(piece) >= SHORTEST]


def _without(found: list[Found], wrong: Collection[str]) -> list[Found]:
    """What is left where these are ruled out: the others are the likelier."""
    left = 1 - min(sum(one.score for one in found if one.answer.id in wrong), MOST_RULED_OUT)
    return [Found(one.answer, min(one.score / left, 1.0)) for one in found if one.answer.id not in wrong]


async def find_answers(
    tracker: Tracker,
    turn: Turn,
    before: Sequence[str] = (),
    goes_on: bool = False,
    of_rules: bool = False,
    wrong: Collection[str] = (),
) -> Asked:
    """With what is being talked of in mind; nothing for a button or a bare number.

    ``of_rules``: goods that are named only say what the rule is wanted for ("月饼还能无理由退吗").
    ``before``: the question before this one and what it was answered with, where this one may go on from it
    ("那质量问题呢", "会过期么"): the other answers of that topic are a little ahead then. Together with one of them it
    is what is asked where that is the surer, or, if it surely ``goes_on`` or has no subject of its own, where that is
    likely.
    ``wrong``: answers that the customer has said are not meant. Of "我不是孕妇，问的是敏感肌"
    each half is read for itself.
    """
    words = turn.words.strip()
    if not words:
        return Asked()
    near = frozenset[str]()
    if product_id := Focus(tracker).at_hand("product"):
        belonging: list[Answer] = await ask(lambda graph: content.applying_to(graph, product_id), [])
        near = frozenset(answer.id for answer in belonging)
    pieces = pieces_of(words)
    pieces = pieces if 2 <= len(pieces) <= MOST else []
    together = [f"{one} {words}" for one in before]
    rule = turn.question.strip() if of_rules and turn.names_goods else ""
    apart = [rule] if len(rule) >= SHORTEST else []
    answering = await get_answering()
    told = answering.answer(Focus(tracker).at_hand("answer") or "")
    beside_it = answering.of_topic(told.topic) if told and before and not turn.bare else frozenset[str]()
    # all at once: the encoder is what costs
    asked = [Question(words, near | beside_it), *(Question(text, near) for text in (*together, *pieces, *apart))]
    found = await asyncio.to_thread(answering.find, asked)
    if apart and (without := found.pop()) and (not found[0] or without[0].score > found[0][0].score):
        found[0] = without
    if wrong:
        found = [_without(one, wrong) for one in found]
        found[0] = max([found[0], *found[len(found) - len(pieces) :]], key=lambda one: one[0].score if one else 0.0)
    asking = [
        one for piece, one in zip(pieces, found[len(found) - len(pieces) :], strict=True) if _ASKS.search(plain(piece))
    ]
    if len(asking) == 1 and asking[0] and (not found[0] or asking[0][0].score > found[0][0].score):
        found[0] = asking[0]  # "先问下 要拍照吗？鞋盒我都扔了": what is told beside it is not asked
    goes_on = goes_on or turn.bare
    joined = _gone_on(found[0], found[1 : 1 + len(together)], told, turn, goes_on)
    if joined and (not found[0] or joined[0].score > found[0][0].score or (goes_on and joined[0].score >= LIKELY)):
        return Asked(joined)
    return Asked(found[0], _beside(found[0], found[len(found) - len(pieces) :]))


def _gone_on(
    best: list[Found], together: Sequence[list[Found]], told: Answer | None, turn: Turn, goes_on: bool
) -> list[Found]:
    """What the message asks with what came before it in mind; nothing where that only says once more what was told, and
    the message has an answer of its own (``best``).

    Of ``together`` the first has the question before in front of the words, and counts where it leads to what that was
    answered with, or near it. The second has the title of what was told, beside which nearly everything sounds like
    that one again: it counts where it leads to another.
    """
    likely = [one for one in together if one]
    if told and len(likely) > 1:
        question, answer = likely
        near, another = question[0].answer.topic == told.topic, answer[0].answer.id != told.id
        likely = [one for one, counts in ((question, near), (answer, another)) if counts]
    joined = max(likely, key=lambda one: one[0].score, default=[])
    if told is None or not joined or joined[0].answer.id != told.id or (best and best[0].answer.id == told.id):
        return joined
    if len(joined) > 1 and joined[1].score >= joined[0].score / 2:  # who asks on wants another
        return _without(joined, {told.id})
    if turn.bare:  # "几天能换好" is asked of exchanges, "可以换吗" of the title of an invoice
        by_itself = sure(best) and best[0].answer.topic == told.topic
    elif goes_on:
        by_itself = sure(best) and not turn.leaves_out
    else:
        by_itself = sure(best) or joined[0].score < SURELY_AGAIN
    return [] if by_itself else joined


def _beside(best: list[Found], pieces: list[list[Found]]) -> Found | None:
    likely = [one[0] for one in pieces if one and one[0].score >= TOLD_BESIDE]
    others = [one for one in likely if one.answer.id != best[0].answer.id]
    return others[0] if len(others) == 1 and len(likely) > 1 and sure(best) else None


def say_plainly(dispatcher: CollectingDispatcher, found: Found) -> None:
    """The rule itself, without an order."""
    say_text(dispatcher, found.answer)
    cite(dispatcher, found)


def say_text(dispatcher: CollectingDispatcher, answer: Answer) -> None:
    dispatcher.utter_message(response="utter_answer", answer=answer.text)


def subject_of(turn: Turn) -> str:
    """What a message asks, in its own words, where one can quote them: a short question and little beside it, and
    nobody who contradicts hears an own sentence again."""
    pieces = pieces_of(turn.words)
    asked = [piece for piece in pieces if _ASKS.search(plain(piece)) and not _COUNTS.search(piece)]
    quotable = len(asked) == 1 and len(pieces) <= MOST_QUOTED_FROM and len(asked[0]) <= QUOTABLE
    return asked[0] if quotable and not turn.acts & {"objection", "restates", "condition"} else ""


async def note_gap(tracker: Tracker, turn: Turn) -> None:
    """Counts a question that has no answer yet, for the trainers: without the customer's own numbers."""
    if words := turn.words.strip():
        await ask(lambda graph: gaps.record(graph, words, turn.topic, sender=tracker.sender_id), None)


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
