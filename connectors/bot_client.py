"""The gateway's line to the bot: Rasa's own input channels (bot/components/channel.py, desk.py) over HTTP."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, TypeVar

import httpx
from pydantic import BaseModel, ValidationError

import settings
from connectors.messages import InboundMessage, Recorded, Reply
from mall_adapter.handoff import Dispatch

log = logging.getLogger(__name__)

Answer = TypeVar("Answer", bound=BaseModel)

PATIENCE = 25.0
"""Seconds for one message, all tries together: the supervisor brings a dead bot back within about 15."""

DESK_PATIENCE = 10.0
"""Seconds for one thing from the desk: less than a gateway has for it (``mall_adapter.desk.LEASE``)."""

PAUSES = (0.2, 0.5, 1.0)
"""Seconds between tries; the last one repeats."""


class BotUnavailable(Exception):
    """No answer within the patience, or one that is not an answer. The message may be sent again under the same id."""


class BotClient:
    def __init__(self, http: httpx.AsyncClient, url: str, patience: float = PATIENCE) -> None:
        self._http = http
        self._url = f"{url}/webhooks"
        self._patience = patience
        self._timeout = httpx.Timeout(patience, connect=2.0)
        self._headers = settings.house_headers()

    async def health(self) -> list[str]:
        """What the bot warns of. Raises httpx.HTTPError or ValueError when it is not well."""
        answer = await self._http.get(f"{self._url}/gateway/health", headers=self._headers)
        return [str(each) for each in answer.raise_for_status().json().get("warnings", ())]

    async def send(self, message: InboundMessage) -> Reply:
        """Deliver one message and return the bot's answer.

        A bot that is away (no connection, 503) is asked again under the same message id: if it had saved the turn
        before it went, it answers with what it said then.
        """
        body = asdict(message)
        address = body.pop("address")
        body |= {"metadata": {"address": address}} if address else {}
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
        attempt, fault = 0, ""
        try:
            async with asyncio.timeout(patience):
                while True:
                    try:
                        response = await self._http.post(
                            f"{self._url}/{path}", json=body, headers=self._headers, timeout=self._timeout
                        )
                    except httpx.TransportError as error:
                        fault = type(error).__name__
                    else:
                        if response.status_code != httpx.codes.SERVICE_UNAVAILABLE:
                            return self._read(response, kind)
                        fault = "status 503"
                    log.warning("turn %s: bot away (%s), asking again", body["message_id"], fault)
                    await asyncio.sleep(PAUSES[min(attempt, len(PAUSES) - 1)])
                    attempt += 1
        except TimeoutError:
            raise BotUnavailable(f"{fault or 'no answer'} after {attempt + 1} tries") from None

    @staticmethod
    def _read(response: httpx.Response, kind: type[Answer]) -> Answer:
        if response.status_code != httpx.codes.OK:
            raise BotUnavailable(f"status {response.status_code}")
        try:
            return kind.model_validate_json(response.content)
        except ValidationError as error:
            # the details would quote the conversation
            raise BotUnavailable(f"not an answer: {error.error_count()} faults") from None
