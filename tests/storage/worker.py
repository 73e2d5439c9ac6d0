"""A worker of the outbox, as a process of its own: ``python -m tests.storage.worker URL FILE CLAIMS [MOMENT]``.

Sends by adding a line to FILE; ends when nothing is due. With ``CLAIMS`` > 0 it stops after so many claims, before it
sends what the last of them gave, says so and waits to be killed. ``MOMENT`` is what it takes for the present.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from datetime import UTC, datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncSession

from storage import WRITES, create_engine, outbox

CHANNEL, LEASE, AT_ONCE = "paper", timedelta(minutes=1), 20


async def work(url: str, file: str, claims: int, moment: datetime | None) -> None:
    engine = create_engine(url)
    paper = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    count = 0
    while taken := await outbox.claim(engine, [CHANNEL], AT_ONCE, LEASE, moment or datetime.now(UTC)):
        count += 1
        if count == claims:
            print("claimed", flush=True)
            signal.pause()
        for leased in taken:
            os.write(paper, f"{leased.payload['key']} {leased.payload['number']}\n".encode())
            async with AsyncSession(engine.execution_options(**WRITES)) as session, session.begin():
                assert await outbox.finish(session, leased, outbox.Sent(str(leased.id)))
    await engine.dispose()


if __name__ == "__main__":
    url, file, claims, *rest = sys.argv[1:]
    asyncio.run(work(url, file, int(claims), datetime.fromisoformat(rest[0]) if rest else None))
