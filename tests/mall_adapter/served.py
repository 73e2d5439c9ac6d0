"""A mall behind a real socket, in a thread of its own: one server for all tests, each shows it its database."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any, cast

import uvicorn
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.pool import NullPool

from mall_adapter import BackOffice, SqlBackOffice, SqlMall
from mall_adapter.clients import Clients, Scope
from mall_adapter.http.server import mall_api
from mall_adapter.transactions import Transactions
from storage import create_engine

Place = tuple[str, str]
"""The address of a mall, and a key to it."""


async def unlimited(*_: object) -> None:
    """Nobody calls too often."""


class _Shown:
    """What the server asks: the part of whatever mall is shown at the time."""

    def __init__(self, served: Served, part: str) -> None:
        self._served, self._part = served, part

    def __getattr__(self, name: str) -> Any:
        return getattr(getattr(self._served, self._part), name)


class Served:
    """``url`` is where it listens."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._engines: dict[str, AsyncEngine] = {}
        office, clients = cast(BackOffice, _Shown(self, "office")), cast(Clients, _Shown(self, "clients"))
        self.app = mall_api(lambda: self.mall, office, clients, unlimited)

    async def show(self, database: str, clock: Callable[[], datetime]) -> Place:
        if database not in self._engines:  # used in the server's thread only
            self._engines[database] = create_engine(database)
        engine = self._engines[database]
        self.mall = SqlMall(engine, clock=clock)
        self.office = SqlBackOffice(engine, clock)
        self.clients = Clients(self.mall.database)
        own = create_engine(database, poolclass=NullPool)
        key = await Clients(Transactions(own, clock)).add("a test", Scope)
        await own.dispose()
        return self.url, key


@contextmanager
def serving() -> Iterator[Served]:
    listener = socket.create_server(("127.0.0.1", 0))
    served = Served(f"http://127.0.0.1:{listener.getsockname()[1]}")
    server = uvicorn.Server(uvicorn.Config(served.app, log_level="error", lifespan="off"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield served
    server.should_exit = True
    thread.join(10)
