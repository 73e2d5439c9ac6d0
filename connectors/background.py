"""Work of the gateway that goes on behind the requests: what breaks is logged, started again and told."""

from __future__ import annotations

import asyncio
import logging
import time
import traceback
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

log = logging.getLogger(__name__)

Work = Callable[[], Awaitable[None]]

PAUSES = (1.0, 2.0, 5.0, 15.0, 60.0)
"""Seconds before each new start; the last one repeats."""

WELL_SECONDS = 60.0
"""Work that has gone on for so long is well again."""


@dataclass
class _Task:
    failures: int = 0  # since it was well
    fault: str = ""
    running_since: float | None = None  # monotonic; None while it waits for its next start

    def well(self) -> bool:
        """Whether it has gone on for long enough, or has never failed."""
        lasted = self.running_since is not None and time.monotonic() - self.running_since >= WELL_SECONDS
        return lasted or not self.failures


class Background:
    def __init__(self, pauses: tuple[float, ...] = PAUSES) -> None:
        self._pauses = pauses
        self._tasks: dict[str, _Task] = {}
        self._running: list[asyncio.Task[None]] = []

    def start(self, name: str, work: Work) -> None:
        """Work that never ends by itself; ``name`` is what an operator reads, Chinese first."""
        task = self._tasks[name] = _Task()
        self._running.append(asyncio.create_task(self._keep(name, work, task)))

    async def check(self) -> list[str]:
        """What an operator has to know."""
        return [
            f"{name}：出错 {task.failures} 次，会自动重试（{task.fault}） /"
            f" it failed {task.failures} times and is tried again"
            for name, task in self._tasks.items()
            if not task.well()
        ]

    async def close(self) -> None:
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)

    async def _keep(self, name: str, work: Work, task: _Task) -> None:
        while True:
            task.running_since = time.monotonic()
            try:
                await work()
            except (Exception, asyncio.CancelledError) as error:
                if (current := asyncio.current_task()) and current.cancelling():
                    raise
                task.fault = type(error).__name__  # its text may quote a customer
                place = traceback.extract_tb(error.__traceback__)[-1]
                log.error("%s: %s at %s:%d", name, task.fault, place.filename, place.lineno)
            else:
                task.fault = "it ended"
                log.error("%s: it ended", name)
            task.failures = 1 if task.well() else task.failures + 1
            task.running_since = None
            await asyncio.sleep(self._pauses[min(task.failures, len(self._pauses)) - 1])
