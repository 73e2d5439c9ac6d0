"""What every request and every response of the gateway must keep to."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

MAX_BODY = 256 * 1024
"""Bytes of one request: a message of 2,000 characters, escaped as wastefully as JSON allows, is 24,000; what a channel
tells of one, with another one that it answers, 120,000."""

MALL, MAX_MALL_BODY = "/mall/", 1024 * 1024
"""The mall's API, whose clients show a key before their body is read: the stock of 10,000 articles is 300,000 bytes."""

PICTURES, MAX_PICTURE = "/api/chat/pictures", 8 * 1024 * 1024
"""What visitors send; our own page makes it far smaller."""

BODY_SECONDS = 30.0
"""In which the whole of it has to come."""


def content_security(framed_by: Sequence[str] = ()) -> str:
    """The policy of a page that pages of these origins may hold in a frame; by default nobody may."""
    ancestors = " ".join(framed_by) or "'none'"
    # deep-chat styles itself through constructed style sheets and the DOM, so that not even inline styles are needed
    return (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; "
        "manifest-src 'self'; worker-src 'self'; base-uri 'none'; form-action 'none'; "
        f"frame-ancestors {ancestors}"
    )


HEADERS = {
    "Content-Security-Policy": content_security(),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


class Hardening:
    """ASGI middleware: bounds the body, and its time, while it is read, and adds the security headers.

    FastAPI's ``max_body_size`` would refuse in plain English text instead of our JSON.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        size, complete = 0, False
        most = MAX_MALL_BODY if scope["path"].startswith(MALL) else MAX_BODY
        if scope["path"] == PICTURES:
            most = MAX_PICTURE
        deadline = asyncio.get_running_loop().time() + BODY_SECONDS

        async def bounded() -> Message:
            nonlocal size, complete
            if complete:
                return await receive()  # until the caller has gone
            try:
                async with asyncio.timeout_at(deadline):
                    message = await receive()
            except TimeoutError:
                raise HTTPException(408) from None
            if message["type"] == "http.disconnect":
                raise HTTPException(400)  # it has hung up: nobody reads this, and it is no fault of ours
            complete = not message.get("more_body", False)
            size += len(message.get("body", b""))
            if size > most:
                raise HTTPException(413)
            return message

        async def hardened(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
                headers.setdefault("Cache-Control", "no-cache")  # kept, but asked about: a new version shows at once
            await send(message)

        # the body of these is read by nobody, and a refusal could come when half of a file is on its way
        await self._app(scope, receive if scope["method"] in ("GET", "HEAD") else bounded, hardened)
