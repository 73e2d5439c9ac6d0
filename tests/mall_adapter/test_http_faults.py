"""A mall over a bad line: whatever happens to a request on its way, nothing is done twice and nothing false told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncEngine

from mall_adapter import SqlMall, models
from mall_adapter.errors import MallError, MallUnavailable, NotFound, TicketExists
from mall_adapter.http import client
from mall_adapter.http.client import HttpMall, connection
from mall_adapter.values import DeliveryChange, Reason, TicketKind, TicketRequest

from .served import Place

pytestmark = pytest.mark.parametrize("databases", ["http"], indirect=True)

FAULTY = TicketRequest("ORD10002", TicketKind.RETURN, Reason.QUALITY, ("ORD10002-1",))


def answer(status: str, *headers: str, body: str = "") -> bytes:
    lines = (f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", "Connection: close", *headers, "", body)
    return "\r\n".join(lines).encode()


Fault = Callable[[bytes], bytes | None]
"""Makes of the mall's true answer what the caller gets: bytes after which the line is cut, None for silence."""

NOT_SENT: dict[str, bytes] = {
    "busy": answer("429 Too Many Requests", "Retry-After: 1"),
    "away": answer("503 Service Unavailable"),
    "gateway's page": answer("502 Bad Gateway", "Content-Type: text/html", body="<h1>502</h1>"),
    "broken": answer("500 Internal Server Error"),
    "cut before": b"",
}
"""The request does not reach the mall."""

SENT: dict[str, Fault] = {
    "silence after the write": lambda _: None,
    "cut after the write": lambda _: b"",
    "half a head": lambda true: true[:20],
    "half a body": lambda true: true[: true.index(b"\r\n\r\n") + 30],
    "half a body of no known length": lambda true: (
        b"HTTP/1.1 201 Created\r\nConnection: close\r\n\r\n" + true[true.index(b"\r\n\r\n") + 4 :][:30]
    ),
    "a proxy's error after the write": lambda _: NOT_SENT["gateway's page"],
}
"""The mall does what it is asked, and the caller does not hear of it."""


