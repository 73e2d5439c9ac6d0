"""Telegram's side of the wire: a Bot API on a real socket that refuses what the real one refuses.

It keeps updates until one behind them is asked for, and counts text in code points and entities in units of UTF-16.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

TOKEN = "42:A-secret_token"
ME = {"id": 42, "is_bot": True, "first_name": "掌柜", "username": "zhanggui_bot"}
PERSON = {"id": 7, "is_bot": False, "first_name": "阿花"}
PRIVATE = {"id": 7, "type": "private", "first_name": "阿花"}
GROUP = {"id": -100, "type": "supergroup", "title": "团购群"}


async def until(there: Callable[[], object], seconds: float = 10.0) -> None:
    """Waits for what other tasks do, which tell nobody of it."""
    async with asyncio.timeout(seconds):
        while not there():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


@dataclass(frozen=True)
class Answer:
    """One that is given instead of the right one. ``cut``: the connection ends without it, though the call counts."""

    status: int
    body: str
    cut: bool = False


def refusal(status: int, description: str, **parameters: Any) -> Answer:
    body: dict[str, Any] = {"ok": False, "error_code": status, "description": description}
    return Answer(status, json.dumps(body | ({"parameters": parameters} if parameters else {})))


@dataclass
class StandIn:
    url: str = ""
    calls: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    scripted: dict[str, list[Answer]] = field(default_factory=dict)  # by method, given first
    blocked: set[int] = field(default_factory=set)
    migrated: dict[int, int] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)
    webhook: dict[str, Any] = field(default_factory=lambda: {"url": "", "pending_update_count": 0})
    updates: list[dict[str, Any]] = field(default_factory=list)
    polls: int = 0
    _numbers: int = 0
    _came: asyncio.Event = field(default_factory=asyncio.Event)

    def add(self, **update: Any) -> int:
        """Somebody did something: ``message={…}``."""
        self._numbers += 1
        self.updates.append({"update_id": self._numbers, **update})
        self._came.set()
        return self._numbers

    def say(self, text: str, chat: dict[str, Any] = PRIVATE, **more: Any) -> int:
        return self.add(message=message(text=text, chat=chat, **more))

    def sent(self, method: str = "sendMessage") -> list[dict[str, Any]]:
        return [arguments for name, arguments in self.calls if name == method]

    async def called(self, method: str, times: int = 1, seconds: float = 10.0) -> list[dict[str, Any]]:
        """Waits until it was called so often."""
        await until(lambda: len(self.sent(method)) >= times, seconds)
        return self.sent(method)

    async def acknowledged(self, number: int, seconds: float = 10.0) -> None:
        await until(lambda: all(update["update_id"] > number for update in self.updates), seconds)

    # ---- the wire ----

    async def handle(self, request: web.Request) -> web.StreamResponse:
        method, token = request.match_info["method"], request.match_info["token"]
        arguments = {name: _read(value) for name, value in (await request.post()).items()}
        if token != TOKEN:
            return _refused(401, "Unauthorized")
        self.calls.append((method, arguments))
        if scripted := self.scripted.get(method):
            answer = scripted.pop(0)
            if answer.cut:
                assert request.transport is not None
                request.transport.close()
            return web.Response(status=answer.status, text=answer.body)
        call = getattr(self, f"_{method}", None)
        if call is None:
            return _refused(404, "Not Found")
        answered: web.Response = await call(arguments) if asyncio.iscoroutinefunction(call) else call(arguments)
        return answered

    async def file(self, request: web.Request) -> web.StreamResponse:
        content = self.files.get(request.match_info["path"])
        return web.Response(status=404) if content is None else web.Response(body=content)

    def _getMe(self, _: dict[str, Any]) -> web.Response:
        return _ok(ME)

    async def _getUpdates(self, arguments: dict[str, Any]) -> web.Response:
        if self.webhook["url"]:
            return _refused(409, "Conflict: can't use getUpdates method while webhook is active")
        self.polls += 1
        offset = int(arguments.get("offset", 0))
        self.updates = [update for update in self.updates if update["update_id"] >= offset]
        if not self.updates:
            self._came.clear()
            try:
                await asyncio.wait_for(self._came.wait(), float(arguments.get("timeout", 0)))
            except TimeoutError:
                return _ok([])
        return _ok(self.updates[: int(arguments.get("limit", 100))])

    def _sendMessage(self, arguments: dict[str, Any]) -> web.Response:
        text = str(arguments.get("text", ""))
        if not text.strip():
            return _refused(400, "Bad Request: message text is empty")
        if len(text) > 4096:
            return _refused(400, "Bad Request: message is too long")
        return self._send(arguments, text, "entities", {"text": text})

    def _sendPhoto(self, arguments: dict[str, Any]) -> web.Response:
        caption = str(arguments.get("caption", ""))
        if len(caption) > 1024:
            return _refused(400, "Bad Request: message caption is too long")
        photo = [{"file_id": "sent", "file_unique_id": "s", "width": 1, "height": 1}]
        return self._send(arguments, caption, "caption_entities", {"photo": photo})

    def _send(self, arguments: dict[str, Any], text: str, entities: str, content: dict[str, Any]) -> web.Response:
        chat = int(arguments["chat_id"])
        if chat in self.blocked:
            return _refused(403, "Forbidden: bot was blocked by the user")
        if (new := self.migrated.get(chat)) is not None:
            description = "Bad Request: group chat was upgraded to a supergroup chat"
            return _refused(400, description, migrate_to_chat_id=new)
        units = len(text.encode("utf-16-le")) // 2
        for entity in json.loads(arguments.get(entities, "[]")):
            if not 0 <= entity["offset"] < entity["offset"] + entity["length"] <= units:
                return _refused(400, "Bad Request: entity is out of bounds")
        for row in json.loads(arguments.get("reply_markup", "{}")).get("inline_keyboard", []):
            for button in row:
                if len(button.get("callback_data", "").encode()) > 64:
                    return _refused(400, "Bad Request: BUTTON_DATA_INVALID")
        self._numbers += 1
        kind = "private" if chat > 0 else "supergroup"
        return _ok({"message_id": self._numbers, "date": 1, "chat": {"id": chat, "type": kind}, "from": ME, **content})

    def _answerCallbackQuery(self, _: dict[str, Any]) -> web.Response:
        return _ok(True)

    _sendChatAction = _setMyCommands = _answerCallbackQuery

    def _getFile(self, arguments: dict[str, Any]) -> web.Response:
        name = str(arguments["file_id"])
        if name not in self.files:
            return _refused(400, "Bad Request: file is too big")
        return _ok({"file_id": name, "file_unique_id": name, "file_path": name})

    def _setWebhook(self, arguments: dict[str, Any]) -> web.Response:
        self.webhook = {"url": arguments["url"], "pending_update_count": 0}
        return _ok(True)

    def _deleteWebhook(self, _: dict[str, Any]) -> web.Response:
        self.webhook = {"url": "", "pending_update_count": 0}
        return _ok(True)

    def _getWebhookInfo(self, _: dict[str, Any]) -> web.Response:
        return _ok({"has_custom_certificate": False, **self.webhook})


def message(**fields: Any) -> dict[str, Any]:
    """One of 阿花's, at 2026-11-30 09:00 in Shanghai."""
    return {"message_id": 5, "date": 1_796_000_400, "chat": PRIVATE, "from": PERSON, **fields}


def _read(value: str | bytes | bytearray | web.FileField) -> Any:
    return value.file.read() if isinstance(value, web.FileField) else value


def _ok(result: Any) -> web.Response:
    return web.json_response({"ok": True, "result": result})


def _refused(status: int, description: str, **parameters: Any) -> web.Response:
    answer = refusal(status, description, **parameters)
    return web.Response(status=answer.status, text=answer.body, content_type="application/json")


@asynccontextmanager
async def serve() -> AsyncIterator[StandIn]:
    api = StandIn()
    app = web.Application(client_max_size=32 * 1024 * 1024)
    app.router.add_post("/bot{token}/{method}", api.handle)
    app.router.add_get("/file/bot{token}/{path}", api.file)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    api.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield api
    finally:
        await runner.cleanup()
