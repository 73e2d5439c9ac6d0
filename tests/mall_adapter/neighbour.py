"""Another process: ``python -m tests.mall_adapter.neighbour buy|rush URL NAME TIMES`` or ``… half URL NOW``."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
from collections.abc import Callable, Coroutine
from datetime import datetime

from sqlalchemy import Connection, event

from mall_adapter import SqlMall
from mall_adapter.errors import OutOfStock
from mall_adapter.values import Reason, TicketKind, TicketRequest
from storage import create_engine
from tests.mall_adapter.offices import place_order


async def buy(url: str, name: str, times: str) -> None:
    """Tries to place orders of one piece each; prints how many it got."""
    engine = create_engine(url)
    mall = SqlMall(engine)
    bought = 0
    for number in range(int(times)):
        with contextlib.suppress(OutOfStock):
            await place_order(mall, "C1", {"P1-1": 1}, f"{name} {number}")
            bought += 1
    await engine.dispose()
    print(bought)


async def rush(url: str, name: str, times: str) -> None:
    """The same by four at once; tells each order as soon as it was told of it."""
    engine = create_engine(url)
    mall, left = SqlMall(engine), iter(range(int(times)))

    async def buyer() -> None:
        for number in left:
            with contextlib.suppress(OutOfStock):
                order = await place_order(mall, "C1", {"P1-1": 1, "P4-1": 1}, f"{name} {number}")
                print(order.id, flush=True)

    await asyncio.gather(*(buyer() for _ in range(4)))
    await engine.dispose()


async def half(url: str, now: str) -> None:
    """Writes a ticket with all that belongs to it, and stops just before the commit."""
    engine = create_engine(url)

    @event.listens_for(engine.sync_engine, "commit")
    def stop(_: Connection) -> None:
        print("written", flush=True)
        signal.pause()

    request = TicketRequest("ORD10001", TicketKind.RETURN, Reason.QUALITY)
    mall = SqlMall(engine, clock=lambda: datetime.fromisoformat(now))
    await mall.create_ticket("web:zhou", request, "k1")


if __name__ == "__main__":
    command, *arguments = sys.argv[1:]
    commands: dict[str, Callable[..., Coroutine[None, None, None]]] = {"buy": buy, "rush": rush, "half": half}
    asyncio.run(commands[command](*arguments))
