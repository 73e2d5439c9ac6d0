"""A really started gateway on a database of its own, with a fake bot behind it."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import socketserver
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, date, datetime
from functools import cache
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import expect

from knowledge_graph import Product, catalogue, content, feedback, gaps
from knowledge_graph import migrate as migrate_graph
from knowledge_graph.entries import Content, Entry
from settings import ROOT
from storage import migrate
from tests.connectors.fake_rasa import FakeRasa, serve
from tests.connectors.shop import Shop
from tests.connectors.shop import aside as aside
from tests.knowledge_graph.servers import PASSWORD, Embedded, Server, start

HOSTILE = int(os.environ.get("HOSTILE_REQUESTS", "1000"))
"""Hostile requests that are made up by chance; many more of them are a bench (``tests.bench.hostile``)."""

expect.set_options(timeout=60_000)  # a page on a busy machine is slow, and not wrong


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@contextmanager
def fake_graph(port: int) -> Iterator[None]:
    """Shakes hands in Bolt 4.4, which is all that the gateway's health asks of a graph."""

    class Handshake(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            if self.request.recv(20).startswith(bytes.fromhex("6060b017")):
                self.request.sendall(bytes([0, 0, 4, 4]))

    with socketserver.ThreadingTCPServer(("127.0.0.1", port), Handshake) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield
        server.shutdown()


@cache
def migrated() -> bytes:
    """A database with all its tables and nothing in them, which is copied: to make one takes a second."""
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(migrate(f"sqlite+aiosqlite:///{folder}/empty.db"))
        return (Path(folder) / "empty.db").read_bytes()


class Gateway:
    """``python -m connectors`` as a process that can be killed and started again."""

    through: tuple[str, ...] = ()
    """A command that runs it."""

    def __init__(self, folder: Path, rasa_url: str, **environment: str) -> None:
        self.port, self.graph_port = free_port(), free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.folder = folder
        self.log = folder / "gateway.log"
        self.database = folder / "zhanggui.db"
        self.environment = os.environ | {
            "DATA_DIR": str(folder),
            "DATABASE_URL": f"sqlite:///{self.database}",
            "KEYRING_FILE": str(folder / "keyring.json"),
            "GATEWAY_PORT": str(self.port),
            "RASA_URL": rasa_url,
            "ACTIONS_URL": rasa_url,
            "PUBLIC_URL": self.url,
            "GRAPH_URI": f"bolt://127.0.0.1:{self.graph_port}",
            "GRAPH_PASSWORD": "never asked for",
            **environment,
        }
        self.database.write_bytes(migrated())

    def command(self, *arguments: str, **options: object) -> subprocess.Popen[str]:
        return subprocess.Popen(  # type: ignore[call-overload,no-any-return]
            [*self.through, sys.executable, "-m", "connectors", *arguments],
            cwd=ROOT,
            env=self.environment,
            text=True,
            **options,
        )

    def start(self) -> None:
        with self.log.open("a") as log:
            self.process = self.command(stdout=log, stderr=log)
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            try:
                httpx.get(f"{self.url}/healthz", trust_env=False)
                return
            except httpx.TransportError:
                assert self.process.poll() is None, self.log.read_text()
                time.sleep(0.05)
        raise AssertionError(f"the gateway did not start: {self.log.read_text()}")

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(60)

    def say(self, text: str, sender: str | None = "阿花", message_id: str | None = None) -> httpx.Response:
        body = {"sender": sender, "text": text, "message_id": message_id}
        body = {name: value for name, value in body.items() if value is not None}
        return httpx.post(f"{self.url}/api/chat", json=body, timeout=60, trust_env=False)


@pytest.fixture(scope="session")
def rasa_server() -> Iterator[FakeRasa]:
    with serve(free_port()) as rasa:
        yield rasa


@pytest.fixture
def rasa(rasa_server: FakeRasa) -> FakeRasa:
    rasa_server.reset()
    return rasa_server


@pytest.fixture(scope="session")
def shared_gateway(rasa_server: FakeRasa, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    folder = tmp_path_factory.mktemp("gateway")
    gateway = aside(lambda: Gateway(folder, rasa_server.url))
    gateway.start()
    yield gateway
    gateway.stop()


@pytest.fixture
def gateway(shared_gateway: Gateway, rasa: FakeRasa) -> Gateway:
    """One gateway for all tests: use senders of your own."""
    return shared_gateway


@pytest.fixture(scope="session")
def shop(shared_gateway: Gateway) -> Shop:
    """The small mall behind that gateway, for all tests: use customers, orders and tickets of your own."""
    shop = Shop(shared_gateway.database, shared_gateway.environment["KEYRING_FILE"])
    aside(shop.open)
    return shop


@pytest.fixture
def mortal_gateway(rasa: FakeRasa, tmp_path: Path) -> Iterator[Gateway]:
    """A gateway of one's own, to be killed."""
    gateway = Gateway(tmp_path, rasa.url)
    gateway.start()
    yield gateway
    gateway.kill()


# ---- a house that knows something ------------------------------------------------------------------------------------

KETTLE = Product(
    *("K1", "禾炊 电水壶 1.5 L", "禾炊", "电水壶", "S1", "宁波禾炊小家电有限公司", None),
    {"容量": "1.5 L", "材质": "不锈钢", "功率": "1800 W"},
)
SHELF = [
    KETTLE,
    replace(KETTLE, id="K2", name="禾炊 电水壶 1.7 L", attributes={"容量": "1.7 L"}),
    replace(KETTLE, id="K3", name="厨小满 电水壶", brand="厨小满", attributes={"材质": "不锈钢"}),
    Product("C1", "净谷 水壶除垢剂", "净谷", "清洁用品", "S2", "净谷水业"),
]
RETURNS = Entry(
    id="no_reason_return",
    kind="policy",
    topic="return_exchange",
    title="无理由退货的条件",
    answer="签收后 {days} 天内可以无理由退。",
    ask=("不喜欢能退吗", "七天无理由退货"),
    facts={"days": 7},
    valid_from=date(2026, 1, 1),
    valid_until=date(2099, 12, 31),
)
DESCALING = Entry(
    *("descaling", "faq", "product_question", "水壶怎么除垢", "放一勺除垢剂，烧开后倒掉。", ("壶底有水垢怎么办",), {}),
    valid_until=date(2020, 1, 1),
    categories=("电水壶",),
    products=("净谷 水壶除垢剂",),
)
JUDGED = replace(
    DESCALING, id="filter", title="滤芯多久换", answer="半年换一次。", ask=("滤芯",), categories=(), products=()
)
"""For tests that give thumbs."""


@pytest.fixture(scope="session")
def graph_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("graph")
    server = aside(lambda: start(Embedded, folder))
    yield server
    server.stop()


@pytest.fixture(scope="session")
def house(graph_server: Server, rasa_server: FakeRasa, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A gateway whose graph knows a small shelf, two answers, what customers asked in vain and what did not help."""
    access = {"GRAPH_URI": graph_server.uri, "GRAPH_USER": "root", "GRAPH_PASSWORD": PASSWORD}
    folder = tmp_path_factory.mktemp("house")
    gateway = aside(lambda: Gateway(folder, rasa_server.url, **access))
    gateway.start()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KEYRING_FILE", gateway.environment["KEYRING_FILE"])
        aside(lambda: asyncio.run(fill(graph_server)))
    yield gateway
    gateway.stop()


async def fill(server: Server) -> None:
    async with server.graph() as graph:
        await migrate_graph(graph)
        await catalogue.sync(graph, SHELF, [("K1", "C1")], {"K1": ["K2", "K3"], "K2": ["K1", "K3"], "K3": ["K1", "K2"]})
        await content.load(graph, Content((RETURNS, DESCALING, JUDGED), ()))
        for text, topic, minute in (
            ("能送火星吗", "delivery", 0),
            ("支持刷脸支付吗", None, 1),
            ("能送 火星 吗？", "delivery", 2),
            ("火星能送吗", "delivery", 3),
        ):
            await gaps.record(graph, text, topic, datetime(2026, 3, 11, 4, minute, tzinfo=UTC))
        for source, helpful in (
            ("descaling", False),
            ("descaling", False),
            ("no_reason_return", True),
            ("gone", False),
        ):
            await feedback.record(graph, source, helpful)
