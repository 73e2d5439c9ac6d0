"""How often one address may ask: a budget for each kind of request, so that a flood is one caller's own problem.

Counted in this process, or on the Redis protocol where several gateways run (``REDIS_URL``). Without its Redis a
gateway counts alone and says so. Budgets are for strangers: programs of this machine and those with the API key have
none.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import TypeVar

from limits import RateLimitItem, parse
from limits.aio.storage import MemoryStorage, Storage
from limits.aio.strategies import FixedWindowRateLimiter
from limits.errors import ConfigurationError, StorageError
from limits.storage import storage_from_string
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from connectors.callers import Callers, address
from connectors.words import WORDS

log = logging.getLogger(__name__)

T = TypeVar("T")

BUDGETS = {
    # fifty people at once behind the one address of an office or a carrier
    "chat": "600/minute",
    "updates": "6000/minute",  # a page that waits for a person asks every 1.5 s, and tells what it sees
    "feedback": "120/minute",
    "uploads": "60/minute",
    "sign_in": "30/minute",
    "wrong_tokens": "5/10minutes",
    "mall": "6000/minute",  # of one client of the mall's API, whatever its address
    "wrong_keys": "60/minute",  # for that API
    "doors": "60000/minute",  # by which channels bring everybody's messages: a few servers, whose word is checked
    "pages": "3000/minute",  # everything else
}
"""Of one address; ``RATE_LIMITS`` changes some. A window begins with the first request in it."""

KINDS = {
    ("POST", "/api/chat"): "chat",
    ("GET", "/api/chat/history"): "updates",
    ("GET", "/api/chat/updates"): "updates",
    ("POST", "/api/chat/presence"): "updates",
    ("POST", "/api/chat/pictures"): "uploads",
    ("POST", "/api/feedback"): "feedback",
    ("POST", "/dashboard/api/session"): "sign_in",
}

MALL, DOCUMENT = "/mall/", "/mall/openapi.json"

REDIS_SECONDS = 0.5
REST_SECONDS = 5.0
"""A Redis that did not answer in time is left alone for so long: not every request shall wait for it."""

REMEMBERED = 5_000
"""Counts that are kept in this process. Who has that many addresses is not held by any of them."""


class Rates:
    def __init__(self, changed: Mapping[str, str], redis_url: str | None) -> None:
        """Raises ValueError for a budget that is none, or a Redis whose address cannot be."""
        if unknown := changed.keys() - BUDGETS:
            raise ValueError(f"RATE_LIMITS has no {', '.join(sorted(unknown))}; there are {', '.join(BUDGETS)}")
        try:
            self._budgets: dict[str, RateLimitItem] = {
                kind: parse(budget) for kind, budget in {**BUDGETS, **changed}.items()
            }
        except ValueError:
            raise ValueError("RATE_LIMITS must look like chat=600/minute, sign_in=30/minute") from None
        self.doors: set[str] = set()  # paths, which the channels know
        self._own = MemoryStorage()
        self._shared = _redis(redis_url) if redis_url else None
        self._rests_until = 0.0

    async def spend(self, kind: str, caller: str) -> int | None:
        """Takes one request out of the caller's budget; where nothing is left, the seconds until there is again."""
        item = self._budgets[kind]

        async def take(storage: Storage) -> int | None:
            limiter = FixedWindowRateLimiter(storage)
            if await limiter.hit(item, kind, caller):
                return None
            return max(1, int((await limiter.get_window_stats(item, kind, caller)).reset_time - time.time()) + 1)

        return await self._counted(take)

    async def forgive(self, kind: str, caller: str) -> None:
        """Gives the caller a whole budget again."""
        key = self._budgets[kind].key_for(kind, caller)
        await self._counted(lambda storage: storage.clear(key))

    async def check(self) -> list[str]:
        """What an operator has to know."""
        if self._shared is None:
            return []
        try:
            async with asyncio.timeout(REDIS_SECONDS):
                well = await self._shared.check()
        except TimeoutError:
            well = False
        return [] if well else ["Redis 连不上，各网关暂时各自计数 / Redis does not answer, each gateway counts alone"]

    async def _counted(self, count: Callable[[Storage], Awaitable[T]]) -> T:
        if self._shared is not None and time.monotonic() >= self._rests_until:
            try:
                async with asyncio.timeout(REDIS_SECONDS):
                    return await count(self._shared)
            except (StorageError, TimeoutError) as error:
                log.warning("Redis does not answer (%s): counting alone", type(error).__name__)
                self._rests_until = time.monotonic() + REST_SECONDS
        if len(self._own.storage) > REMEMBERED:
            await self._own.reset()
        return await count(self._own)


def _redis(url: str) -> Storage:
    seconds = {"socket_timeout": REDIS_SECONDS, "socket_connect_timeout": REDIS_SECONDS}
    try:
        storage = storage_from_string(
            f"async+{url}", implementation="redispy", wrap_exceptions=True, key_prefix="zhanggui", **seconds
        )
    except (ConfigurationError, ValueError):
        raise ValueError("REDIS_URL must look like redis://:password@host:6379/0") from None
    if not isinstance(storage, Storage):
        raise TypeError(storage)
    return storage


class Limited:
    """ASGI middleware: a request beyond its address's budget is told when to come again."""

    def __init__(self, app: ASGIApp, rates: Rates, callers: Callers) -> None:
        self._app = app
        self._rates = rates
        self._callers = callers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and (seconds := await self._refused(scope)):
            words = WORDS.refusals["too_many_requests"].format(seconds=seconds)
            body = {"error": {"code": "too_many_requests", "message": words}}
            await JSONResponse(body, 429, {"Retry-After": str(seconds)})(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _refused(self, scope: Scope) -> int | None:
        self._callers.look_for_proxy(scope)
        if scope["path"].startswith(MALL) and scope["path"] != DOCUMENT:
            return None  # the API knows its clients, and counts for each
        kind = "doors" if scope["path"] in self._rates.doors else KINDS.get((scope["method"], scope["path"]), "pages")
        if self._callers.at_home(scope) or (kind in ("chat", "updates") and self._callers.has_key(scope)):
            return None
        return await self._rates.spend(kind, address(scope))
