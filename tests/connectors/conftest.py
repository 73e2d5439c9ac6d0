"""A really started gateway on a database of its own, with a fake bot behind it."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from mall_adapter.database import migrate
from settings import ROOT
from tests.connectors.fake_rasa import FakeRasa, serve


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


class Gateway:
    """``python -m connectors`` as a process that can be killed and started again."""

    def __init__(self, folder: Path, rasa_url: str, **environment: str) -> None:
        self.port = free_port()
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
            **environment,
        }
        asyncio.run(migrate(f"sqlite+aiosqlite:///{self.database}"))

    def command(self, *arguments: str, **options: object) -> subprocess.Popen[str]:
        return subprocess.Popen(  # type: ignore[call-overload,no-any-return]
            [sys.executable, "-m", "connectors", *arguments],
            cwd=ROOT,
            env=self.environment,
            text=True,
            **options,
        )

    def start(self) -> None:
        with self.log.open("a") as log:
            self.process = self.command(stdout=log, stderr=log)
        deadline = time.monotonic() + 30
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
        return self.process.wait(20)

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
    gateway = Gateway(tmp_path_factory.mktemp("gateway"), rasa_server.url)
    gateway.start()
    yield gateway
    gateway.stop()


@pytest.fixture
def gateway(shared_gateway: Gateway, rasa: FakeRasa) -> Gateway:
    """One gateway for all tests: use senders of your own."""
    return shared_gateway


@pytest.fixture
def mortal_gateway(rasa: FakeRasa, tmp_path: Path) -> Iterator[Gateway]:
    """A gateway of one's own, to be killed."""
    gateway = Gateway(tmp_path, rasa.url)
    gateway.start()
    yield gateway
    gateway.kill()
