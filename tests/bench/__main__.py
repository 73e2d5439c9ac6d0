"""Prints a table: one turn alone, many at once, memory, start, training; ours, a stock Rasa's, and the ratio. Then what
the mall's writers do: `python -m tests.bench --tries 100000` makes them try long to sell more than there is.

The stock Rasa runs the same model and calls the same actions, without the run-time patches, the gateway and the
encryption: Rasa's own REST channel and its SQL tracker store in a plain SQLite file. Both are asked in turns, in the
same run, because the machine is noisy.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import secrets
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import psutil
import yaml

import settings
from tests.stack import Stack, free_ports

TALK = ("你好", "我想退货", "ORD12345", "5678", "颜色不喜欢", "这单签收了吗", "算了不退了")
"""One conversation: every turn reads the mall or the tracker, none leaves a ticket behind."""

ROUNDS = 3
ALONE = 8  # conversations one after another, each round
TOGETHER = 16  # conversations at once
SECONDS = 60

Say = Callable[[httpx.AsyncClient, str, str], Awaitable[None]]


def say_to_gateway(url: str) -> Say:
    async def say(client: httpx.AsyncClient, sender: str, text: str) -> None:
        response = await client.post(f"{url}/api/chat", json={"sender": sender, "text": text})
        response.raise_for_status()
        assert response.json()["messages"]

    return say


def say_to_stock(url: str) -> Say:
    async def say(client: httpx.AsyncClient, sender: str, text: str) -> None:
        response = await client.post(f"{url}/webhooks/rest/webhook", json={"sender": sender, "message": text})
        response.raise_for_status()
        assert response.json(), "an empty answer"

    return say


async def conversation(client: httpx.AsyncClient, say: Say) -> list[float]:
    """Milliseconds of each turn of one new conversation."""
    sender, spent = secrets.token_hex(8), []
    for text in TALK:
        start = time.perf_counter()
        await say(client, sender, text)
        spent.append((time.perf_counter() - start) * 1000)
    return spent


async def alone(say: Say, count: int) -> list[float]:
    async with httpx.AsyncClient(timeout=SECONDS) as client:
        return [spent for _ in range(count) for spent in await conversation(client, say)]


async def together(say: Say) -> float:
    """Turns a second of ``TOGETHER`` conversations, two after each other in every place."""
    async with httpx.AsyncClient(timeout=SECONDS, limits=httpx.Limits(max_connections=TOGETHER)) as client:

        async def place() -> int:
            return sum([len(await conversation(client, say)) for _ in range(2)])

        start = time.perf_counter()
        turns = await asyncio.gather(*(place() for _ in range(TOGETHER)))
        return sum(turns) / (time.perf_counter() - start)


@contextmanager
def stock_rasa(stack: Stack, folder: Path) -> Iterator[tuple[str, psutil.Process]]:
    """``rasa run`` with the newest model, REST channel and plain SQLite, on a port of its own."""
    (port,) = free_ports(1)
    (folder / "credentials.yml").write_text("rest:\n", "utf-8")
    actions = f"http://{settings.HOST}:{stack.env['ACTIONS_PORT']}/webhook"
    endpoints = {
        "action_endpoint": {"url": actions, "headers": stack.house_headers()},
        "tracker_store": {"type": "SQL", "dialect": "sqlite", "db": str(folder / "stock.db")},
    }
    (folder / "endpoints.yml").write_text(yaml.safe_dump(endpoints), "utf-8")
    command = [
        str(settings.ROOT / ".venvs/rasa/bin/python"),
        "-m",
        "rasa",
        "run",
        "--model",
        str(settings.ROOT / "models"),
    ]
    command += ["--endpoints", str(folder / "endpoints.yml"), "--credentials", str(folder / "credentials.yml")]
    command += ["-i", settings.HOST, "-p", str(port)]
    env = stack.env | {"RASA_TELEMETRY_ENABLED": "false", "SQLALCHEMY_SILENCE_UBER_WARNING": "1"}
    with (folder / "stock.log").open("wb") as log:
        process = subprocess.Popen(command, cwd=settings.ROOT, env=env, stdout=log, stderr=log, start_new_session=True)
        try:
            url = f"http://{settings.HOST}:{port}"
            wait_for_answer(say_to_stock(url), process, folder / "stock.log")
            yield url, psutil.Process(process.pid)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)
            process.wait(30)


def wait_for_answer(say: Say, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 180
    while time.monotonic() < deadline and process.poll() is None:
        try:
            asyncio.run(alone(say, 1))
            return
        except (httpx.HTTPError, AssertionError):
            time.sleep(0.5)
    raise TimeoutError(f"the stock Rasa does not answer: {log.read_text()[-2000:]}")


def start_again(data_dir: Path) -> float:
    """Seconds from ``make run`` to green, with everything set up."""
    gateway, bot, actions, graph = map(str, free_ports(4))
    ports = {"GATEWAY_PORT": gateway, "BOT_PORT": bot, "ACTIONS_PORT": actions, "GRAPH_PORT": graph}
    ports["DATA_DIR"] = str(data_dir)
    start = time.monotonic()
    with subprocess.Popen(
        ["make", "run"], cwd=settings.ROOT, env=os.environ | ports, stdout=subprocess.DEVNULL, start_new_session=True
    ) as process:
        try:
            while time.monotonic() < start + 120:
                try:
                    if httpx.get(f"http://{settings.HOST}:{gateway}/healthz").status_code == httpx.codes.OK:
                        return time.monotonic() - start
                except httpx.TransportError:
                    pass
                time.sleep(0.05)
            raise TimeoutError("make run is not green after 120 s")
        finally:
            os.killpg(process.pid, signal.SIGTERM)
            process.wait(60)


def train(folder: Path) -> float:
    """Seconds of a training from nothing."""
    start = time.monotonic()
    subprocess.run(
        [str(settings.ROOT / ".venvs/rasa/bin/python"), "-m", "bot", "train"],
        cwd=settings.ROOT,
        env=os.environ | {"MODELS_DIR": str(folder / "models")},
        check=True,
        capture_output=True,
    )
    return time.monotonic() - start


def percentile(values: list[float], percent: int) -> float:
    return statistics.quantiles(values, n=100)[percent - 1]


def turns(ours: Say, stock: Say) -> list[tuple[str, float, float]]:
    spent: dict[str, list[float]] = {"ours": [], "stock": []}
    rates: dict[str, list[float]] = {"ours": [], "stock": []}
    for number in range(ROUNDS):
        print(f"  round {number + 1} of {ROUNDS} …", file=sys.stderr, flush=True)
        for name, say in (("ours", ours), ("stock", stock)):
            spent[name] += asyncio.run(alone(say, ALONE))
            rates[name].append(asyncio.run(together(say)))
    rows: list[tuple[str, Any]] = [
        ("one turn, p50 (ms)", lambda name: percentile(spent[name], 50)),
        ("one turn, p95 (ms)", lambda name: percentile(spent[name], 95)),
        (f"{TOGETHER} conversations at once (turns/s)", lambda name: statistics.median(rates[name])),
    ]
    return [(title, measure("ours"), measure("stock")) for title, measure in rows]


def inside_the_action(url: str, headers: dict[str, str]) -> list[float]:
    """Milliseconds of each call that answers a question about the rules."""
    domain = yaml.safe_load((settings.ROOT / "bot/domain.yml").read_text("utf-8"))
    slots = dict.fromkeys(domain["slots"])
    lines = yaml.safe_load((settings.ROOT / "tests/knowledge_graph/heldout.yml").read_text("utf-8"))["answerable"]
    spent = []
    with httpx.Client(timeout=SECONDS, headers=headers) as client:
        for line in lines:
            message = {"text": line["ask"], "intent": {"name": "ask_policy", "confidence": 1.0}, "entities": []}
            tracker = {"sender_id": "bench", "slots": slots, "latest_message": message, "events": [], "paused": False}
            call = {
                "next_action": "action_answer_from_graph",
                "sender_id": "bench",
                "tracker": tracker | {"followup_action": None, "active_loop": {}, "latest_action_name": None},
                "domain": domain,
                "version": "3.6.21",
            }
            start = time.perf_counter()
            client.post(url, json=call).raise_for_status()
            spent.append((time.perf_counter() - start) * 1000)
    return spent[20:]  # warm by then


def the_mall(tries: int) -> None:
    """Tables of their own: what the mall and its outbox do in a second, and what HTTP adds to a call."""
    for module, *arguments in (
        ("mall", "--orders", "1000", "--tries", str(tries)),
        ("outbox", "--rows", "2000"),
        ("mall_http",),
    ):
        subprocess.run([sys.executable, "-m", f"tests.bench.{module}", *arguments], cwd=settings.ROOT, check=True)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--tries", type=int, default=2_000, help="to sell more than the mall has")
    tries = parser.parse_args().tries
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        with Stack(folder / "data") as stack:
            ours = say_to_gateway(stack.url)
            asyncio.run(alone(ours, 2))
            with stock_rasa(stack, folder) as (url, process):
                rows = turns(ours, say_to_stock(url))
                resident = process.memory_info().rss + sum(child.memory_info().rss for child in process.children(True))
                url = f"http://{settings.HOST}:{stack.env['ACTIONS_PORT']}/webhook"
                answering = inside_the_action(url, stack.house_headers())
                rows.append(("resident, all parts; stock: Rasa alone (MiB)", stack.memory() / 2**20, resident / 2**20))
        print(f"\n{'':48}{'ours':>10}{'stock':>10}{'ratio':>8}")
        for title, mine, theirs in rows:
            print(f"{title:48}{mine:10.1f}{theirs:10.1f}{mine / theirs:8.2f}")
        for percent in (50, 95):
            title = f"a question about rules, inside the action, p{percent} (ms)"
            print(f"{title:48}{percentile(answering, percent):10.1f}")
        print(f"{'second `make run` to green (s)':48}{start_again(folder / 'data'):10.1f}")
        print(f"{'training from nothing (s)':48}{train(folder):10.1f}", flush=True)
    the_mall(tries)


if __name__ == "__main__":
    main()
