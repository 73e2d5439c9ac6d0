"""kill -9 of every part, again and again, in the middle of turns on three channels: `python -m tests.bench.kills`.

The whole private stack on PostgreSQL (``--sqlite``: on the house's own file), beside it a worker of its own. Customers
of the web chat, of WeChat and of Telegram send back goods, bind their accounts and ask, while one of the parts is
killed, or all at once. What the house took stands in its conversation once and in order, its answer is shown once, and
each request has one ticket. Where a channel has no key by which it would know a message again, one that was on its way
when its sender died may come twice: these are counted apart.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil
from sqlalchemy import func, select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

import settings
from mall_adapter.models import Ticket
from ops.stack import TRIES
from storage import create_engine
from tests.bench.customers import (
    FAULTS,
    KINDS,
    Customer,
    House,
    Verdict,
    by_channel,
    judged,
    opened,
    percentiles,
    settled,
)
from tests.databases import Postgres
from tests.e2e.conversation import copy_customer, copy_order, is_bound, phone_of

DEMO_ORDER, TAIL = "ORD12345", "5678"

TALKS = {
    "return": (f"退货 {{order}} 尾号{TAIL}", "颜色不喜欢", "确认提交", "退货进度"),
    "bind": ("绑定会员账号", "{phone}", "{order}", "确认", "我的订单到哪了"),
    "ask": ("退货运费谁出", "发票怎么开", "谢谢"),
}
WISHES = {"return": 5, "bind": 3, "ask": 2}

PARTS = {"gateway": 6, "actions": 5, "worker": 5, "database": 4, "graph": 4, "sync": 1, "bot": 3, "all": 1}
"""How often each is killed; what takes long to start, rarely."""

WRITES_ON = 0.2
"""Of the messages to a channel: their customers do not wait for the answer."""

SETTLING_SECONDS = 300.0


@dataclass
class Kill:
    part: str
    at: float  # monotonic


@dataclass
class Life:
    """One customer with one order and one wish."""

    customer: Customer
    order: str
    wish: str


class Worker:
    """``python -m connectors worker`` beside the stack, started again when it was killed."""

    def __init__(self, house: House) -> None:
        self._env, self._log = house.stack.env, house.stack.data_dir / "logs" / "worker.log"
        self.start()

    def start(self) -> None:
        with self._log.open("ab") as log:
            command = [sys.executable, "-m", "connectors", "worker"]
            self._process = subprocess.Popen(command, cwd=settings.ROOT, env=self._env, stdout=log, stderr=log)

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()


class Killing:
    """Kills, and writes down what and when."""

    def __init__(self, house: House, worker: Worker, postgres: Postgres | None, lives: list[Life]) -> None:
        self._house, self._worker, self._postgres, self._lives = house, worker, postgres, lives
        self.kills: list[Kill] = []
        self.stopped = asyncio.Event()

    async def go_on(self, number: int) -> None:
        """So often, each time after somebody has got an answer since; or until it is told to stop."""
        for _ in range(number):
            before = self._answered()
            while self._answered() <= before and not self.stopped.is_set():  # noqa: ASYNC110
                await asyncio.sleep(0.1)
            with suppress(TimeoutError):
                await asyncio.wait_for(self.stopped.wait(), random.uniform(0.2, 3.0))  # noqa: S311
            while not self.stopped.is_set() and (part := self._next()) is None:  # noqa: ASYNC110
                await asyncio.sleep(1)
            if self.stopped.is_set() or part is None:
                return
            self.kills.append(Kill(part, time.monotonic()))
            print(f"{len(self.kills)}: kill -9 {part}, after {self._answered()} answers", flush=True)
            await self._kill(part)

    def _answered(self) -> int:
        return sum(each.answered is not None for life in self._lives for each in life.customer.said)

    def _next(self) -> str | None:
        """A part by chance, of those that run and that the supervisor would start again."""
        may = {name for name, life in self._house.stack.lives().items() if life.running and life.lately() < TRIES - 1}
        may |= {"worker", "all"} | ({"database"} if self._postgres else set())
        weights = {part: weight for part, weight in PARTS.items() if part in may & self._running()}
        return random.choices(list(weights), list(weights.values()))[0] if len(weights) > 3 else None  # noqa: S311

    def _running(self) -> set[str]:
        return {*self._house.stack.pids(), "worker", "all", "database"}

    async def _kill(self, part: str) -> None:
        match part:
            case "worker":
                self._worker.kill()
                self._worker.start()
            case "database":
                self._kill_database()
            case "all":
                if self._postgres:
                    self._kill_database()
                self._worker.kill()
                self._house.stack.kill_all()
                await asyncio.to_thread(self._house.stack.start)
                self._worker.start()
            case _:
                with suppress(KeyError, ProcessLookupError):  # it has just died
                    self._house.stack.kill(part)

    def _kill_database(self) -> None:
        """A process that serves one connection; PostgreSQL then ends all the others and recovers."""
        assert self._postgres is not None
        serving = [one for one in psutil.Process(self._postgres.server.get_pid()).children() if _serves(one)]
        os.kill(random.choice(serving).pid, signal.SIGKILL)  # noqa: S311


def _serves(process: psutil.Process) -> bool:
    with suppress(psutil.Error):
        return "[local]" in " ".join(process.cmdline())
    return False


async def life_after_life(
    house: House, engine: AsyncEngine, channel: str, lives: list[Life], over: asyncio.Event
) -> None:
    """One customer after another, in one place."""
    while not over.is_set():
        order, phone = await _ordered(engine)
        wish = random.choices(list(WISHES), list(WISHES.values()))[0]  # noqa: S311
        customer: Customer = KINDS[channel](house)
        lives.append(Life(customer, order, wish))
        for text in TALKS[wish]:
            wait = random.random() >= WRITES_ON  # noqa: S311
            await customer.say(text.format(order=order, phone=phone), wait=wait)
            await asyncio.sleep(random.uniform(0.1, 1.0))  # noqa: S311


async def _ordered(engine: AsyncEngine) -> tuple[str, str]:
    """A new customer's order, and their telephone."""
    while True:
        try:
            customer = await copy_customer(engine, DEMO_ORDER)
            return await copy_order(engine, DEMO_ORDER, customer), await phone_of(engine, customer)
        except (SQLAlchemyError, OSError):  # the database was just killed
            await asyncio.sleep(0.5)


