"""Who is typing at this moment, in a web chat or at the service desk: known for seconds, and written down nowhere.

Kept in this process, or on the Redis protocol where several gateways run (``REDIS_URL``). Without its Redis a gateway
knows of its own pages alone.
"""

from __future__ import annotations

import asyncio
import logging
import time
from typing import Literal

from redis.asyncio import Redis
from redis.exceptions import RedisError

from privacy.columns import exact_index

log = logging.getLogger(__name__)

Side = Literal["customer", "person"]

LASTS = 6.0
"""Seconds: a page says it again after three (``TYPING`` in its script)."""

REDIS_SECONDS = 0.5
REST_SECONDS = 5.0
"""A Redis that did not answer in time is left alone for so long."""

REMEMBERED = 10_000
"""Of this process; who is beyond that is not seen typing."""


class Presence:
    def __init__(self, redis_url: str | None) -> None:
        self._shared: Redis | None = None
        if redis_url:
            patience = REDIS_SECONDS
            self._shared = Redis.from_url(redis_url, socket_timeout=patience, socket_connect_timeout=patience)
        self._own: dict[str, float] = {}  # until when (monotonic)
        self._rests_until = 0.0

    async def types(self, sender: str, side: Side, on: bool) -> None:
        """In the conversation of this sender."""
        key = _key(sender, side)
        if (shared := self._usable()) is not None:
            try:
                async with asyncio.timeout(REDIS_SECONDS):
                    await (shared.set(key, 1, px=int(LASTS * 1000)) if on else shared.delete(key))
                return
            except (RedisError, OSError, TimeoutError) as error:
                self._rest(error)
        now = time.monotonic()
        if len(self._own) >= REMEMBERED:
            self._own = {each: until for each, until in self._own.items() if until > now}
        if not on:
            self._own.pop(key, None)
        elif len(self._own) < REMEMBERED:
            self._own[key] = now + LASTS

    async def is_typing(self, sender: str, side: Side) -> bool:
        key = _key(sender, side)
        if (shared := self._usable()) is not None:
            try:
                async with asyncio.timeout(REDIS_SECONDS):
                    return bool(await shared.exists(key))
            except (RedisError, OSError, TimeoutError) as error:
                self._rest(error)
        return self._own.get(key, 0.0) > time.monotonic()

    async def close(self) -> None:
        if self._shared is not None:
            await self._shared.aclose()

    def _usable(self) -> Redis | None:
        return self._shared if time.monotonic() >= self._rests_until else None

    def _rest(self, error: Exception) -> None:
        log.warning("Redis does not answer (%s): who types is known here alone", type(error).__name__)
        self._rests_until = time.monotonic() + REST_SECONDS


def _key(sender: str, side: Side) -> str:
    """Nobody reads in it whose conversation it is."""
    return f"zhanggui:typing:{exact_index(f'{side} {sender}', 'presence')}"
