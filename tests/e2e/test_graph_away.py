"""The graph hangs: the mall answers questions about products alone, soon enough, until the graph is back."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager

import settings
from storage import create_engine
from tests.e2e.conversation import Conversation, play
from tests.stack import Stack

# (what is said, what the answer contains, what it must not contain): the same with and without the graph
SAME = [
    ("水壶有哪些", "电水壶", "预算"),
    ("200以内适合敏感肌的面霜", "1. 素映 B5 修护霜", "2."),
    ("第一个适合什么肤质", "敏感肌", "没有写"),
    ("拓光年T3入门微单多少钱", "单机身 ¥3799", "T7"),
    ("有能给这台相机用的电池吗", "TB-35", "TB-70"),
    ("净谷A5和喵净哪个安静", "更安静的是净谷 喵净", "没"),
]
ALONE = "the mall answers alone"
"""What the actions write down when they have waited for the graph in vain."""


@contextmanager
def hung(process: int) -> Iterator[None]:
    os.kill(process, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(process, signal.SIGCONT)


def ask(stack: Stack) -> int:
    """How often the graph was waited for in vain."""

    async def played() -> None:
        engine = create_engine(settings.database_url())
        try:
            talk = [(said, {"says": [says], "not": [never]}) for said, says, never in SAME]
            await play(Conversation("graph", "away", talk), stack.url, engine)
        finally:
            await engine.dispose()

    log = stack.data_dir / "logs/actions.log"
    before = log.read_text().count(ALONE)
    asyncio.run(played())
    return log.read_text().count(ALONE) - before


def test_the_mall_answers_alone_while_the_graph_hangs(stack: Stack) -> None:
    ask(stack)
    with hung(stack.pids()["graph"]):
        assert ask(stack) > 0
    ask(stack)
