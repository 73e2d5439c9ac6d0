"""The gateway's line to the bot: Rasa's own input channel (bot/components/channel.py) over HTTP."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import asdict

import httpx
from pydantic import ValidationError

from connectors.messages import InboundMessage, Reply

log = logging.getLogger(__name__)

PATIENCE = 25.0
"""Seconds for one message, all tries together: the supervisor brings a dead bot back within about 15."""

PAUSES = (0.2, 0.5, 1.0)
"""Seconds between tries; the last one repeats."""


class BotUnavailable(Exception):
    """No answer within the patience, or one that is not an answer. The message may be sent again under the same id."""


class BotClient:
    def __init__(self, http: httpx.AsyncClient, url: str, patience: float = PATIENCE) -> None:
        self._http = http
        self._url = f"{url}/webhooks/gateway"
        self._patience = patience
        self._timeout = httpx.Timeout(patience, connect=2.0)

    async def healthy(self) -> bool:
        return (await self._http.get(f"{self._url}/health")).status_code == httpx.codes.OK

    async def tell(self, sender: str, event: str, text: str = "", message_id: str = "") -> None:
        """A person takes over (``pause``), speaks (``said``) or hands back (``resume``); doing it twice is once."""
        body = {"sender": sender, "event": event, "text": text, "message_id": message_id}
        try:
            response = await self._http.post(f"{self._url}/desk", json=body, timeout=self._timeout)
        except httpx.TransportError as error:
            raise BotUnavailable(type(error).__name__) from None
        if response.status_code != httpx.codes.OK:
            raise BotUnavailable(f"status {response.status_code}")

    async def send(self, message: InboundMessage) -> Reply:
        """Deliver one message and return the bot's answer.

        A bot that is away (no connection, 503) is asked again under the same message id: if it had saved the turn
        before it went, it answers with what it said then.
        """
        attempt, fault = 0, ""
        try:
            async with asyncio.timeout(self._patience):
                while True:
                    try:
                        response = await self._http.post(
                            f"{self._url}/webhook", json=asdict(message), timeout=self._timeout
                        )
                    except httpx.TransportError as error:
                        fault = type(error).__name__
                    else:
                        if response.status_code != httpx.codes.SERVICE_UNAVAILABLE:
                            return self._read(response)
                        fault = "status 503"
                    log.warning("turn %s: bot away (%s), asking again", message.message_id, fault)
                    await asyncio.sleep(PAUSES[min(attempt, len(PAUSES) - 1)])
                    attempt += 1
        except TimeoutError:
            raise BotUnavailable(f"{fault or 'no answer'} after {attempt + 1} tries") from None

    @staticmethod
    def _read(response: httpx.Response) -> Reply:
        if response.status_code != httpx.codes.OK:
            raise BotUnavailable(f"status {response.status_code}")
        try:
            return Reply.model_validate_json(response.content)
        except ValidationError as error:
            # the details would quote the conversation
            raise BotUnavailable(f"not an answer: {error.error_count()} faults") from None
