"""Answers to customers' questions, from the answers that are in the graph now."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

from neo4j.exceptions import DriverError, Neo4jError

from knowledge_graph import content, learning
from knowledge_graph.client import Graph, GraphDown
from knowledge_graph.content import Answer
from knowledge_graph.entries import Fact
from knowledge_graph.learning import LearningFailed
from knowledge_graph.retrieval import Hit, Question, Retriever
from settings import SHANGHAI

log = logging.getLogger(__name__)

SURE = 0.6
"""From this probability an answer is given: a wrong one costs more than a question back."""

CERTAIN = 0.999
"""From this one it was asked in the very words of a way of asking."""

CLOSE = 0.5
"""Else, when it is among the likeliest few with this probability, the customer is asked which one they mean."""

LOOK_SECONDS = 3.0


@dataclass(frozen=True, slots=True)
class Found:
    answer: Answer
    score: float  # probability that it is what was asked for


def sure(found: Sequence[Found | Hit]) -> bool:
    return bool(found) and found[0].score >= SURE


class Answering:
    """Keeps the answers of the graph at hand, with the retriever that finds them."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._retriever: Retriever | None = None
        self._answers: dict[str, Answer] = {}
        self._versions: dict[str, str] = {}
        self._ready = asyncio.Event()

    @property
    def ready(self) -> bool:
        return self._ready.is_set()

    async def wait(self, seconds: float) -> bool:
        """Waits until there are answers; have they come in time?"""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._ready.wait()
        return self.ready

    async def keep(self) -> None:
        """Until it is cancelled: follows the graph. While it is away, the answers stay as they were."""
        while True:
            try:
                await self.look(apart=True)
            except GraphDown:
                pass  # its health says so
            except (LearningFailed, OSError, ValueError) as error:
                log.warning("answers stay as they were: %s", error)
            except (DriverError, Neo4jError) as error:  # their words may quote what is stored
                log.warning("answers stay as they were: %s", type(error).__name__)
            await asyncio.sleep(LOOK_SECONDS)

    async def look(self, apart: bool = False) -> None:
        """Takes over what has changed in the graph; ``apart``: in a process of its own. Raises GraphDown."""
        versions = await content.versions(self._graph)
        if versions == self._versions or len(versions) < 2:
            return
        answers = await content.answers(self._graph)
        known = learning.subjects(answers)
        name = await asyncio.to_thread(learning.fingerprint, known)
        retriever = await asyncio.to_thread(learning.stored, name)
        if retriever is None:
            # the name of what was learned, which may be another one: the learner has an encoder, or has none
            name = await (learning.learn_apart() if apart else asyncio.to_thread(learning.learn, known))
            retriever = await asyncio.to_thread(learning.stored, name)
        if retriever is None or set(retriever.ids) != {one.id for one in answers}:  # the graph has changed meanwhile
            return
        self._retriever, self._answers, self._versions = retriever, {one.id: one for one in answers}, versions
        self._ready.set()

    def answer(self, key: str) -> Answer | None:
        return self._answers.get(key)

    def of_topic(self, topic: str) -> frozenset[str]:
        return frozenset(key for key, answer in self._answers.items() if answer.topic == topic)

    def fact(self, name: str) -> Fact | None:
        """What answers say where they mention it (``bank_days``: 3); None where none does."""
        return next((answer.facts[name] for answer in self._answers.values() if name in answer.facts), None)

    def sentence(self, question: str, answer: Answer, about_it: bool = False) -> str | None:
        """The sentence of an answer that a question about it is answered with; None where none says it. ``about_it``:
        it is known to be a question about this answer."""
        return self._retriever.sentence(question, answer.text, about_it) if self._retriever else None

    def find(self, questions: Sequence[Question], day: date | None = None) -> list[list[Found]]:
        """For each question the likeliest answers of those that hold on that day, today in Shanghai; none while there
        is no retriever."""
        if self._retriever is None:
            return [[] for _ in questions]
        day = day or datetime.now(SHANGHAI).date()
        told = {key for key, answer in self._answers.items() if answer.holds_on(day)}
        return [
            [Found(self._answers[hit.id], hit.score) for hit in hits] for hits in self._retriever.find(questions, told)
        ]
