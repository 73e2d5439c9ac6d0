"""Prints how many messages of the outbox four workers claim and finish a second: `python -m tests.bench.outbox`.

Two columns, SQLite and PostgreSQL. Beside it stands how many bare transactions (one UPDATE of a row by its key, through
the same engine) the same four processes commit, as the machine is noisy. A message is finished in a transaction of its
own, as a worker does that sends it.
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import os
import tempfile
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

import settings
from privacy import KeyRing
from storage import WRITES, create_engine, migrate, outbox
from storage.outbox import Message, Outbox, Sent, State
from tests.databases import Postgres, Sqlite

WORKERS, AT_ONCE = 4, 50
LEASE = timedelta(minutes=5)
SECONDS = 5.0

Span = tuple[float, float, int]
"""When a process began and ended, and how many it did."""


async def fill(url: str, count: int) -> None:
    engine, now = create_engine(url), datetime.now(UTC)
    for first in range(0, count, 500):
        async with AsyncSession(engine.execution_options(**WRITES)) as session, session.begin():
            for number in range(first, first + 500):
                key = f"customer {number % (count // 4)}"
                payload = {"text": "您的退款已原路退回，预计一到三个工作日到账。" * 2}
                message = Message(
                    channel="bench",
                    recipient=key,
                    order_key=key,
                    kind="text",
                    payload=payload,
                    dedupe=str(number),
                )
                await outbox.enqueue(session, message, now)
    await engine.dispose()


async def send(url: str) -> int:
    engine, done = create_engine(url), 0
    while taken := await outbox.claim(engine, ["bench"], AT_ONCE, LEASE, datetime.now(UTC)):
        for leased in taken:
            async with AsyncSession(engine.execution_options(**WRITES)) as session, session.begin():
                done += await outbox.finish(session, leased, Sent())
    await engine.dispose()
    return done


async def bare(url: str, number: int) -> int:
    engine, done, until = create_engine(url), 0, time.monotonic() + SECONDS
    while time.monotonic() < until:
        async with AsyncSession(engine.execution_options(**WRITES)) as session, session.begin():
            await session.execute(update(Outbox).where(Outbox.id == number + 1).values(attempts=done))
            done += 1
    await engine.dispose()
    return done


def run(what: str, url: str, number: int) -> Span:
    begin = time.monotonic()
    done = asyncio.run(send(url) if what == "send" else bare(url, number))
    return begin, time.monotonic(), done


def rate(what: str, url: str) -> float:
    with multiprocessing.get_context("spawn").Pool(WORKERS) as pool:
        pool.map(abs, range(WORKERS))  # the processes are there
        spans = pool.starmap(run, [(what, url, number) for number in range(WORKERS)], chunksize=1)
    return sum(done for *_, done in spans) / (max(end for _, end, _ in spans) - min(begin for begin, *_ in spans))


async def check(url: str, count: int) -> None:
    """Each was finished, and by its first claim: none twice."""
    engine = create_engine(url)
    async with AsyncSession(engine) as session:
        rows = await session.execute(select(Outbox.state, Outbox.attempts))
        found = Counter((state, attempts) for state, attempts in rows)
    await engine.dispose()
    assert found == {(State.SENT, 1): count}, found


def measure(url: str, count: int) -> dict[str, float]:
    asyncio.run(migrate(url))
    start = time.monotonic()
    asyncio.run(fill(url, count))
    enqueued = count / (time.monotonic() - start)
    sent = rate("send", url)
    asyncio.run(check(url, count))
    return {"enqueued": enqueued, "claimed and finished by four workers": sent, "bare transactions": rate("bare", url)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=4000)
    count = parser.parse_args().rows
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as elsewhere:
        os.environ["DATA_DIR"] = folder
        KeyRing.load_or_create(settings.keyring_file())
        lite = measure(Sqlite(Path(folder)).create(), count)
        postgres = Postgres(Path(elsewhere))
        try:
            great = measure(postgres.create(), count)
        finally:
            postgres.server.cleanup()
    print(f"\n{'rows of the outbox a second':48}{'SQLite':>10}{'PostgreSQL':>12}")
    for title in lite:
        print(f"{title:48}{lite[title]:10.0f}{great[title]:12.0f}")


if __name__ == "__main__":
    main()
