"""A tiny shop bot, trained once, served over HTTP as in production, and an action server that can be told to fail."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from aiohttp import web
from rasa.core.agent import Agent
from rasa.shared.core.trackers import DialogueStateTracker
from sanic import Sanic

import settings
from bot.components import patches
from bot.components.server import load_agent, serve

os.environ["RASA_TELEMETRY_ENABLED"] = "false"
Sanic.test_mode = True  # several servers of one name in one process

CONFIG = """
recipe: default.v1
assistant_id: tiny
language: zh
pipeline:
  - name: bot.components.tokenizer.CharacterTokenizer
  - {name: bot.components.classifier.LinearIntentClassifier, folds: 2}
  - {name: FallbackClassifier, threshold: 0.3}
  - {name: RegexEntityExtractor, use_word_boundaries: false}
  - name: bot.components.entities.ShopEntityExtractor
  - {name: bot.components.worry.WorryFinder, folds: 2}
policies:
  - name: RulePolicy
"""

DOMAIN = """
version: "3.1"
intents: [greet, affirm, complain, worry_delivery, order_status, restart, chitchat]
entities: [order_id, phone_tail, quantity, product]
slots:
  order_id:
    type: text
    influence_conversation: false
    mappings: [{type: from_entity, entity: order_id}]
actions: [action_order_status]
responses:
  utter_greet:
    - text: 您好，我是掌柜
      buttons: [{title: 查订单, payload: '/order_status{{"order_id": "ORD12345"}}'}]
  utter_sorry:
    - text: 让您久等了
      image: https://shop.example/sorry.png
  utter_default: [{text: 这句我没听懂}]
  utter_handoff_joined: [{text: "{operator}来了"}]
  utter_notice_parcel:
  - text: "{order_id} 到了{place}"
    buttons: [{title: 查看物流, payload: '/order_status{{"order_id": "{order_id}"}}'}]
  utter_handoff_over:
    - text: 现在换我
      buttons: [{title: 查订单, payload: '/order_status{{"order_id": "ORD66666"}}'}]
  utter_order: [{text: "订单 {order_id} 已发货"}]
"""

DATA = """
version: "3.1"
nlu:
  - intent: greet
    examples: "- 你好\\n- 您好\\n- 在吗"
  - intent: affirm
    examples: "- 对\\n- 是的\\n- 好的"
  - intent: complain
    examples: "- 太差了我要投诉\\n- 服务太烂了"
  - intent: worry_delivery
    examples: "- 怎么还不发货好着急\\n- 会不会收不到了"
  - intent: order_status
    examples: "- 我的订单到哪了\\n- 查一下订单\\n- 查订单状态"
  - intent: chitchat
    examples: "- 今天天气真好\\n- 讲个笑话"
  - lookup: product
    examples: "- 运动鞋"
rules:
  - {rule: greet, steps: [{intent: greet}, {action: utter_greet}]}
  - {rule: affirm, steps: [{intent: affirm}, {action: utter_greet}]}
  - {rule: complain, steps: [{intent: complain}, {action: utter_sorry}]}
  - {rule: worry, steps: [{intent: worry_delivery}, {action: utter_sorry}]}
  - {rule: status, steps: [{intent: order_status}, {action: action_order_status}]}
  - {rule: restart, steps: [{intent: restart}, {action: action_restart}]}
  - {rule: silence, steps: [{intent: chitchat}, {action: action_listen}]}
"""


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the tiny bot's model; training takes a few seconds."""
    from rasa.api import train

    folder = tmp_path_factory.mktemp("tiny")
    for name, text in {"config": CONFIG, "domain": DOMAIN, "data": DATA}.items():
        (folder / f"{name}.yml").write_text(text)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RASA_CACHE_DIRECTORY", str(folder / "cache"))
        result = train(
            str(folder / "domain.yml"),
            str(folder / "config.yml"),
            [str(folder / "data.yml")],
            output=str(folder / "models"),
        )
    assert result.model
    return folder / "models"


