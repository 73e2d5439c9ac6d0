"""A private stack for tests and benchmarks: its own data folder, its own ports, the really trained bot.

with Stack(tmp_path) as stack:
    httpx.post(f"{stack.url}/api/chat", json={"sender": "a", "text": "你好"})
    stack.kill("bot")
    stack.wait_until_green()
"""

from __future__ import annotations

import json
import os
import secrets
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType

import httpx
import psutil

import settings
from connectors.supervision import Life
from ops.stack import free_ports as free_ports
from ops.stack import house

OURS = (
    *("DATABASE_URL", "DATA_DIR", "KEYRING_FILE", "RASA_URL", "ACTIONS_URL", "BIND_HOST", "PUBLIC_URL"),
    *(
        "ADMIN_TOKEN",
        "DEMO",
        "DEMO_LIVE",
        "DESK_HOURS",
        "NOTICE_KINDS_FILE",
        "API_KEY",
        "HOUSE_TOKEN",
        "TRUSTED_PROXIES",
        "RATE_LIMITS",
        "REDIS_URL",
        "SANIC_HOST",
        "METRICS_TOKEN",
        "METRICS_PORT",
    ),
    *("GRAPH_URI", "GRAPH_USER", "GRAPH_PASSWORD"),
    *("TELEGRAM_BOT_TOKEN", "TELEGRAM_API_BASE", "TELEGRAM_WEBHOOK_SECRET"),
)
"""Settings of the developer's shell that must not reach a private stack."""


UNPRIVILEGED = (sys.executable, str(Path(__file__).with_name("unprivileged.py")))
"""Before a command: file modes bind it, whoever runs the tests."""


IN_THE_BACKGROUND = ("sh", "-c", 'trap \'\' INT HUP; exec "$0" "$@"')
"""Before a command: it inherits what a shell does to what it starts with `&` or `nohup`."""


class Stack:
    """What `make run` starts, in `data_dir` (kept afterwards; logs in `data_dir/logs`); more settings by keyword."""

    def __init__(self, data_dir: Path, **more: str) -> None:
        gateway, bot, actions, graph = map(str, free_ports(4))
        inherited = {name: value for name, value in os.environ.items() if name not in OURS}
        ports = {"GATEWAY_PORT": gateway, "BOT_PORT": bot, "ACTIONS_PORT": actions, "GRAPH_PORT": graph}
        self.data_dir = data_dir
        self.env = inherited | ports | {"DATA_DIR": str(data_dir), "DEMO_LIVE": "0"} | more
        self.url = f"http://{settings.HOST}:{gateway}"
        self._supervisor: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Stack:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Returns when everything is green."""
        self.data_dir.mkdir(parents=True, exist_ok=True)
        with (self.data_dir / "stack.txt").open("ab") as output:
            self._supervisor = subprocess.Popen(
                [sys.executable, "-m", "ops.stack"], cwd=settings.ROOT, env=self.env, stdout=output, stderr=output
            )
        self.wait_until_green()

    def stop(self) -> None:
        self._end(signal.SIGTERM)

    def crash_and_restart(self) -> None:
        """`kill -9` of the supervisor, which takes every part with it; returns when everything is green again."""
        self._end(signal.SIGKILL)
        self.start()

    def _end(self, signum: int) -> None:
        supervisor, self._supervisor = self._supervisor, None
        if supervisor is not None:
            supervisor.send_signal(signum)
            supervisor.wait(timeout=60)

    def house_headers(self) -> dict[str, str]:
        """What its bot and its action server want to see."""
        return {"Authorization": f"Bearer {(self.data_dir / 'house_token').read_text()}"}

    @property
    def supervisor(self) -> psutil.Process:
        assert self._supervisor is not None, "the stack was not started"
        return psutil.Process(self._supervisor.pid)

    def said(self) -> str:
        """What the supervisor has printed."""
        return (self.data_dir / "stack.txt").read_text()

    def wait_until_green(self, seconds: float = 240) -> None:
        deadline = time.monotonic() + seconds
        with httpx.Client(timeout=5, trust_env=False) as client:
            while time.monotonic() < deadline:
                assert self._supervisor is None or self._supervisor.poll() is None, self.said()
                try:
                    if client.get(f"{self.url}/healthz").status_code == httpx.codes.OK:
                        return
                except httpx.TransportError:
                    pass
                time.sleep(0.1)
        raise TimeoutError(f"not green after {seconds:g} s:\n{self.said()}")

    def wait_for_answers(self, seconds: float = 120) -> None:
        """Until questions about the rules are answered from the graph: finding answers may have to be learned first."""
        deadline = time.monotonic() + seconds
        with httpx.Client(base_url=self.url, timeout=60, trust_env=False) as client:
            while time.monotonic() < deadline:
                question = {"sender": secrets.token_hex(8), "text": "退货运费谁出"}
                if client.post("/api/chat", json=question).raise_for_status().json()["understood"].get("source"):
                    return
                time.sleep(0.5)
        raise TimeoutError(f"no answers after {seconds:g} s")

    def pids(self) -> dict[str, int]:
        """Process of each part that is running."""
        commands = {part.command: part.name for part in house()}
        return {
            name: child.pid for child in self.supervisor.children() if (name := commands.get(tuple(child.cmdline())))
        }

    def kill(self, part: str) -> None:
        """`kill -9` of one part's process; the supervisor starts it again."""
        os.kill(self.pids()[part], signal.SIGKILL)

    def kill_all(self) -> None:
        """`kill -9` of the supervisor and of every part, all at once; :meth:`start` starts them again."""
        supervisor, self._supervisor = self._supervisor, None
        assert supervisor is not None, "the stack was not started"
        parts = psutil.Process(supervisor.pid).children(True)
        supervisor.kill()
        for part in parts:
            with suppress(psutil.NoSuchProcess):
                part.kill()
        supervisor.wait(timeout=60)

    def lives(self) -> dict[str, Life]:
        """What the supervisor tells of each part."""
        told = json.loads((self.data_dir / "supervisor.json").read_text())
        return {name: Life(**life) for name, life in told.items()}

    def memory(self) -> int:
        """Resident bytes of the supervisor and everything under it."""
        return sum(process.memory_info().rss for process in (self.supervisor, *self.supervisor.children(True)))
