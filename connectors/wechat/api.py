"""The calls of WeChat's API that the house makes, each with the account's token."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar

import httpx
from sqlalchemy.ext.asyncio import AsyncEngine

import settings
from connectors.inbound import Media
from connectors.media import MOST_BYTES
from connectors.wechat.errors import ERRORS
from connectors.wechat.token import Tokens
from connectors.wechat.transport import TIMEOUT, NotDone, Refused, call, read
from settings import WeChatCredentials

Answer = TypeVar("Answer")


class Api:
    """Everything raises Refused, NotDone or Unsure (:mod:`connectors.wechat.transport`)."""

    def __init__(self, http: httpx.AsyncClient, base: str, tokens: Tokens) -> None:
        self._http = http
        self._base = base
        self._tokens = tokens

    async def send(self, openid: str, kind: str, content: Mapping[str, Any]) -> None:
        """A customer-service message. It has no key: sent twice, it comes twice."""
        await self._call("message/custom/send", {"touser": openid, "msgtype": kind, kind: content})

    async def typing(self, openid: str) -> None:
        await self._call("message/custom/typing", {"touser": openid, "command": "Typing"})

    async def upload(self, name: str, picture: bytes) -> str:
        """The media id of a picture, which is good for three days."""
        answer = await self._call("media/upload", query={"type": "image"}, files={"media": (name, picture)})
        return _text(answer, "media_id")

    async def notify(self, openid: str, template: str, data: Mapping[str, str], key: str) -> None:
        """A template notice; with the same ``key`` it comes once within ten minutes."""
        words = {name: {"value": value} for name, value in data.items()}
        body = {"touser": openid, "template_id": template, "data": words, "client_msg_id": key}
        await self._call("message/template/send", body)

    async def set_menu(self, menu: Mapping[str, Any]) -> None:
        await self._call("menu/create", menu)

    async def scene_code(self, scene: str, seconds: int) -> str:
        """The address of a QR code that brings people in with ``scene``, 1 to 64 characters."""
        about = {"expire_seconds": seconds, "action_name": "QR_STR_SCENE"}
        answer = await self._call("qrcode/create", about | {"action_info": {"scene": {"scene_str": scene}}})
        return str(httpx.URL("https://mp.weixin.qq.com/cgi-bin/showqrcode", params={"ticket": _text(answer, "ticket")}))

    async def addresses(self) -> list[str]:
        """From which WeChat calls; it asks for nothing but a good token."""
        return [str(each) for each in (await self._call("getcallbackip")).get("ip_list", ())]

    async def download(self, media: Media) -> bytes:
        """What a customer has sent."""
        url = f"{self._base}/cgi-bin/media/get"

        async def get(token: str) -> httpx.Response:
            return await self._get(url, {"access_token": token, "media_id": media.handle or ""})

        response = await self._authorised(get)
        if not _is_told(response):
            return response.content
        video = httpx.URL(_text(read(response), "video_url"))  # films lie elsewhere
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
            if error.code not in ERRORS.token:
                raise
        return await ask((await self._tokens.renewed(token)).value)  # once: a wrong secret makes no token good

    async def _get(self, url: httpx.URL | str, query: Mapping[str, str]) -> httpx.Response:
        """A content, or what WeChat says instead, which it raises if it is an error."""
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


def connected(engine: AsyncEngine, http: httpx.AsyncClient, credentials: WeChatCredentials) -> Api:
    """The account's API, with the token that all processes share."""
    base = settings.wechat_api_base()
    return Api(http, base, Tokens(engine, http, base, credentials.app_id, credentials.app_secret))


def _is_told(response: httpx.Response) -> bool:
    return str(response.headers.get("Content-Type", "")).startswith(("application/json", "text/plain"))


def _text(answer: Mapping[str, Any], name: str) -> str:
    if isinstance(value := answer.get(name), str):
        return value
    raise NotDone(f"no_{name}")
