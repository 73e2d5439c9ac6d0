"""``python -m bot serve`` as a process: it starts, talks, logs no words, stops; or says why it does not start."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import aiohttp
import pytest
from sqlalchemy import create_engine

import settings
from bot.components.server import load_agent, serve
from privacy.tables import metadata
from tests.bot.components.conftest import Bot, free_port, until_open


@pytest.fixture
def environment(tmp_path: Path, models: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Of a bot with the tiny model and an empty database."""
    for name in ("DATABASE_URL", "KEYRING_FILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DATA_DIR", str(tmp_path))
    engine = create_engine(settings.database_url("sync"))
    metadata.create_all(engine)
    engine.dispose()
    ports = {"BOT_PORT": str(free_port()), "ACTIONS_PORT": str(free_port())}
    return {**os.environ, "MODELS_DIR": str(models), **ports}


@contextmanager
def serving(environment: dict[str, str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "bot", "serve"],
            cwd=settings.ROOT,
            env=environment,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        try:
            yield process
        finally:
            process.kill()
            process.wait()


async def test_it_serves_until_sigterm_and_logs_no_words(environment: dict[str, str], tmp_path: Path) -> None:
    log = tmp_path / "bot.log"
    port = environment["BOT_PORT"]
    with serving(environment, log) as process:
        await until_open(int(port))
        url = f"http://127.0.0.1:{port}/webhooks/gateway"
        async with aiohttp.ClientSession(headers=settings.house_headers()) as http:
            async with http.get(f"{url}/health") as health:
                assert health.status == 200
            for message_id, text in (("turn-1", "你好，我叫张小明"), ("turn-2", "太差了我要投诉，尾号5678")):
                body = {"sender": "web:secret-visitor", "text": text, "message_id": message_id}
                async with http.post(f"{url}/webhook", json=body) as reply:
                    assert reply.status == 200
                    assert (await reply.json())["messages"]
            process.send_signal(signal.SIGTERM)
            assert process.wait(60) == 0  # an open connection holds nobody up
    written = log.read_text()
    assert "turn turn-1: 1 messages" in written
    for word in ("张小明", "5678", "投诉", "complain", "secret-visitor", "Traceback"):
        assert word not in written


def test_a_broken_model_is_not_served(environment: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "broken.tar.gz").write_bytes(b"not a model")
    with serving({**environment, "MODELS_DIR": str(tmp_path / "models")}, tmp_path / "bot.log") as process:
        assert process.wait(120) not in (0, None)
    reason = (tmp_path / "bot.log").read_text().strip().splitlines()[-1]
    assert reason.startswith("The bot does not start")
    assert "python -m bot train" in reason


async def test_without_a_model_nothing_is_loaded(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no model in"):
        await load_agent(settings.ROOT / "bot" / "endpoints.yml", tmp_path)


async def test_a_taken_port_is_an_error(bot: Bot) -> None:
    taken = int(bot.url.rpartition(":")[2].partition("/")[0])
    with pytest.raises(OSError, match=str(taken)):
        await serve(bot.agent, taken, asyncio.Event())
