"""Work behind the requests: what breaks is told, started again, and never silently gone."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import httpx
import pytest

import settings
from connectors import background as module
from connectors import gateway
from connectors.background import Background
from privacy import verify_keyring
from storage import WRITES, create_engine, migrate


class Work:
    """Fails as it is told to, one way a start, and then goes on."""

    def __init__(self, *ways: Callable[[], Awaitable[None]]) -> None:
        self.ways = list(ways)
        self.starts = 0
        self.goes_on = asyncio.Event()

    async def __call__(self) -> None:
        self.starts += 1
        if self.ways:
            await self.ways.pop(0)()
        else:
            self.goes_on.set()
            await asyncio.Event().wait()


async def raises() -> None:
    raise RuntimeError("我的电话是15400005678")


async def ends() -> None:
    pass


async def is_cancelled_from_within() -> None:
    raise asyncio.CancelledError


@pytest.fixture
def background() -> Background:
    return Background(pauses=(0.0,))


@pytest.mark.parametrize("way", [raises, ends, is_cancelled_from_within])
async def test_work_that_breaks_is_told_and_goes_on(
    background: Background,
    way: Callable[[], Awaitable[None]],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    work, other = Work(way, way), Work()
    background.start("名称 (names)", work)
    background.start("发送 (outbox)", other)
    async with asyncio.timeout(20):
        await work.goes_on.wait()
        await other.goes_on.wait()
    assert (work.starts, other.starts) == (3, 1)
    (warning,) = await background.check()
    assert "名称" in warning and "2" in warning
    assert len([record for record in caplog.records if "名称" in record.getMessage()]) == 2
    assert "15400005678" not in caplog.text + warning  # it may be a customer's
    monkeypatch.setattr(module, "WELL_SECONDS", 0.0)  # it has gone on for long enough
    assert await background.check() == []
    await background.close()


async def test_the_warning_stays_while_it_waits_for_its_next_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "WELL_SECONDS", 0.0)
    background, work = Background(pauses=(3600.0,)), Work(raises)
    background.start("名称 (names)", work)
    for _ in range(10):
        await asyncio.sleep(0)
    assert await background.check()
    await background.close()


async def test_it_stops_when_told_to(background: Background) -> None:
    work = Work()
    background.start("名称 (names)", work)
    async with asyncio.timeout(20):
        await work.goes_on.wait()
        await background.close()
    assert work.starts == 1


async def test_the_health_of_the_gateway_tells_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATA_DIR", str(tmp_path))
    monkeypatch.setenv("GRAPH_URI", "bolt://127.0.0.1:9")
    monkeypatch.setenv("GRAPH_PASSWORD", "never asked for")
    for name in ("DATABASE_URL", "KEYRING_FILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(gateway, "watch_names", lambda *_: raises())
    await migrate(settings.database_url())
    engine = create_engine(settings.database_url())
    async with engine.execution_options(**WRITES).begin() as connection:
        ring = await connection.run_sync(verify_keyring)
    app = gateway.create_app(ring, engine)
    local = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1")
    async with app.router.lifespan_context(app), local as http:
        report = (await http.get("/healthz")).json()
    assert report["parts"]["tasks"] == "ok"  # the rest of it goes on
    (warning,) = [one["text"] for one in report["warnings"] if one["part"] == "tasks"]
    assert "RuntimeError" in warning
