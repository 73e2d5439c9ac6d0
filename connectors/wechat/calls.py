"""Calls with an account's token, which both of Tencent's APIs take alike, and its media."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Any, TypeVar

import httpx

from connectors.media import MOST_BYTES
from connectors.wechat.token import Tokens
from connectors.wechat.transport import TIMEOUT, NotDone, Refused, call, read

Answer = TypeVar("Answer")


class Calls:
    """Everything raises Refused, NotDone or Unsure (:mod:`connectors.wechat.transport`)."""

    def __init__(self, http: httpx.AsyncClient, base: str, tokens: Tokens, no_token: Collection[int]) -> None:
        """``no_token``: codes of a token that is not known any more."""
        self._http = http
        self._base = base
        self._tokens = tokens
        self._no_token = no_token

    async def upload(self, name: str, picture: bytes) -> str:
        """The media id of a picture, which is good for three days."""
        answer = await self._call("media/upload", query={"type": "image"}, files={"media": (name, picture)})
        return text_of(answer, "media_id")

    async def download(self, media_id: str) -> bytes:
        """What a customer has sent."""
        url = f"{self._base}/cgi-bin/media/get"

        async def get(token: str) -> httpx.Response:
            return await self._get(url, {"access_token": token, "media_id": media_id})

        response = await self._authorised(get)
        if not _is_told(response):
            return response.content
        video = httpx.URL(text_of(read(response), "video_url"))  # films of an official account lie elsewhere
        return (await self._get(video, {})).content

    async def _call(
        self, path: str, body: Any = None, *, query: Mapping[str, str] | None = None, files: Any = None
    ) -> dict[str, Any]:
        async def ask(token: str) -> dict[str, Any]:
            asked = {**(query or {}), "access_token": token}
            return await call(self._http, f"{self._base}/cgi-bin/{path}", query=asked, body=body, files=files)

        return await self._authorised(ask)

    async def _authorised(self, ask: Callable[[str], Awaitable[Answer]]) -> Answer:
        token = await self._tokens.current()
        try:
            return await ask(token.value)
        except Refused as error:
            if error.code not in self._no_token:
                raise
        return await ask((await self._tokens.renewed(token)).value)  # once: a wrong secret makes no token good

    async def _get(self, url: httpx.URL | str, query: Mapping[str, str]) -> httpx.Response:
        """A content, or what is told instead, which it raises if it is an error."""
        content = bytearray()
        try:
            async with self._http.stream("GET", url, params=query, timeout=TIMEOUT) as response:
                async for piece in response.aiter_bytes():
                    content += piece
                    if len(content) > MOST_BYTES:
                        raise NotDone("too_large")
        except httpx.HTTPError as error:
            raise NotDone(type(error).__name__) from None
        whole = httpx.Response(response.status_code, headers=response.headers, content=bytes(content))
        if _is_told(whole) or whole.status_code != httpx.codes.OK:
            read(whole)
        return whole


def text_of(answer: Mapping[str, Any], name: str) -> str:
    """Raises NotDone."""
    if isinstance(value := answer.get(name), str):
        return value
    raise NotDone(f"no_{name}")


def _is_told(response: httpx.Response) -> bool:
    return str(response.headers.get("Content-Type", "")).startswith(("application/json", "text/plain"))
