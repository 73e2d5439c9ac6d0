"""The knowledge graph that the actions ask: one connection, and one set of answers, for the whole action server."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import pluggy
from rasa_sdk.plugin import plugin_manager

from knowledge_graph import Answering, Graph, GraphDown

logger = logging.getLogger(__name__)

T = TypeVar("T")

SECONDS = 2.0
"""For everything that one question asks the graph: the mall's own answer shall come soon enough, too."""

FIRST_SECONDS = 6.0
"""Until it has answered once: a graph that has just started has everything to read and to translate."""

REST_SECONDS = 5.0
"""A graph that did not answer is left alone for so long, or every question of a turn would wait for it again."""

LEARNING_SECONDS = 60.0
"""Since its start; so long the questions wait until the answers are there."""

WAITING_SECONDS = 4.0
"""But each look for them no longer than this: the bot gives an action ten seconds, and some look twice."""

_graph: Graph | None = None
_answering: Answering | None = None
_following: asyncio.Task[None] | None = None
_patient_until = 0.0
_rests_until = 0.0
_has_answered = False


def _connected() -> Graph:
    global _graph
    if _graph is None:
        _graph = Graph.from_settings()
    return _graph


async def get_answering() -> Answering:
    """The answers of the graph, which follow it from now on; there may be none yet."""
    global _answering, _following, _patient_until
    if _answering is None:
        _answering = Answering(_connected())
        _following = asyncio.create_task(_answering.keep())
        _patient_until = time.monotonic() + LEARNING_SECONDS
    await _answering.wait(min(WAITING_SECONDS, max(0.0, _patient_until - time.monotonic())))
    return _answering


def fact(name: str) -> str | int | None:
    """A number or a name of the shop's, as its answers tell it now (``bank_days``); None while there are none."""
    return _answering.fact(name) if _answering else None


class _FollowFromTheStart:
    """Lets the action server follow the graph before the first customer asks something."""

    @pluggy.HookimplMarker("rasa_sdk")
    def attach_sanic_app_extensions(self, app: Any) -> None:
        async def follow(*_: Any) -> None:
            app.add_task(get_answering())

        app.register_listener(follow, "after_server_start")


plugin_manager().register(_FollowFromTheStart())


async def ask(question: Callable[[Graph], Awaitable[T]], otherwise: T) -> T:
    """What the graph answers; ``otherwise`` where it is down or slow, for then the mall has to do alone."""
    global _rests_until, _has_answered
    if time.monotonic() < _rests_until:
        return otherwise
    try:
        async with asyncio.timeout(SECONDS if _has_answered else FIRST_SECONDS):
            answer = await question(_connected())
    except (GraphDown, TimeoutError) as error:
        logger.warning("the graph does not answer (%s), the mall answers alone", type(error).__name__)
        _rests_until = time.monotonic() + REST_SECONDS
        return otherwise
    _has_answered = True
    return answer
