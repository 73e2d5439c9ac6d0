"""A mall that runs elsewhere, asked over HTTP: whatever serves the document of ``mall_adapter.http.server``.

Every request has a time limit, and all tries together have one. What failed on the way, or is told to wait, is tried
again: a read at any time, a write because its key makes the second one harmless.
"""

from __future__ import annotations

import asyncio
import json
import logging
import random
from collections.abc import Mapping
from functools import partial
from typing import Any
from urllib.parse import urlencode

import httpx
from pydantic import ValidationError

from mall_adapter.errors import MallUnavailable
from mall_adapter.http.operations import (
    ACTOR,
    KEY,
    SENDER,
    VERSION,
    Operation,
    Place,
    of_port,
    to_header,
)
from mall_adapter.http.problems import MEDIA_TYPE, error_of
from mall_adapter.ports import BackOffice, CustomerMall

log = logging.getLogger(__name__)

ATTEMPT = httpx.Timeout(3.0, connect=1.0, pool=3.0)
PATIENCE_SECONDS = 8.0
"""For one request with all its tries: the bot gives an action ten."""

RETRIES = 2
PAUSE_SECONDS = 0.1
LONGEST_PAUSE = 3.0
"""A mall that wants to be left alone for longer is not waited for."""

AGAIN = frozenset({429, 500, 502, 503, 504})

CONNECTIONS = httpx.Limits(max_connections=100, max_keepalive_connections=20, keepalive_expiry=30.0)


def connection(url: str, key: str, timeout: httpx.Timeout = ATTEMPT) -> httpx.AsyncClient:
    """To the mall at ``url`` (with the path under which it stands); to be closed by whoever opened it."""
    return httpx.AsyncClient(
        base_url=url,
        headers={"Authorization": f"Bearer {key}", "Accept": f"application/json, {MEDIA_TYPE}"},
        timeout=timeout,
        limits=CONNECTIONS,
        follow_redirects=False,  # a key goes to nobody else
    )


class _Remote:
    """The methods of a port, each of them a request."""

    port: type

    def __init__(self, http: httpx.AsyncClient) -> None:
        self.http = http
        self._operations = of_port(self.port)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or name not in self._operations:
            raise AttributeError(name)
        return partial(self._ask, self._operations[name])

    async def _ask(self, operation: Operation, *told: Any, **named: Any) -> Any:
        bound = operation.signature.bind(self, *told, **named)
        bound.apply_defaults()
        arguments = bound.arguments
        answer = await self._answer(operation, arguments)
        if not operation.listed:
            return answer
        items = list(answer.items)
        while answer.next is not None and answer.items:
            answer = await self._answer(operation, arguments, {"cursor": answer.next})
            items += answer.items
        return items

    async def _answer(self, operation: Operation, arguments: Mapping[str, Any], more: Mapping[str, str] = {}) -> Any:
        request = _request(self.http, operation, arguments, more)
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                return await self._tried(operation, request)
        except TimeoutError:
            raise _unavailable(operation, "no answer in time") from None

    async def _tried(self, operation: Operation, request: httpx.Request) -> Any:
        for tried in range(RETRIES + 1):
            last = tried == RETRIES or not operation.repeatable
            pause = PAUSE_SECONDS * 2**tried * random.uniform(0.5, 1.5)  # noqa: S311 (spreads callers, keeps no secret)
            try:
                response = await self.http.send(request)
                if response.status_code not in AGAIN:
                    return _understood(operation, response)
            except (httpx.RequestError, ValidationError) as error:  # no connection, too slow, or half an answer
                fault = type(error).__name__
            else:
                fault = f"it answers {response.status_code}"
                wanted = response.headers.get("Retry-After", "")
                pause = max(pause, float(wanted)) if wanted.isdigit() else pause
            if last or pause > LONGEST_PAUSE:
                break
            await asyncio.sleep(pause)
        raise _unavailable(operation, fault)


class HttpMall(_Remote):
    """Implements :class:`mall_adapter.ports.CustomerMall`; raises MallUnavailable besides what the port names."""

    port = CustomerMall


class HttpBackOffice(_Remote):
    """Implements :class:`mall_adapter.ports.BackOffice`; raises MallUnavailable besides what the port names."""

    port = BackOffice


def _request(
    http: httpx.AsyncClient, operation: Operation, arguments: Mapping[str, Any], more: Mapping[str, str]
) -> httpx.Request:
    headers: dict[str, str] = {}
    for one in operation.arguments:
        value = arguments[one.name]
        match one.place:
            case Place.SENDER:
                headers[SENDER] = to_header(value)
            case Place.KEY:
                headers[KEY] = to_header(value)
            case Place.VERSION if value is not None:
                headers[VERSION] = f'"{value}"'
            case Place.ACTOR:
                told = {name: getattr(value, name) for name in ("role", "principal_id", "supplier_id", "channel")}
                headers[ACTOR] = urlencode({name: part for name, part in told.items() if part is not None})
    query = {one.name: arguments[one.name] for one in operation.at(Place.QUERY)} | dict(more)
    content = operation.write_body(arguments)
    if content is not None:
        headers["Content-Type"] = "application/json"
    address = operation.address(arguments)
    return http.build_request(operation.method, address, params=query, headers=headers, content=content)


def _understood(operation: Operation, response: httpx.Response) -> Any:
    """The answer. Raises the error that the mall tells, MallUnavailable for one that it does not tell as it should,
    and pydantic's ValidationError for an answer that is none."""
    if response.is_success:
        return None if operation.status == 204 else operation.adapter.validate_json(response.content)
    refusal: Exception | None = None
    if response.headers.get("Content-Type", "").startswith(MEDIA_TYPE):
        try:
            content = json.loads(response.content)
            refusal = error_of(content) if isinstance(content, dict) else None
        except ValueError:
            refusal = None
    raise refusal or _unavailable(operation, f"it answers {response.status_code}")


def _unavailable(operation: Operation, fault: str) -> MallUnavailable:
    log.error("mall: %s: %s", operation.id, fault)
    return MallUnavailable(f"{operation.id}: {fault}")
