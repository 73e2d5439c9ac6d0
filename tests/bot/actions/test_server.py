"""``python -m bot.actions`` as a process: it answers the house and nobody else."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

import settings
from storage import migrate
from tests.stack import free_ports

KEY = {"Authorization": "Bearer of-the-house"}


@pytest.fixture(scope="module")
def actions(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of a running action server."""
    folder: Path = tmp_path_factory.mktemp("actions")
    port, graph = map(str, free_ports(2))
    here = {"DATA_DIR": str(folder), "DATABASE_URL": f"sqlite:///{folder / 'mall.db'}", "ACTIONS_PORT": port}
    environment = os.environ | here | {"GRAPH_PORT": graph, "HOUSE_TOKEN": "of-the-house"}
    environment["KEYRING_FILE"] = str(folder / "keyring.json")
    asyncio.run(migrate(f"sqlite+aiosqlite:///{folder / 'mall.db'}"))
    with (folder / "actions.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "bot.actions"], cwd=settings.ROOT, env=environment, stdout=log, stderr=log
        )
    url, deadline = f"http://{settings.HOST}:{port}", time.monotonic() + 120
    try:
        while time.monotonic() < deadline:
            try:
                httpx.get(f"{url}/health", trust_env=False)
                break
            except httpx.TransportError:
                assert process.poll() is None, (folder / "actions.log").read_text()
                time.sleep(0.1)
        yield url
    finally:
        process.terminate()
        process.wait(20)


@pytest.mark.parametrize("given", [None, "", "Bearer of-the-hous", "Basic of-the-house", "Bearer of-the-house2"])
def test_a_stranger_of_the_same_machine_is_sent_away(actions: str, given: str | None) -> None:
    headers = {"Origin": "https://evil.example"} | ({} if given is None else {"Authorization": given})
    with httpx.Client(base_url=actions, headers=headers, trust_env=False) as stranger:
        for response in (
            stranger.get("/health"),
            stranger.get("/actions"),
            stranger.get("/nowhere"),
            stranger.post("/webhook", json={"next_action": "action_greet"}),
            stranger.post("/webhook", content=b"{", headers={"Content-Type": "text/plain"}),
            stranger.post("/webhook", content=b"x", headers={"Content-Encoding": "deflate"}),
        ):
            assert response.status_code == 401
            assert "access-control-allow-origin" not in response.headers
        preflight = stranger.options("/webhook", headers={"Access-Control-Request-Method": "POST"})
        assert not [name for name in preflight.headers if name.startswith("access-control")]


def test_the_house_is_answered(actions: str) -> None:
    with httpx.Client(base_url=actions, headers=KEY, trust_env=False) as house:
        assert house.get("/health").json() == {"status": "ok"}
        assert any(action["name"] == "action_create_return_ticket" for action in house.get("/actions").json())
