"""Prints what HTTP adds to a call of the mall: `python -m tests.bench.mall_http`.

The same mall on SQLite, asked directly and through a server of its own on loopback, in turns and in the same run, as
the machine is noisy.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import uvicorn

from mall_adapter import SqlBackOffice, SqlMall
from mall_adapter.clients import Clients, Scope
from mall_adapter.http.client import HttpMall, connection
from mall_adapter.http.server import mall_api
from mall_adapter.transactions import Transactions, utc_now
from privacy import KeyRing
from storage import create_engine, migrate
from tests.stack import free_ports

ROUNDS = 400

CALLS: dict[str, Callable[[Any], Awaitable[Any]]] = {
    "who is speaking": lambda mall: mall.customer_of("web:zhou"),
    "an order": lambda mall: mall.order("web:zhou", "ORD10002"),
    "a customer's orders": lambda mall: mall.orders_of("web:zhou"),
    "two products": lambda mall: mall.products(["P1", "P2"]),
    "a coupon (a write)": lambda mall: mall.grant_coupon("web:zhou", "券", 100, 0, 7, os.urandom(8).hex()),
}


async def _nobody_is_limited(*_: object) -> None: ...


def serve(url: str, port: int) -> None:
    engine = create_engine(url)
    mall = SqlMall(engine)
    app = mall_api(lambda: mall, SqlBackOffice(engine), Clients(Transactions(engine, utc_now)), _nobody_is_limited)
    uvicorn.run(app, port=port, access_log=False, log_level="error")


async def timed(call: Callable[[Any], Awaitable[Any]], mall: Any) -> float:
    start = time.perf_counter()
    await call(mall)
    return (time.perf_counter() - start) * 1000


async def measure(url: str, port: int) -> None:
    from sqlalchemy.ext.asyncio import AsyncSession

    from tests.mall_adapter.conftest import add_small_mall

    engine = create_engine(url)
    async with AsyncSession(engine) as session, session.begin():
        add_small_mall(session)
    key = await Clients(Transactions(engine, utc_now)).add("bench", Scope)
    direct = SqlMall(engine)
    async with connection(f"http://127.0.0.1:{port}", key) as http:
        for _ in range(600):
            try:
                await http.get("/openapi.json")
                break
            except httpx.TransportError:
                await asyncio.sleep(0.1)
        far: Any = HttpMall(http)
        print(f"{'p50, p95 in ms':24}{'direct':>16}{'over HTTP':>16}{'added':>10}")
        for name, call in CALLS.items():
            spent: dict[str, list[float]] = {"direct": [], "http": []}
            for _ in range(ROUNDS):
                spent["direct"].append(await timed(call, direct))
                spent["http"].append(await timed(call, far))
            half = {side: statistics.median(times) for side, times in spent.items()}
            most = {side: statistics.quantiles(times, n=20)[18] for side, times in spent.items()}
            told = "".join(f"{half[side]:9.1f}{most[side]:7.1f}" for side in spent)
            print(f"{name:24}{told}{half['http'] - half['direct']:10.1f}")
    await engine.dispose()


def main() -> None:
    if len(sys.argv) > 1:
        serve(sys.argv[1], int(sys.argv[2]))
        return
    with tempfile.TemporaryDirectory() as folder:
        os.environ["DATA_DIR"] = folder
        KeyRing.load_or_create(Path(folder) / "keyring.json")
        url, (port,) = f"sqlite+aiosqlite:///{folder}/mall.db", free_ports(1)
        asyncio.run(migrate(url))
        server = subprocess.Popen([sys.executable, "-m", "tests.bench.mall_http", url, str(port)])
        try:
            asyncio.run(measure(url, port))
        finally:
            server.terminate()
            server.wait()


if __name__ == "__main__":
    main()