class Line:
    """Between a caller and a mall: ``faults`` happen to the next requests, one each, and then none."""

    def __init__(self, upstream: str) -> None:
        self._host, self._port = urlsplit(upstream).hostname or "", urlsplit(upstream).port
        self.port = 0  # where it listens
        self.faults: list[str] = []
        self.requests = 0

    async def carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            head = await reader.readuntil(b"\r\n\r\n")
            length = next((line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")), b":0")
            body = await reader.readexactly(int(length.partition(b":")[2]))
            self.requests += 1
            fault = self.faults.pop(0) if self.faults else ""
            true = NOT_SENT.get(fault) if fault in NOT_SENT else await self._forward(head, body)
            told = SENT[fault](true or b"") if fault in SENT else true
            if told is None:
                await reader.read()  # until the caller gives up
            else:
                writer.write(told)
                await writer.drain()
        writer.close()

    async def _forward(self, head: bytes, body: bytes) -> bytes:
        reader, writer = await asyncio.open_connection(self._host, self._port)
        kept = [line for line in head.split(b"\r\n") if not line.lower().startswith(b"connection:")]
        writer.write(b"\r\n".join([kept[0], b"Connection: close", *kept[1:]]) + body)
        found = await reader.read()
        writer.close()
        return found


@pytest.fixture
async def line(elsewhere: Place) -> AsyncIterator[Line]:
    line = Line(elsewhere[0])
    server = await asyncio.start_server(line.carry, "127.0.0.1", 0)
    async with server:
        line.port = server.sockets[0].getsockname()[1]
        yield line


@pytest.fixture
async def far(line: Line, elsewhere: Place, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Any]:
    monkeypatch.setattr(client, "PAUSE_SECONDS", 0.01)
    async with connection(f"http://127.0.0.1:{line.port}", elsewhere[1], httpx.Timeout(2.0)) as http:
        yield HttpMall(http)


async def tickets(engine: AsyncEngine) -> int:
    async with engine.connect() as connection:
        return int(await connection.scalar(select(func.count()).select_from(models.Ticket)) or 0)


@pytest.mark.parametrize("fault", [*NOT_SENT, *SENT])
async def test_one_fault_is_not_noticed(fault: str, far: Any, line: Line, engine: AsyncEngine) -> None:
    line.faults = [fault]
    ticket = await far.create_ticket("web:zhou", FAULTY, "k1")
    assert (line.requests, await tickets(engine)) == (2, 1)
    line.faults = [fault]
    assert await far.ticket("web:zhou", ticket.id) == ticket
    with pytest.raises(TicketExists):
        await far.create_ticket("web:zhou", FAULTY, "k2")


@pytest.mark.parametrize("fault", ["cut before", "cut after the write", "half a body", "away", "broken"])
async def test_a_line_that_stays_bad_is_said_and_asking_again_does_it_once(
    fault: str, far: Any, line: Line, engine: AsyncEngine
) -> None:
    line.faults = [fault] * 3
    with pytest.raises(MallUnavailable):
        await far.create_ticket("web:zhou", FAULTY, "k1")
    assert (line.requests, await tickets(engine)) == (3, 1 if fault in SENT else 0)
    ticket = await far.create_ticket("web:zhou", FAULTY, "k1")
    assert [one.id for one in await far.tickets_of("web:zhou")] == [ticket.id]


async def test_a_refusal_survives_a_fault(far: Any, line: Line, mall: SqlMall) -> None:
    line.faults = ["half a body"]
    with pytest.raises(NotFound):
        await far.ticket("web:zhou", "RT1")
    line.faults = ["cut after the write", "busy"]
    change = DeliveryChange(phone="13911112222")
    assert (await far.change_delivery("web:zhou", "ORD10003", change, "k1")).id == "ORD10003"


async def test_a_mall_that_wants_rest_for_long_is_not_waited_for(
    far: Any, line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(NOT_SENT, "busy", answer("429 Too Many Requests", "Retry-After: 600"))
    line.faults = ["busy"] * 3
    with pytest.raises(MallUnavailable):
        await far.order("web:zhou", "ORD10001")
    assert line.requests == 1


async def test_all_tries_together_have_an_end(far: Any, line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "PATIENCE_SECONDS", 0.2)
    line.faults = ["silence after the write"] * 3
    with pytest.raises(MallUnavailable):
        await far.order("web:zhou", "ORD10001")
    assert line.requests == 1


@pytest.mark.parametrize(
    "told",
    [
        answer("401 Unauthorized", "Content-Type: application/problem+json", body='{"code": "unauthorized"}'),
        answer("302 Found", "Location: http://elsewhere.example/"),
        answer("404 Not Found", "Content-Type: text/html", body="<h1>a shop's page</h1>"),
        answer("403 Forbidden", "Content-Type: application/problem+json", body='{"code": "wrong_proof"}'),
        answer("409 Conflict", "Content-Type: application/problem+json", body="[]"),
    ],
)
async def test_what_is_no_answer_of_a_mall_refuses_nothing(
    told: bytes, far: Any, line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A key that was revoked, or another server at that address: the customer did nothing wrong."""
    monkeypatch.setitem(NOT_SENT, "odd", told)
    line.faults = ["odd"]
    with pytest.raises(MallUnavailable) as raised:
        await far.order("web:zhou", "ORD10001")
    assert not isinstance(raised.value, MallError)
    assert line.requests == 1


async def test_nobody_listens(elsewhere: Place, unused_tcp_port: int) -> None:
    async with connection(f"http://127.0.0.1:{unused_tcp_port}", elsewhere[1]) as http:
        mall: Any = HttpMall(http)
        with pytest.raises(MallUnavailable):
            await mall.order("web:zhou", "ORD10001")
