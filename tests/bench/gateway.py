"""What the gateway adds to a turn: `python -m tests.bench.gateway`.

The same conversations are held through the gateway and straight at the bot's door, turn by turn, now the one first and
now the other. Wall times are of a machine that may do other things, so the processor's time stands beside them that the
gateway has spent on a turn, without what it spends on nothing. The second table is with a stand-in of the bot, which
answers at once: there the difference is the gateway's alone.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import secrets
import statistics
import tempfile
import time
from pathlib import Path

import httpx
import psutil

import settings
from tests.bench.__main__ import SECONDS, TALK, percentile
from tests.connectors.conftest import Gateway
from tests.connectors.fake_rasa import serve
from tests.stack import Stack, free_ports

WARM = 5
"""Conversations before it counts."""

IDLE_SECONDS = 10.0


class Pair:
    def __init__(self, client: httpx.AsyncClient, gateway: str, bot: str, headers: dict[str, str]) -> None:
        self._client, self._headers = client, headers
        self._through, self._straight = f"{gateway}/api/chat", f"{bot}/webhooks/gateway/webhook"

    async def conversation(self) -> list[tuple[float, float]]:
        """Milliseconds of each turn of one new conversation, through the gateway and straight."""
        sender, spent = secrets.token_hex(8), []
        for text in TALK:
            message = {"sender": sender, "text": text, "message_id": secrets.token_hex(8)}
            ways = {"through": (self._through, {}), "straight": (self._straight, self._headers)}
            found = {}
            for way in random.sample(list(ways), 2):
                start = time.perf_counter()
                url, headers = ways[way]
                answer = await self._client.post(url, json=message | {"sender": sender}, headers=headers)
                found[way] = (time.perf_counter() - start) * 1000
                assert answer.raise_for_status().json()["messages"]
            spent.append((found["through"], found["straight"]))
        return spent


def spent_by(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


async def measure(title: str, gateway: str, bot: str, headers: dict[str, str], pid: int, conversations: int) -> None:
    process = psutil.Process(pid)
    async with httpx.AsyncClient(timeout=SECONDS, trust_env=False) as client:
        pair = Pair(client, gateway, bot, headers)
        for _ in range(WARM):
            await pair.conversation()
        before = spent_by(process)
        await asyncio.sleep(IDLE_SECONDS)
        idle = (spent_by(process) - before) / IDLE_SECONDS
        before, start = spent_by(process), time.monotonic()
        pairs = [turn for _ in range(conversations) for turn in await pair.conversation()]
        busy = spent_by(process) - before - idle * (time.monotonic() - start)
    through, straight = zip(*pairs, strict=True)
    added = [one - other for one, other in pairs]
    print(f"\n{title}, {len(pairs)} pairs of turns (ms){'':12}{'p50':>8}{'p95':>8}")
    for name, values in (("through the gateway", through), ("straight to the bot's door", straight)):
        print(f"{name:48}{percentile(list(values), 50):8.2f}{percentile(list(values), 95):8.2f}")
    print(f"{'difference of a pair':48}{percentile(added, 50):8.2f}{percentile(added, 95):8.2f}")
    apart = [percentile(list(through), percent) - percentile(list(straight), percent) for percent in (50, 95)]
    print(f"{'difference of the percentiles':48}{apart[0]:8.2f}{apart[1]:8.2f}")
    print(f"{'processor time of the gateway, mean':48}{busy / len(pairs) * 1000:8.2f}")
    print(f"{'… while nobody says anything (ms a second)':48}{idle * 1000:8.2f}")
    print(f"{'mean of the differences, the middle 90 %':48}{_trimmed(added):8.2f}", flush=True)


def _trimmed(values: list[float]) -> float:
    ordered = sorted(values)
    cut = len(ordered) // 20
    return statistics.fmean(ordered[cut : len(ordered) - cut])


def with_the_bot(folder: Path, conversations: int) -> None:
    with Stack(folder) as stack:
        stack.wait_for_answers()
        bot = f"http://{settings.HOST}:{stack.env['BOT_PORT']}"
        pid = stack.pids()["gateway"]
        asyncio.run(measure("the bot", stack.url, bot, stack.house_headers(), pid, conversations))


def with_a_stand_in(folder: Path, conversations: int) -> None:
    (port,) = free_ports(1)
    folder.mkdir()
    with serve(port) as rasa:
        gateway = Gateway(folder, rasa.url)
        gateway.start()
        try:
            headers = {"Authorization": "Bearer stand-in"}
            measuring = measure("a stand-in", gateway.url, rasa.url, headers, gateway.process.pid, conversations)
            asyncio.run(measuring)
        finally:
            gateway.stop()


WITH = {"stand-in": with_a_stand_in, "bot": with_the_bot}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.gateway", description=__doc__)
    parser.add_argument("--conversations", type=int, default=100)
    parser.add_argument("--only", choices=WITH)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for name in [arguments.only] if arguments.only else WITH:
            WITH[name](Path(folder) / name, arguments.conversations)


if __name__ == "__main__":
    main()
