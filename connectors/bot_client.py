"""The gateway's line to the bot: Rasa's own input channels (bot/components/channel.py, desk.py) over HTTP."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import asdict
from http import HTTPStatus
from typing import Any, TypeVar
from zlib import crc32

import aiohttp
from prometheus_client import Counter, Histogram
from pydantic import BaseModel, ValidationError

import settings
from connectors.messages import InboundMessage, Recorded, Reply
from mall_adapter.handoff import Dispatch

log = logging.getLogger(__name__)

Answer = TypeVar("Answer", bound=BaseModel)

PATIENCE = 25.0
"""Seconds for one message, all tries together: the supervisor brings a dead bot back within about 15."""

HEALTH_SECONDS = 2.5
"""For one bot: less than the health waits for all of them."""

DESK_PATIENCE = 10.0
"""Seconds for one thing from the desk: less than a gateway has for it (``mall_adapter.desk.LEASE``)."""

CONNECT_SECONDS = 2.0

IDLE_SECONDS = 4.0
"""For which a connection is kept: the bot's server closes one after 5."""

PAUSES = (0.2, 0.5, 1.0)
"""Seconds between tries; the last one repeats."""

TURNS = Counter("zhanggui_turns", "Messages that were brought to the bot", ["outcome"])
"""``answered``, or ``unavailable``: the bot did not answer within the patience."""

SECONDS = Histogram(
    "zhanggui_turn_seconds",
    "Seconds until the bot answered, all tries together",
    buckets=(0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1, 1.5, 2, 3, 5, 8, 13, 25),
)

for outcome in ("answered", "unavailable"):
    TURNS.labels(outcome)  # a rate is seen from the first one on


@asynccontextmanager
async def _counted() -> AsyncIterator[None]:
    """Counts what happens within as one turn, which is not answered if it raises."""
    started = time.perf_counter()
    try:
        yield
    except Exception:
        TURNS.labels("unavailable").inc()
        raise
    TURNS.labels("answered").inc()
    SECONDS.observe(time.perf_counter() - started)


class BotUnavailable(Exception):
    """No answer within the patience, or one that is not an answer. The message may be sent again under the same id."""


class BotClient:
    """Over aiohttp, as every turn waits for it: httpx needs 2 ms of the processor where this needs 0.4."""

    def __init__(self, urls: tuple[str, ...], patience: float = PATIENCE) -> None:
        """``urls``: of bots that share their conversations. A sender stays with one of them while it answers."""
        self._urls = [f"{url}/webhooks" for url in urls]
        self._patience = patience
        self._headers = {**settings.house_headers(), "Content-Type": "application/json"}
        self._session: aiohttp.ClientSession | None = None

    @property
    def _http(self) -> aiohttp.ClientSession:
        """Made when it is first used, in the event loop to which it then belongs; the bots are neighbours: it goes
        through no proxy, and the callers bound how many ask at once."""
        if self._session is None:
            connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=IDLE_SECONDS)
            timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS)
            self._session = aiohttp.ClientSession(
                connector=connector, timeout=timeout, headers=self._headers, cookie_jar=aiohttp.DummyCookieJar()
            )
        return self._session

    async def aclose(self) -> None:
        if self._session is not None:
            await self._session.close()

    async def health(self) -> list[str]:
        """What the bots warn of. Raises aiohttp.ClientError, TimeoutError or ValueError when none is well."""
        found = await asyncio.gather(*map(self._health, self._urls), return_exceptions=True)
        faults = [each for each in found if isinstance(each, BaseException)]
        if len(faults) == len(found):
            raise faults[0]
        warned = dict.fromkeys(warning for each in found if not isinstance(each, BaseException) for warning in each)
        return [*(["some_away"] if faults else []), *warned]

    async def _health(self, url: str) -> list[str]:
        async with asyncio.timeout(HEALTH_SECONDS), self._http.get(f"{url}/gateway/health") as answer:
            answer.raise_for_status()
            return [str(each) for each in (await answer.json()).get("warnings", ())]

    async def send(self, message: InboundMessage) -> Reply:
        """Deliver one message and return the bot's answer.

        A bot that is away (no connection, 503) is asked again under the same message id: if it had saved the turn
        before it went, it answers with what it said then.
        """
        body = asdict(message)
        address = body.pop("address")
        body |= {"metadata": {"address": address}} if address else {}
        async with _counted():
            return await self._ask("gateway/webhook", body, Reply, self._patience)

    async def tell(self, dispatch: Dispatch) -> Recorded:
        """Let the bot know what happened at the service desk; in the same way it records it once."""
        body = {name: getattr(dispatch, name) for name in ("sender", "event", "text", "message_id")}
        return await self._ask("desk/event", body, Recorded, min(DESK_PATIENCE, self._patience))

    async def announce(self, sender: str, message_id: str, response: str, values: Mapping[str, str]) -> Recorded:
        """Let the bot say one of its responses by itself; in the same way it says it once."""
        body = {"sender": sender, "event": "notice", "text": response, "message_id": message_id, "values": dict(values)}
        return await self._ask("desk/event", body, Recorded, min(DESK_PATIENCE, self._patience))

    async def _ask(self, path: str, body: dict[str, Any], kind: type[Answer], patience: float) -> Answer:
        attempt, fault, first = 0, "", crc32(body["sender"].encode())
        told = json.dumps(body, ensure_ascii=False).encode()
        try:
            async with asyncio.timeout(patience):
                while True:
                    url = self._urls[(first + attempt) % len(self._urls)]
                    try:
                        async with self._http.post(f"{url}/{path}", data=told) as response:
                            status, content = response.status, await response.read()
                    except aiohttp.ClientError as error:  # also where it does not connect in time
                        fault = type(error).__name__
                    else:
                        if status != HTTPStatus.SERVICE_UNAVAILABLE:
                            return self._read(status, content, kind)
                        fault = "status 503"
                    log.warning("turn %s: bot away (%s), asking again", body["message_id"], fault)
                    attempt += 1
                    rounds, left = divmod(attempt, len(self._urls))
                    if not left:  # all were asked
                        await asyncio.sleep(PAUSES[min(rounds, len(PAUSES)) - 1])
        except TimeoutError:
            raise BotUnavailable(f"{fault or 'no answer'} after {attempt + 1} tries") from None

    @staticmethod
    def _read(status: int, content: bytes, kind: type[Answer]) -> Answer:
        if status != HTTPStatus.OK:
            raise BotUnavailable(f"status {status}")
        try:
            return kind.model_validate_json(content)
        except ValidationError as error:
            # the details would quote the conversation
            raise BotUnavailable(f"not an answer: {error.error_count()} faults") from None
