"""Work behind the requests: what breaks is told, started again, and never silently gone."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from connectors import background as module
from connectors.background import Background


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
