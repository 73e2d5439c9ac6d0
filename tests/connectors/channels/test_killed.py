"""kill -9 of workers in the middle of turns: every message is answered, none twice, each sender's in order."""

from __future__ import annotations

import asyncio
import random
import sys
from asyncio.subprocess import PIPE, Process
from collections import Counter, defaultdict
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

import settings
from connectors.worker import message_of
from storage import WRITES, inbox
from storage.inbox import Inbox
from storage.outbox import Outbox, State
from tests.connectors.fake_rasa import FakeRasa

from .paper import said

SENDERS, EACH, KILLS = 8, 5, 3


async def worker(url: str, rasa_url: str, paper: Path) -> Process:
    command = [sys.executable, "-m", "tests.connectors.channels.process", url, rasa_url, str(paper)]
    process = await asyncio.create_subprocess_exec(*command, cwd=settings.ROOT, stdout=PIPE)
    assert process.stdout is not None
    assert await process.stdout.readline() == b"working\n"
    return process


async def left(engine: AsyncEngine) -> int:
    """Messages that are not settled."""
    going = (State.PENDING, State.LEASED)
    async with AsyncSession(engine) as session:
        counted = [select(func.count()).select_from(each).where(each.state.in_(going)) for each in (Inbox, Outbox)]
        return sum([await session.scalar(query) or 0 for query in counted])


async def test_whoever_is_killed_nothing_is_lost_and_nothing_doubled(
    engine: AsyncEngine, migrated: str, rasa: FakeRasa, tmp_path: Path
) -> None:
    paper, chance = tmp_path / "paper", random.Random(7)  # noqa: S311
    rasa.gate.clear()
    async with AsyncSession(engine.execution_options(**WRITES)) as session, session.begin():
        for number in range(EACH):
            for sender in range(SENDERS):
                told = message_of(said(f"s{sender}", f"m{number}", f"{number}"))
                await inbox.accept(session, told, datetime.now(UTC), None)
    workers = await asyncio.gather(*(worker(migrated, rasa.url, paper) for _ in range(2)))
    await rasa.arrival()  # one of them dies with a message in hand
    rasa.gate.set()
    for _ in range(KILLS):
        await asyncio.sleep(chance.uniform(0.05, 0.3))  # in the middle of something else each time
        doomed = workers.pop(0)
        doomed.kill()
        await doomed.wait()
        workers.append(await worker(migrated, rasa.url, paper))
    async with asyncio.timeout(60):
        while await left(engine):  # noqa: ASYNC110  (other processes settle them)
            await asyncio.sleep(0.1)
    for one in workers:
        one.kill()
        await one.wait()

    written: dict[str, list[str]] = defaultdict(list)
    for line in paper.read_text("utf-8").splitlines():
        recipient, _, text = line.split("\t")
        written[recipient].append(text)
    assert written == {f"s{sender}": [f"收到：{number}" for number in range(EACH)] for sender in range(SENDERS)}
    assert Counter(rasa.texts()) == {str(number): SENDERS for number in range(EACH)}
