"""WeChat as it meets a house: an API server that refuses what the real one refuses, and its side of the callback."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import random
import re
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import uvicorn
from cryptography.hazmat.primitives import padding
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

APP_ID, SECRET, TOKEN = "wx5823bf96d3bd56c7", "0123456789abcdef0123456789abcdef", "made-up-by-the-shop"
AES_KEY = "jWmYm7qr5nMoAUwZRjGtBxmz3KA1tkAj3ykkR6q2B2C"
HOUSE = "gh_7f083739789a"
TEXT_MOST = 2048

ESCAPED = re.compile(rb"(?<!\\)(?:\\\\)*\\u")

PAGE = "<html><body><h1>502 Bad Gateway</h1></body></html>"


@dataclass
class Follower:
    left: int = 5
    until: float = field(default_factory=lambda: time.time() + 48 * 3600)


@dataclass
class StandIn:
    url: str
    followers: dict[str, Follower] = field(default_factory=dict)
    sent: list[tuple[str, str, Any]] = field(default_factory=list)  # openid, kind, content
    raw: list[bytes] = field(default_factory=list)  # bodies of what was sent
    notices: list[dict[str, Any]] = field(default_factory=list)
    subscribed: list[dict[str, Any]] = field(default_factory=list)  # subscription notices
    consents: dict[tuple[str, str], int] = field(default_factory=dict)  # by openid and template
    refused_notices: list[int] = field(default_factory=list)  # of either kind, in order: a code, or a status
    typing: list[str] = field(default_factory=list)
    menu: Any = None
    uploads: list[bytes] = field(default_factory=list)
    media: dict[str, tuple[bytes, str]] = field(default_factory=dict)  # content and its type
    faults: list[Any] = field(default_factory=list)  # of sending, in order: a code, a status, "page", "cut" or "slow"
    token: str = ""
    expires: float = 0
    fetched: int = 0  # tokens asked for
    forced: int = 0
    calls: int = 0  # of all but for tokens
    no_token_is_good: bool = False
    secret: str = SECRET
    service: bool = True  # customer-service messages
    menus: bool = True  # … with lines to tap
    slow: float = 0.0  # seconds for a token

    def reset(self) -> None:
        url = self.url
        self.__init__(url)  # type: ignore[misc]

    def follow(self, *openids: str, left: int = 5, seconds: float = 48 * 3600) -> None:
        for openid in openids:
            self.followers[openid] = Follower(left, time.time() + seconds)

    def rotate(self) -> None:
        """Somebody else has made WeChat forget the token."""
        self.token = ""

    def texts(self, openid: str) -> list[str]:
        return [content["content"] for to, kind, content in self.sent if to == openid and kind == "text"]

    # ---- tokens ----

    async def stable_token(self, request: Request) -> Response:
        body = await request.json()
        self.fetched += 1
        await asyncio.sleep(self.slow)
        if body.get("grant_type") != "client_credential":
            return error(40002)
        if body.get("appid") != APP_ID:
            return error(40013)
        if body.get("secret") != self.secret:
            return error(40125)
        self.forced += bool(body.get("force_refresh"))
        if body.get("force_refresh") or not self.token or self.expires - time.time() < 300:
            self.token, self.expires = f"{random.getrandbits(128):032x}", time.time() + 7200
        return JSONResponse({"access_token": self.token, "expires_in": int(self.expires - time.time())})

    def refusal(self, request: Request) -> Response | None:
        self.calls += 1
        given = request.query_params.get("access_token")
        if not given:
            return error(41001)
        if self.no_token_is_good or given != self.token:
            return error(40001, f"invalid credential, access_token is invalid or not latest rid: {given}")
        return error(42001) if self.expires < time.time() else None

    # ---- calls ----

    async def send(self, request: Request) -> Response:
        if refusal := self.refusal(request):
            return refusal
        if not self.service:
            return error(48001)
        raw = await request.body()
        fault = self.faults.pop(0) if self.faults else None
        match fault:
            case "page":
                return HTMLResponse(PAGE)
            case "slow":
                await asyncio.sleep(12)
            case "cut":
                raise ConnectionError
            case "no object":
                return JSONResponse(["ok"])
            case int() if 400 <= fault < 600:
                return HTMLResponse(PAGE, fault)
            case int():
                return error(fault)
        try:
            message = json.loads(raw)
        except ValueError:
            return error(47001)
        if ESCAPED.search(raw):
            return error(40033)
        openid, kind = message["touser"], message["msgtype"]
        content = message[kind]
        if openid not in self.followers:
            return error(43004 if len(openid) == 28 else 40003)
        words = {"text": "content", "msgmenu": "head_content"}.get(kind)
        if words and len(content[words].encode()) > TEXT_MOST:
            return error(45002)
        if words and not content[words]:
            return error(44004)
        if kind == "msgmenu" and not self.menus:
            return error(40200)
        if kind == "image" and content["media_id"] not in self.media:
            return error(40007)
        follower = self.followers[openid]
        if follower.until < time.time():
            return error(45015)
        if follower.left <= 0:
            return error(45047)
        follower.left -= 1
        self.sent.append((openid, kind, content))
        self.raw.append(raw)
        return error(0)

    async def type(self, request: Request) -> Response:
        if refusal := self.refusal(request):
            return refusal
        if not self.service:
            return error(48001)
        self.typing.append((await request.json())["touser"])
        return error(0)

    async def notify(self, request: Request) -> Response:
        if refusal := self.refusal(request):
            return refusal
        notice = await request.json()
        if self.refused_notices:
            return refused(self.refused_notices.pop(0))
        if notice["touser"] not in self.followers:
            return error(43004)
        if notice["client_msg_id"] not in {known["client_msg_id"] for known in self.notices}:
            self.notices.append(notice)
        return JSONResponse({"errcode": 0, "errmsg": "ok", "msgid": len(self.notices)})

    async def notify_subscribed(self, request: Request) -> Response:
        if refusal := self.refusal(request):
            return refusal
        notice = await request.json()
        if self.refused_notices:
            return refused(self.refused_notices.pop(0))
        agreed = (notice["touser"], notice["template_id"])
        if not self.consents.get(agreed):
            return error(43101)
        if any(len(each["value"]) > 20 for name, each in notice["data"].items() if name.startswith("thing")):
            return error(47003)
        self.consents[agreed] -= 1
        self.subscribed.append(notice)
        return error(0)

    async def upload(self, request: Request) -> Response:
        if refusal := self.refusal(request):
            return refusal
        raw = await request.body()
        if request.query_params.get("type") != "image" or b'name="media"; filename="' not in raw:
            return error(40004)
        self.uploads.append(raw)
        media_id = f"media-{len(self.uploads)}"
        self.media[media_id] = raw, "image/png"
        return JSONResponse({"type": "image", "media_id": media_id, "created_at": int(time.time())})

    async def get_media(self, request: Request) -> Response:
        if refusal := self.refusal(request):
            return refusal
        media_id = request.query_params.get("media_id", "")
        if media_id == "film":
            return JSONResponse({"video_url": f"{self.url}/film"})
        if media_id not in self.media:
            return error(40007)
        content, kind = self.media[media_id]
        return Response(content, media_type=kind)

    async def film(self, _: Request) -> Response:
        return Response(b"moving", media_type="video/mp4")

    async def create_menu(self, request: Request) -> Response:
        if refusal := self.refusal(request):
            return refusal
        raw = await request.body()
        if ESCAPED.search(raw):
            return error(40033)
        self.menu = json.loads(raw)
        return error(0)

    async def create_code(self, request: Request) -> Response:
        if refusal := self.refusal(request):
            return refusal
        asked = await request.json()
        if not 0 < asked.get("expire_seconds", 30) <= 2_592_000:
            return error(40052)
        scene = asked["action_info"]["scene"]["scene_str"]
        return JSONResponse({"ticket": f"{scene}==", "expire_seconds": asked["expire_seconds"], "url": "http://weixin"})

    async def addresses(self, request: Request) -> Response:
        return self.refusal(request) or JSONResponse({"ip_list": ["127.0.0.1"]})


def error(code: int, words: str = "") -> Response:
    return JSONResponse({"errcode": code, "errmsg": words or ("ok" if code == 0 else f"refused {code}")})


def refused(code: int) -> Response:
    return HTMLResponse(PAGE, code) if 400 <= code < 600 else error(code)


@contextmanager
def serve(port: int) -> Iterator[StandIn]:
    """Serves on 127.0.0.1:``port`` in a thread."""
    wechat = StandIn(f"http://127.0.0.1:{port}")
    posts = {
        "stable_token": wechat.stable_token,
        "message/custom/send": wechat.send,
        "message/custom/typing": wechat.type,
        "message/template/send": wechat.notify,
        "message/subscribe/bizsend": wechat.notify_subscribed,
        "media/upload": wechat.upload,
        "menu/create": wechat.create_menu,
        "qrcode/create": wechat.create_code,
    }
    routes = [Route(f"/cgi-bin/{path}", endpoint, methods=["POST"]) for path, endpoint in posts.items()]
    routes += [Route("/cgi-bin/media/get", wechat.get_media), Route("/film", wechat.film)]
    routes += [Route("/cgi-bin/getcallbackip", wechat.addresses)]
    with running(routes, port):
        yield wechat


@contextmanager
def running(routes: list[Route], port: int) -> Iterator[None]:
    config = uvicorn.Config(Starlette(routes=routes), port=port, log_level="critical", timeout_graceful_shutdown=1)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    try:
        yield
    finally:
        server.should_exit = True
        thread.join(10)


# ---- its side of the callback ----


def sign(*parts: str) -> str:
    return hashlib.sha1("".join(sorted(parts)).encode()).hexdigest()  # noqa: S324


def query(*, at: float | None = None, nonce: str | None = None, sealed: str | None = None) -> dict[str, str]:
    """Of a request: with ``sealed`` of one in safe mode."""
    timestamp = str(int(time.time() if at is None else at))
    nonce = nonce or str(random.randrange(10**9, 10**10))  # noqa: S311
    asked = {"signature": sign(TOKEN, timestamp, nonce), "timestamp": timestamp, "nonce": nonce}
    if sealed is not None:
        asked |= {"encrypt_type": "aes", "msg_signature": sign(TOKEN, timestamp, nonce, sealed)}
    return asked


def message(openid: str, /, at: float | None = None, **fields: Any) -> str:
    """The XML of a text, if nothing else is said."""
    about = {
        "ToUserName": HOUSE,
        "FromUserName": openid,
        "CreateTime": int(time.time() if at is None else at),
        "MsgType": "text",
        "MsgId": random.randrange(10**17, 10**18),  # noqa: S311
    } | fields
    if about["MsgType"] == "event":
        del about["MsgId"]
    parts = (
        f"<{name}>{value}</{name}>" if isinstance(value, int) else f"<{name}><![CDATA[{value}]]></{name}>"
        for name, value in about.items()
    )
    return f"<xml>{''.join(parts)}</xml>"


def choices(
    openid: str, *chosen: tuple[str, str], event: str = "subscribe_msg_popup_event", at: float | None = None
) -> str:
    """What somebody says of templates: "accept" or "reject" of each. One is an element, several are several."""
    name = "".join(part.capitalize() for part in event.split("_"))
    rows = "".join(
        f"<List><TemplateId><![CDATA[{template}]]></TemplateId>"
        f"<SubscribeStatusString><![CDATA[{said}]]></SubscribeStatusString><PopupScene>0</PopupScene></List>"
        for template, said in chosen
    )
    told = message(openid, at, MsgType="event", Event=event)
    return told.replace("</xml>", f"<{name}>{rows}</{name}></xml>")


def cipher() -> Cipher[modes.CBC]:
    key = base64.b64decode(AES_KEY + "=")
    return Cipher(algorithms.AES256(key), modes.CBC(key[:16]))


def seal(words: str | bytes, app_id: str = APP_ID) -> str:
    said = words.encode() if isinstance(words, str) else words
    padder = padding.PKCS7(256).padder()
    opened = random.randbytes(16) + struct.pack("!I", len(said)) + said + app_id.encode()  # noqa: S311
    encryptor = cipher().encryptor()
    closed = encryptor.update(padder.update(opened) + padder.finalize()) + encryptor.finalize()
    return base64.b64encode(closed).decode()


def unseal(sealed: str) -> tuple[str, str]:
    """The words, and the account for which they are."""
    decryptor = cipher().decryptor()
    padded = decryptor.update(base64.b64decode(sealed)) + decryptor.finalize()
    unpadder = padding.PKCS7(256).unpadder()
    opened = unpadder.update(padded) + unpadder.finalize()
    (length,) = struct.unpack("!I", opened[16:20])
    return opened[20 : 20 + length].decode(), opened[20 + length :].decode()


def envelope(sealed: str, extra: str = "") -> str:
    return f"<xml><ToUserName><![CDATA[{HOUSE}]]></ToUserName>{extra}<Encrypt><![CDATA[{sealed}]]></Encrypt></xml>"
