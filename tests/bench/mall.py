"""Prints how quick the mall's writers are, on SQLite and on PostgreSQL: `python -m tests.bench.mall [--tries N]`.

Writers are processes with some tasks each, as the parts of a house are. Beside what passes in a second stands the
processor time of one order, which other work on the machine does not change.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import signal
import sys
import tempfile
import time
from asyncio.subprocess import PIPE, Process
from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path

import psutil
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

import settings
from mall_adapter import SqlBackOffice, models
from mall_adapter.errors import OutOfStock
from mall_adapter.policy import Trade
from mall_adapter.stocktaking import unbalanced
from privacy import KeyRing
from storage import WRITES, Actor, Role, create_engine, migrate
from tests.databases import Postgres, Sqlite
from tests.mall_adapter.goods import add_sku, add_supplier

PROCESSES, TASKS = 2, 8
"""16 writers."""

SKUS, CUSTOMERS, SYNCED = 200, 100, 10_000
TILL = Actor(Role.SERVICE, "till")


async def fill(url: str, pieces: int) -> None:
    await migrate(url)
    engine = create_engine(url)
    now = datetime.now(UTC)
    async with AsyncSession(engine.execution_options(**WRITES)) as session, session.begin():
        add_supplier(session)
        for number in range(CUSTOMERS):
            phone = f"154{number:08}"
            index = models.phone_index(phone)
            known = {"name": "周琳", "address": "上海市静安区延平路 1 号", "region": "310000", "registered_at": now}
            session.add(models.Customer(id=f"C{number}", phone=phone, phone_index=index, **known))
        goods = {"brand": "云跑", "category": "跑步鞋", "trade": Trade.CLOTHING, "attributes": {}}
        session.add(models.Product(id="P1", supplier_id="S1", name="云跑缓震跑步鞋", image_path=None, **goods))
        await session.flush()
        for number in range(SKUS):
            add_sku(session, f"K{number:03}", "P1", "黑色 42码", 39900, pieces)
    await engine.dispose()


async def write(url: str, name: str, tries: int, hot: int) -> None:
    """One process of writers: tries so often, and tells each order that it was told of, and at last its own time."""
    engine = create_engine(url)
    office = SqlBackOffice(engine)
    chance, left = random.Random(name), iter(range(tries))  # noqa: S311  (the same every time)
    told: Counter[str] = Counter()

    async def writer() -> None:
        for number in left:
            items = dict.fromkeys((f"K{chance.randrange(hot):03}" for _ in range(2)), 1)
            try:
                await office.place_order(TILL, f"C{chance.randrange(CUSTOMERS)}", items, f"{name} {number}")
                told["placed"] += 1
            except OutOfStock:
                told["refused"] += 1

    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    begin, before = time.perf_counter(), time.process_time()
    await asyncio.gather(*(writer() for _ in range(TASKS)))
    spent, cpu = time.perf_counter() - begin, time.process_time() - before
    print(told["placed"], told["refused"], f"{spent:.3f} {cpu:.3f}", flush=True)
    await engine.dispose()


async def start(url: str, name: str, tries: int, hot: int) -> Process:
    command = [sys.executable, "-m", "tests.bench.mall", "--write", url, name, str(tries), str(hot)]
    process = await asyncio.create_subprocess_exec(*command, cwd=settings.ROOT, stdin=PIPE, stdout=PIPE)
    assert process.stdout
    await process.stdout.readline()
    return process


async def go(process: Process) -> list[float]:
    assert process.stdin and process.stdout
    process.stdin.write(b"go\n")
    await process.stdin.drain()
    told = [float(word) for word in (await process.stdout.readline()).split()]
    await process.wait()
    return told


def of_the_server(databases: Sqlite | Postgres) -> float:
    """Seconds of processor time that PostgreSQL has taken so far."""
    if isinstance(databases, Sqlite):
        return 0.0
    top = psutil.Process(int(Path(databases.server.pgdata, "postmaster.pid").read_text().split()[0]))
    return sum(sum(one.cpu_times()[:4]) for one in (top, *top.children(recursive=True)))


async def placing(databases: Sqlite | Postgres, tries: int) -> dict[str, float]:
    url = databases.create()
    await fill(url, tries)
    processes = [await start(url, str(number), tries // PROCESSES, SKUS) for number in range(PROCESSES)]
    before = of_the_server(databases)
    begin = time.perf_counter()
    told = await asyncio.gather(*map(go, processes))
    spent = time.perf_counter() - begin
    of_server = of_the_server(databases) - before
    placed = sum(one[0] for one in told)
    cpu = sum(one[3] for one in told)
    return {
        f"orders placed by {PROCESSES * TASKS} writers (/s)": placed / spent,
        "processor of one order, writers (ms)": cpu / placed * 1000,
        "processor of one order, database (ms)": of_server / placed * 1000,
    }


async def overselling(databases: Sqlite | Postgres, tries: int) -> dict[str, float]:
    """Far more tries than there are pieces; in the middle a process dies as if the power had gone."""
    url, hot = databases.create(), 20
    pieces = tries // 40
    await fill(url, pieces)
    processes = [await start(url, f"first {number}", tries // PROCESSES, hot) for number in range(PROCESSES)]
    running = [asyncio.create_task(go(process)) for process in processes]
    engine = create_engine(url)
    while await count(engine) < hot * pieces // 4:  # noqa: ASYNC110  (others place them)
        await asyncio.sleep(0.1)
    os.kill(processes[0].pid, signal.SIGKILL)
    second = await start(url, "second", tries // PROCESSES, hot)
    told = await asyncio.gather(*running[1:], go(second))
    async with AsyncSession(engine) as session:
        sold = await session.scalar(select(func.sum(models.OrderLine.quantity)))
        oversold = select(func.count()).where(models.Stock.allocated > models.Stock.on_hand)
        wrong = await session.scalar(oversold) or 0
        faults = len(await unbalanced(session))
    await engine.dispose()
    asked = sum(one[0] + one[1] for one in told)
    return {
        f"tries after one of {PROCESSES} processes was killed": asked,
        "pieces sold of all that there are (share)": (sold or 0) / (hot * pieces),
        "oversold, or not the sum of its movements": wrong + faults,
    }


async def count(engine: AsyncEngine) -> int:
    async with AsyncSession(engine) as session:
        return await session.scalar(select(func.count()).select_from(models.OrderLine)) or 0


async def syncing(databases: Sqlite | Postgres, tries: int) -> dict[str, float]:
    url = databases.create()
    await fill(url, 1)
    engine = create_engine(url)
    async with AsyncSession(engine.execution_options(**WRITES)) as session, session.begin():
        for number in range(SYNCED):
            add_sku(session, f"X{number:05}", "P1", "黑色", 100, 5)
    office = SqlBackOffice(engine)
    begin = time.perf_counter()
    done = await office.sync_stock(TILL, "W-S1", {f"X{number:05}": 9 for number in range(SYNCED)}, "k1")
    spent = time.perf_counter() - begin
    assert done.changed == SYNCED
    await engine.dispose()
    return {f"stock of {SYNCED} SKUs told at once (s)": spent}


Measure = Callable[["Sqlite | Postgres", int], Awaitable[dict[str, float]]]


async def measure(databases: Sqlite | Postgres, options: argparse.Namespace) -> dict[str, float]:
    found: dict[str, float] = {}
    measures: list[tuple[Measure, int]] = [(placing, options.orders), (syncing, 0), (overselling, options.tries)]
    for one, tries in measures:
        found |= await one(databases, tries)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.mall", description=__doc__)
    parser.add_argument("--orders", type=int, default=3_000, help="that are placed to see how quick it is")
    parser.add_argument("--tries", type=int, default=100_000, help="to sell more than there is")
    parser.add_argument("--write", nargs=4, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.write:
        url, name, tries, hot = options.write
        asyncio.run(write(url, name, int(tries), int(hot)))
        return
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        folder.chmod(0o755)  # PostgreSQL may run as another user
        os.environ["DATA_DIR"] = str(folder)
        os.environ.pop("DATABASE_URL", None)
        KeyRing.load_or_create(settings.keyring_file())
        (folder / "sqlite").mkdir()
        (folder / "postgresql").mkdir()
        postgres = Postgres(folder / "postgresql")
        try:
            columns = [asyncio.run(measure(each, options)) for each in (Sqlite(folder / "sqlite"), postgres)]
        finally:
            postgres.server.cleanup()
    print(f"\n{'':52}{'SQLite':>12}{'PostgreSQL':>12}")
    for title in columns[0]:
        print(f"{title:52}" + "".join(f"{column[title]:12.2f}" for column in columns))


if __name__ == "__main__":
    main()
