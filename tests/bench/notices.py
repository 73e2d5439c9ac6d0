"""Prints how many notices a second go out by a channel that answers "too many" one time in ten, in order for each
person: `python -m tests.bench.notices`.

The channel is a stand-in that answers at once; everything else is the house's: the outbox, and what sends it, in one
process. A notice that was refused is tried again a second later, and so are those of its person behind it.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import tempfile
import time
from collections import defaultdict
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from fastapi import APIRouter
from sqlalchemy.ext.asyncio import AsyncSession

import settings
from connectors.channel import MediaUnavailable
from connectors.delivery import Delivery
from connectors.inbound import Media
from connectors.rendering import Bubble, Capabilities
from privacy import KeyRing
from storage import WRITES, create_engine, migrate, outbox
from storage.outbox import Message, Outcome, Retry, Sent
from tests.connectors.channels.paper import PLAIN
from tests.databases import Postgres, Sqlite

EACH = 4
"""Notices of one person."""


@dataclass
class StandIn:
    count: int
    name: str = "bench"
    capabilities: Capabilities = PLAIN
    sent: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))  # by person, in their order
    refused: int = 0
    done: asyncio.Event = field(default_factory=asyncio.Event)

    async def send(self, recipient: str, bubble: Bubble, key: str) -> Outcome:
        if random.random() < 0.1:  # noqa: S311
            self.refused += 1
            return Retry("later:429", datetime.now(UTC) + timedelta(seconds=1))
        self.sent[recipient].append(int(bubble.text))
        self.count -= 1
        if not self.count:
            self.done.set()
        return Sent()

    async def typing(self, recipient: str) -> None:
        return

    async def check(self) -> list[str]:
        return []

    def router(self) -> APIRouter | None:
        return None

    async def listen(self) -> None:
        return

    async def invite(self, scene: str) -> str | None:
        return None

    async def fetch(self, media: Media) -> bytes:
        raise MediaUnavailable


async def measure(url: str, count: int) -> float:
    """A second; raises AssertionError where one was lost, doubled, or overtaken."""
    await migrate(url)
    engine, now = create_engine(url), datetime.now(UTC)
    for first in range(0, count, 500):
        async with AsyncSession(engine.execution_options(**WRITES)) as session, session.begin():
            for number in range(first, min(first + 500, count)):
                person = f"person{number % (count // EACH)}"
                message = Message(
                    channel="bench",
                    recipient=person,
                    order_key=f"bench:{person}",
                    kind="parcel_delivered",
                    payload=asdict(Bubble(str(number))),
                    dedupe=str(number),
                )
                await outbox.enqueue(session, message, now)
    channel = StandIn(count)
    sending = asyncio.create_task(Delivery(engine, {"bench": channel}).keep_sending())
    start = time.monotonic()
    await channel.done.wait()
    lasted = time.monotonic() - start
    sending.cancel()
    await asyncio.gather(sending, return_exceptions=True)
    await engine.dispose()
    assert all(numbers == sorted(set(numbers)) for numbers in channel.sent.values()), "overtaken, or doubled"
    assert sum(map(len, channel.sent.values())) == count
    print(f"{count} sent, {channel.refused} refused on the way, {lasted:.1f} s", flush=True)
    return count / lasted


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=100_000)
    count = parser.parse_args().rows
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as elsewhere:
        os.environ["DATA_DIR"] = folder
        KeyRing.load_or_create(settings.keyring_file())
        lite = asyncio.run(measure(Sqlite(Path(folder)).create(), count))
        postgres = Postgres(Path(elsewhere))
        try:
            great = asyncio.run(measure(postgres.create(), count))
        finally:
            postgres.server.cleanup()
    print(f"\n{'notices a second':30}{'SQLite':>10}{'PostgreSQL':>12}\n{'':30}{lite:10.0f}{great:12.0f}")


if __name__ == "__main__":
    main()
