"""Who may speak to the bot now: one message of one sender at a time, in order, and never too many at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Busy(Exception):
    """The message was not taken. ``retry_after`` is in seconds."""

    def __init__(self, retry_after: int) -> None:
        super().__init__(f"try again in {retry_after} s")
        self.retry_after = retry_after


class _Lane:
    """The queue of one sender. It exists only while somebody is in it, so that floods of senders take no memory."""

    __slots__ = ("lock", "messages")

    def __init__(self) -> None:
        self.lock = asyncio.Lock()  # first come, first served
        self.messages = 0


class Turns:
    def __init__(self, *, per_sender: int = 10, total: int = 256, at_once: int = 32, patience: float = 10.0) -> None:
        """At most ``per_sender`` messages of one sender and ``total`` of all are held, ``at_once`` of them at the bot;
        one that has waited for ``patience`` seconds is sent away."""
        self._per_sender = per_sender
        self._total = total
        self._patience = patience
        self._at_once = asyncio.Semaphore(at_once)
        self._lanes: dict[str, _Lane] = {}
        self._messages = 0

    @asynccontextmanager
    async def turn(self, sender: str) -> AsyncIterator[None]:
        """Wait for this sender's turn, or raise :class:`Busy`."""
        lane = self._lanes.get(sender)
        if self._messages >= self._total or (lane and lane.messages >= self._per_sender):
            raise Busy(retry_after=2)
        lane = self._lanes.setdefault(sender, _Lane())
        lane.messages += 1
        self._messages += 1
        try:
            await self._acquire(lane)
            try:
                yield
            finally:
                self._at_once.release()
                lane.lock.release()
        finally:
            lane.messages -= 1
            self._messages -= 1
            if not lane.messages:
                del self._lanes[sender]

    async def _acquire(self, lane: _Lane) -> None:
        try:
            async with asyncio.timeout(self._patience):
                await lane.lock.acquire()
                try:
                    await self._at_once.acquire()
                except BaseException:
                    lane.lock.release()
                    raise
        except TimeoutError:
            raise Busy(retry_after=5) from None
