"""Calls to the action server: over one session, retried for a limited time, and never half believed.

Rasa goes on with the turn when an action could not be run ("the actions events are lost"), so a customer might be told
that all is well while no ticket exists. Here such a turn is abandoned: :class:`TurnAbandoned` reaches the channel,
nothing of the turn is saved, and the gateway may send the message again. Writes carry idempotency keys that were fixed
in the tracker before the turn, so a call that is repeated writes once.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import traceback
from typing import Any
from zlib import crc32

import aiohttp
from rasa.utils.endpoints import ClientResponseError, EndpointConfig

PATIENCE_SECONDS = 15.0
"""How long one call is tried again, first attempt included: a supervisor needs a few seconds to restart the server."""

ATTEMPT_SECONDS = 10.0
_FIRST_PAUSE_SECONDS = 0.1
_LONGEST_PAUSE_SECONDS = 2.0
_DOMAIN_WANTED = 449  # rasa-sdk: it has no domain of this digest
_UNAVAILABLE = frozenset({502, 503, 504})


class TurnAbandoned(BaseException):
    """The turn cannot be completed and must not be saved. The message never quotes the customer.

    Not an ``Exception``: Rasa swallows those in ``MessageProcessor._run_action`` and ``ActionExtractSlots``.
    """

    @classmethod
    def because(cls, what: str, error: Exception) -> TurnAbandoned:
        """``what`` failed with ``error``: says its kind and place, for its text may be the customer's."""
        place = traceback.extract_tb(error.__traceback__)[-1]
        return cls(f"{what}: {type(error).__name__} at {place.filename}:{place.lineno}")


class ActionServer(EndpointConfig):
    """The ``action_endpoint`` of ``endpoints.yml``, as ``rasa.core.actions.action.RemoteAction`` calls it.

    Its ``url`` may name several, with commas: a sender stays with one of them while it answers.
    """

    def __init__(self, config: EndpointConfig) -> None:
        super().__init__(
            config.url,
            config.params,
            config.headers,
            config.basic_auth,
            config.token,
            config.token_name,
            **config.kwargs,
        )
        self._urls = [url.strip() for url in (config.url or "").split(",")]
        self._session: aiohttp.ClientSession | None = None
        self._domain: object = None
        self._domain_digest = ""

    async def request(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """Posts ``kwargs["json"]`` and returns ``{"events": [...], "responses": [...]}``.

        Raises rasa's ClientResponseError (status 400) when the action rejects its execution, else TurnAbandoned.
        """
        call: dict[str, Any] = kwargs["json"]
        action = call["next_action"]
        domain = call.pop("domain", None)
        call["domain_digest"] = self._digest(domain)
        now = asyncio.get_running_loop().time
        give_up = now() + PATIENCE_SECONDS
        pause = _FIRST_PAUSE_SECONDS
        first, attempt = crc32(call["sender_id"].encode()), 0
        while True:
            url = self._urls[(first + attempt) % len(self._urls)]
            try:
                left = max(give_up - now(), _FIRST_PAUSE_SECONDS)  # for aiohttp 0 and less are no limit
                status, body = await self._post(url, call, min(ATTEMPT_SECONDS, left))
            except (aiohttp.ClientError, asyncio.TimeoutError) as error:
                problem = type(error).__name__
            else:
                if status == _DOMAIN_WANTED and "domain" not in call:
                    call["domain"] = domain  # it has just started, or has served another model
                    continue
                if status not in _UNAVAILABLE:
                    return _result(action, status, body)
                problem = f"it answers {status}"
            attempt += 1
            if attempt % len(self._urls):
                continue  # to another one, at once
            if now() + pause >= give_up:
                raise TurnAbandoned(f"{action}: the action server cannot be reached ({problem})")
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)

    async def _post(self, url: str, call: dict[str, Any], seconds: float) -> tuple[int, bytes]:
        if self._session is None:
            self._session = self.session()
        timeout = aiohttp.ClientTimeout(total=seconds)
        async with self._session.post(url, json=call, params=self.combine_parameters(), timeout=timeout) as response:
            return response.status, await response.read()

    def _digest(self, domain: object) -> str:
        """Names the domain, which is most of a call and is sent only when the action server does not know the name."""
        if domain is not self._domain:
            self._domain = domain
            self._domain_digest = hashlib.sha256(json.dumps(domain, sort_keys=True).encode()).hexdigest()
        return self._domain_digest

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()


def _result(action: str, status: int, body: bytes) -> dict[str, Any]:
    if status == 400:
        raise ClientResponseError(status, "the action rejects its execution", body.decode())
    if status != 200:
        raise TurnAbandoned(f"{action}: the action server answers {status}")
    try:
        result = json.loads(body)
    except ValueError:
        raise TurnAbandoned(f"{action}: the action server's answer is not JSON") from None
    if not is_action_result(result):
        raise TurnAbandoned(f"{action}: the action server's answer has not the shape of a result")
    return dict(result)


def is_action_result(result: object) -> bool:
    """Whether ``result`` is an object with lists of events (objects with a type) and responses (objects)."""
    if not isinstance(result, dict):
        return False
    events, responses = result.get("events", []), result.get("responses", [])
    return (
        isinstance(events, list)
        and isinstance(responses, list)
        and all(isinstance(event, dict) and isinstance(event.get("event"), str) for event in events)
        and all(isinstance(response, dict) for response in responses)
    )
