"""One call of WeChat's API: what it answers, or what is known of a call that came to nothing.

Addresses hold the access token, so no error carries one.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import httpx

TIMEOUT = httpx.Timeout(8.0, connect=3.0)

_NEVER_LEFT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol)


class Refused(Exception):
    """WeChat has answered with an error code."""

    def __init__(self, code: int, message: str = "") -> None:
        super().__init__(code)
        self.code = code
        self.message = message  # WeChat's own words, for an operator


class NotDone(Exception):
    """The call did nothing. The text is a word for why."""


class Unsure(Exception):
    """The call left, and nobody knows whether it did something."""


async def call(
    http: httpx.AsyncClient, url: str, *, query: Mapping[str, str] | None = None, body: Any = None, files: Any = None
) -> dict[str, Any]:
    """The answer, which is a JSON object. With neither ``body`` nor ``files`` it is a GET. ``body`` goes out as JSON in
    plain UTF-8: WeChat would show escapes as they are. Raises Refused, NotDone or Unsure."""
    content = None if body is None else json.dumps(body, ensure_ascii=False).encode(errors="replace")
    headers = {"Content-Type": "application/json; charset=utf-8"} if content else None
    method = "POST" if content or files else "GET"
    try:
        response = await http.request(
            method, url, params=query, content=content, files=files, headers=headers, timeout=TIMEOUT
        )
    except _NEVER_LEFT as error:
        raise NotDone(type(error).__name__) from None
    except httpx.HTTPError as error:
        raise Unsure(type(error).__name__) from None
    return read(response)


def read(response: httpx.Response) -> dict[str, Any]:
    if response.status_code == httpx.codes.GATEWAY_TIMEOUT:
        raise Unsure("status_504")
    if response.status_code != httpx.codes.OK:
        raise NotDone(f"status_{response.status_code}")
    try:
        answer = json.loads(response.content)
    except ValueError:
        answer = None
    if not isinstance(answer, dict):  # a page of HTML from something in between
        raise NotDone("no_json")
    code = answer.get("errcode", 0)
    if code != 0:
        raise Refused(code if isinstance(code, int) else 0, str(answer.get("errmsg", "")))
    return answer