async def unfulfilled(engine: AsyncEngine, lives: Sequence[Life]) -> list[str]:
    """Requests that do not have exactly one ticket, and accounts that are not bound."""
    found = []
    for life in lives:
        async with engine.connect() as connection:
            query = select(func.count()).where(Ticket.order_id == life.order)
            tickets = (await connection.execute(query)).scalar_one()
        if tickets != (life.wish == "return"):
            found.append(f"{life.customer.sender} {life.order}: {tickets} tickets")
        if life.wish == "bind" and not await is_bound(engine, life.customer.sender):
            found.append(f"{life.customer.sender} {life.order}: not bound")
    return found


def report(kills: Sequence[Kill], lives: Sequence[Life], verdict: Verdict, broken: Sequence[str]) -> None:
    customers = [life.customer for life in lives]
    said = by_channel(customers)
    print(f"\nmessages in the middle of which a part was killed\n{'':12}{'kills':>8}", end="")
    print("".join(f"{channel:>10}" for channel in KINDS))
    for part, number in Counter(kill.part for kill in kills).most_common():
        print(f"{part:12}{number:8}", end="")
        for channel in KINDS:
            hit = [
                each
                for kill in kills
                if kill.part == part
                for each in said[channel]
                if each.at <= kill.at < (each.answered or float("inf"))
            ]
            print(f"{len(hit):10}", end="")
        print()
    print()
    for channel in KINDS:
        mine = said[channel]
        waited = [each.answered - each.at for each in mine if each.answered]
        refused = sum(each.taken is None for each in mine)
        again = sum(each.tries - 1 for each in mine)
        brought = f"{again} times brought again, {refused} never taken"
        print(f"{channel:9} {len(mine)} messages, {brought}; {percentiles(waited)}")
    print(f"{len(lives)} customers; left over: {verdict.open or 'nothing'}")
    print(f"{len(verdict.unknowable)} shown twice where the channel has no key")
    for name in FAULTS:
        print(f"{len(getattr(verdict, name))} {name}")
    print(f"{len(broken)} requests without exactly one ticket, or not bound")
    for fault in [*verdict.faults, *broken]:
        print(f"  {fault}")


@contextmanager
def _database(sqlite: bool) -> Iterator[Postgres | None]:
    if sqlite:
        yield None
        return
    with tempfile.TemporaryDirectory() as folder:
        postgres = Postgres(Path(folder))
        yield postgres
        postgres.server.cleanup()


async def run(folder: Path, number: int, places: int, postgres: Postgres | None) -> bool:
    more = {"DATABASE_URL": postgres.create(), "DEMO": "1"} if postgres else {}
    async with opened(folder, **more) as house:
        worker, lives = Worker(house), list[Life]()
        engine, over = create_engine(settings.database_url()), asyncio.Event()
        try:
            living = [
                asyncio.create_task(life_after_life(house, engine, channel, lives, over))
                for channel in KINDS
                for _ in range(places)
            ]
            killing = Killing(house, worker, postgres, lives)
            for signum in (signal.SIGINT, signal.SIGTERM):
                asyncio.get_running_loop().add_signal_handler(signum, killing.stopped.set)
            await killing.go_on(number)
            over.set()
            await asyncio.gather(*living)
            with suppress(TimeoutError):
                await settled(SETTLING_SECONDS)
            customers = [life.customer for life in lives]
            verdict, broken = await judged(customers), await unfulfilled(engine, lives)
            report(killing.kills, lives, verdict, broken)
            return not (verdict.faults or broken)
        finally:
            worker.kill()
            await engine.dispose()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.kills", description=__doc__)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--places", type=int, default=3, help="customers at once on each channel")
    parser.add_argument("--sqlite", action="store_true")
    parser.add_argument("--keep", type=Path, help="a folder for the stack's data and logs, which are kept there")
    arguments = parser.parse_args()
    with ExitStack() as stack:
        postgres = stack.enter_context(_database(arguments.sqlite))
        folder = arguments.keep or Path(stack.enter_context(tempfile.TemporaryDirectory())) / "data"
        if not asyncio.run(run(folder, arguments.kills, arguments.places, postgres)):
            raise SystemExit(1)


if __name__ == "__main__":
    main()
