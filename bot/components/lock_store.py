"""One turn of a conversation at a time, in this bot and, with ``REDIS_URL``, in all the bots that share a Redis.

``endpoints.yml``: ``lock_store: {type: bot.components.lock_store.SharedLockStore}``.

Rasa's own Redis store reads a lock and writes it back in two steps, so that two bots may hold it at once; it stops
the whole process while it waits for Redis; and what a bot that died had locked stays so for a minute. Here a lock in
Redis is a key with a short life, which its holder prolongs. It spares turns that would be in vain, no more: that no
turn is saved beside another is the tracker store's doing, so without Redis each bot locks alone, and conversations go
on.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager, suppress

from rasa.core.lock import TicketLock
from rasa.core.lock_store import LOCK_LIFETIME, InMemoryLockStore
from rasa.utils.endpoints import EndpointConfig
from redis.asyncio import Redis
from redis.asyncio.lock import Lock
from redis.exceptions import LockError, RedisError

import settings
from privacy import current_ring
from privacy.conversations import conversation_of

logger = logging.getLogger(__name__)

LIFE_SECONDS = 5.0
"""After which what a bot that died had locked is free."""

WAITING_SECONDS = 60.0
"""Longest wait for a turn in another bot; it is longer than a turn may last."""

POLL_SECONDS = 0.05
REDIS_SECONDS = 1.0
"""Longest wait for Redis to answer."""


class SharedLockStore(InMemoryLockStore):
    def __init__(self, endpoint_config: EndpointConfig | None = None) -> None:
        """``endpoint_config`` has nothing to say: the address is ``settings.redis_url()``."""
        super().__init__()
        url = settings.redis_url()
        seconds = {"socket_timeout": REDIS_SECONDS, "socket_connect_timeout": REDIS_SECONDS}
        self._redis = Redis.from_url(url, **seconds) if url else None

    @asynccontextmanager
    async def lock(
        self, conversation_id: str, lock_lifetime: float = LOCK_LIFETIME, wait_time_in_seconds: float = 1
    ) -> AsyncGenerator[TicketLock, None]:
        """Raises ``rasa.core.lock_store.LockError`` where this bot's own turns take too long."""
        async with super().lock(conversation_id, lock_lifetime, wait_time_in_seconds) as ticket:
            if self._redis is None:
                yield ticket
            else:
                async with _shared(self._redis, conversation_id):
                    yield ticket


@asynccontextmanager
async def _shared(redis: Redis, conversation_id: str) -> AsyncIterator[None]:
    """The lock of all bots, or none where Redis does not answer."""
    name = f"zhanggui:turn:{conversation_of(current_ring(), conversation_id)}"
    lock = Lock(redis, name, timeout=LIFE_SECONDS, sleep=POLL_SECONDS, blocking_timeout=WAITING_SECONDS)
    renewing = None
    try:
        if await lock.acquire():
            renewing = asyncio.create_task(_renew(lock))
        else:
            logger.warning("another bot's turn takes too long; this one goes on beside it")
    except (RedisError, OSError) as error:
        logger.warning("Redis does not answer (%s): this bot locks alone", type(error).__name__)
    try:
        yield
    finally:
        if renewing is not None:
            renewing.cancel()
            with suppress(asyncio.CancelledError):
                await renewing
            with suppress(RedisError, OSError):  # then its life ends by itself
                await lock.release()


async def _renew(lock: Lock) -> None:
    """Until cancelled, or the lock is lost."""
    while True:
        await asyncio.sleep(LIFE_SECONDS / 4)
        try:
            await lock.reacquire()
        except LockError:
            logger.warning("a turn has lost its lock")
            return
        except (RedisError, OSError):
            pass  # once more in a moment