@pytest.fixture(scope="session")
def patched() -> Iterator[None]:
    """Rasa as ``bot serve`` runs it."""
    stock = [(patch.owner, patch.name, vars(patch.owner)[patch.name]) for patch in patches.PATCHES]
    patches.apply()
    yield
    for owner, name, function in stock:
        setattr(owner, name, function)


Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def status_of(order_id: str = "ORD12345") -> web.Response:
    """What an action that says where the order is sends back."""
    return web.json_response({"events": [], "responses": [{"response": "utter_order", "order_id": order_id}]})


async def say_where_it_is(request: web.Request) -> web.StreamResponse:
    return status_of()


class Actions:
    """An action server in the test's own loop: ``handle`` is all that it does, ``stop`` and ``start`` are its life."""

    def __init__(self) -> None:
        self.port = free_port()
        self.calls: list[dict[str, Any]] = []
        self.runner: web.AppRunner | None = None
        self.handle: Handler = say_where_it_is

    async def _webhook(self, request: web.Request) -> web.StreamResponse:
        self.calls.append(await request.json())
        return await self.handle(request)

    async def start(self) -> None:
        app = web.Application(client_max_size=10_000_000)
        app.router.add_post("/webhook", self._webhook)
        self.runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self.runner.setup()
        await web.TCPSite(self.runner, "127.0.0.1", self.port, reuse_address=True).start()

    async def stop(self) -> None:
        if self.runner:
            await self.runner.cleanup()
            self.runner = None


@pytest_asyncio.fixture
async def actions() -> AsyncIterator[Actions]:
    server = Actions()
    await server.start()
    yield server
    await server.stop()


class Bot:
    """A running bot and somebody who talks to it over HTTP."""

    def __init__(self, agent: Agent, port: int, http: aiohttp.ClientSession) -> None:
        self.agent, self.http = agent, http
        self.url = f"http://127.0.0.1:{port}/webhooks/gateway"
        self._messages = 0

    async def post(self, body: Any, **options: Any) -> tuple[int, dict[str, Any]]:
        async with self.http.post(f"{self.url}/webhook", json=body, **options) as response:
            return response.status, await response.json()

    async def send(
        self, text: str, sender: str = "web:ann", message_id: str | None = None
    ) -> tuple[int, dict[str, Any]]:
        self._messages += 1
        message_id = message_id or f"m{self._messages}"
        return await self.post({"sender": sender, "text": text, "message_id": message_id})

    async def says(self, text: str, sender: str = "web:ann") -> list[dict[str, Any]]:
        status, reply = await self.send(text, sender)
        assert status == 200, reply
        messages: list[dict[str, Any]] = reply["messages"]
        return messages

    async def tracker(self, sender: str = "web:ann") -> DialogueStateTracker | None:
        return await self.agent.tracker_store.retrieve_full_tracker(sender)

    async def heard(self, sender: str = "web:ann") -> list[str]:
        """The customer's messages of all saved turns."""
        tracker = await self.tracker(sender)
        return [event.text for event in tracker.events if event.type_name == "user"] if tracker else []


@pytest_asyncio.fixture
async def bot(
    models: Path, patched: None, actions: Actions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Bot]:
    endpoints = tmp_path / "endpoints.yml"
    endpoints.write_text(
        "action_endpoint:\n  url: ${ACTIONS_URL}/webhook\n  headers:\n    Authorization: Bearer ${HOUSE_TOKEN}\n"
    )
    monkeypatch.setenv("ACTIONS_URL", f"http://127.0.0.1:{actions.port}")
    monkeypatch.setenv("HOUSE_TOKEN", "of-the-house")
    agent, port, stop = await load_agent(endpoints, models), free_port(), asyncio.Event()
    serving = asyncio.create_task(serve(agent, port, stop))
    async with aiohttp.ClientSession(headers=settings.house_headers()) as http:
        bot = Bot(agent, port, http)
        await until_open(port)
        yield bot
    stop.set()
    await serving


async def until_open(port: int) -> None:
    async def connect() -> None:
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.02)
            else:
                writer.close()
                return

    await asyncio.wait_for(connect(), 120)
