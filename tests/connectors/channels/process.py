"""A worker with a delivery in a process of its own, which writes on a real file what it sends; to be killed.

``python -m tests.connectors.channels.process DATABASE RASA PAPER`` runs until it is killed. A line of the paper is a
recipient, a key and a text. Before it writes one, it looks whether the key is there: it stands for a channel that knows
its messages by their keys.
"""

from __future__ import annotations

import asyncio
import fcntl
import sys
from datetime import timedelta
from pathlib import Path

from connectors.rendering import Bubble
from storage import create_engine
from storage.outbox import Outcome, Sent

from .paper import Paper, house


class OnFile(Paper):
    def __init__(self, file: Path) -> None:
        super().__init__()
        self._file = file

    async def send(self, recipient: str, bubble: Bubble, key: str) -> Outcome:
        with self._file.open("a+", encoding="utf-8") as paper:
            fcntl.flock(paper, fcntl.LOCK_EX)
            paper.seek(0)
            if key not in (line.split("\t")[1] for line in paper):
                paper.write(f"{recipient}\t{key}\t{bubble.text}\n")
        return Sent(key)


async def main(database: str, rasa_url: str, file: Path) -> None:
    engine = create_engine(database)
    async with house(engine, rasa_url, file.parent, OnFile(file), lease=timedelta(seconds=1)):
        print("working", flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], Path(sys.argv[3])))
