"""The far side of the wire: a small server that speaks the bot's input channel and, like it, answers a message once."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

UNDERSTOOD = {"intent": "inform", "confidence": 0.9, "worry": 0.1}


@dataclass(frozen=True)
class Call:
    sender: str
    text: str
    message_id: str
    address: str | None = None


@dataclass
class FakeRasa:
    url: str
    calls: list[Call] = field(default_factory=list)
    events: list[dict[str, str]] = field(default_factory=list)  # of the service desk, in order
    notices: list[dict[str, Any]] = field(default_factory=list)  # that it was to say, in order
    recorded: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)  # answers by sender and message id
    answers: dict[str, list[dict[str, Any]]] = field(default_factory=dict)  # by text; any other text is echoed
    said: dict[str, list[dict[str, Any]]] = field(default_factory=dict)  # of a notice, by its response
    failures: list[Any] = field(
        default_factory=list
    )  # answered first, in order: a status, or bytes instead of an answer
    healthy: bool = True
    warnings: Sequence[str] = ()
    store: Callable[[Call, list[dict[str, Any]]], None] | None = None  # keeps a turn, as the bot's tracker store does
    gate: threading.Event = field(default_factory=threading.Event)  # closed: every turn waits
    arrived: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))  # one release per call
    at_work: dict[str, int] = field(default_factory=dict)
    overtaken: bool = False  # two messages of one sender were here at once

    def reset(self) -> None:
        self.calls.clear()
        self.events.clear()
        self.notices.clear()
        self.recorded.clear()
        self.answers.clear()
        self.said.clear()
        self.failures.clear()
        self.healthy, self.overtaken, self.warnings, self.store = True, False, (), None
        self.gate.set()
        self.arrived = threading.Semaphore(0)

    async def arrival(self) -> None:
        """Waits until one more message has come."""
        assert await asyncio.to_thread(self.arrived.acquire, timeout=60)

    def texts(self) -> list[str]:
        """What was said, in order; a message that came again under its id is named once."""
        return [call.text for call in dict.fromkeys(self.calls)]

    async def webhook(self, request: Request) -> Response:
        body = await request.json()
        call = Call(**body | body.pop("metadata", {}))
        self.calls.append(call)
        self.arrived.release()
        self.at_work[call.sender] = self.at_work.get(call.sender, 0) + 1
        self.overtaken |= self.at_work[call.sender] > 1
        try:
            await asyncio.to_thread(self.gate.wait, 30)
            await asyncio.sleep(0)
        finally:
            self.at_work[call.sender] -= 1
        if self.failures:
            failure = self.failures.pop(0)
            if isinstance(failure, bytes):
                return Response(failure, media_type="application/json")
            return JSONResponse({"error": "not now"}, failure)
        key = call.sender, call.message_id
        if key not in self.recorded:
            messages = self.answers.get(call.text, [{"text": f"收到：{call.text}"}])
            self.recorded[key] = {"messages": messages, "understood": UNDERSTOOD}
            if self.store:
                self.store(call, messages)
        return JSONResponse(self.recorded[key])

    async def desk(self, request: Request) -> Response:
        event = await request.json()
        await asyncio.to_thread(self.gate.wait, 30)
        if event["event"] == "notice" and self.failures:
            failure = self.failures.pop(0)
            return Response(failure) if isinstance(failure, bytes) else JSONResponse({"error": "not now"}, failure)
        heard = self.notices if event["event"] == "notice" else self.events
        if event not in heard:
            heard.append(event)
        if event["event"] == "notice":
            return JSONResponse({"messages": self.said.get(event["text"], [{"text": event["text"]}])})
        return JSONResponse({"messages": [{"text": f"{event['event']} {event['text']}"}]})

    async def health(self, _: Request) -> Response:
        return JSONResponse({"status": "ok", "warnings": list(self.warnings)}, 200 if self.healthy else 503)


Endpoint = Callable[[Request], Awaitable[Response]]


def for_the_house(endpoint: Endpoint) -> Endpoint:
    async def guarded(request: Request) -> Response:
        if not request.headers.get("Authorization", "").startswith("Bearer "):
            return JSONResponse({"error": "not of the house"}, 401)
        return await endpoint(request)

    return guarded


@contextmanager
def serve(port: int) -> Iterator[FakeRasa]:
    """Serves on 127.0.0.1:``port`` in a thread; the bot's health and the action server's are on the same address."""
    rasa = FakeRasa(f"http://127.0.0.1:{port}")
    rasa.gate.set()
    routes = [
        Route("/webhooks/gateway/webhook", for_the_house(rasa.webhook), methods=["POST"]),
        Route("/webhooks/desk/event", for_the_house(rasa.desk), methods=["POST"]),
        Route("/webhooks/gateway/health", for_the_house(rasa.health)),
        Route("/health", for_the_house(rasa.health)),
    ]
    server = uvicorn.Server(
        uvicorn.Config(Starlette(routes=routes), port=port, log_level="warning", timeout_graceful_shutdown=1)
    )
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        yield rasa
    finally:
        rasa.gate.set()
        server.should_exit = True
        thread.join(10)
