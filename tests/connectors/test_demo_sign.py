"""Whoever looks at the demo mall reads that nothing in it is real; in a shop nobody does."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, expect
from sqlalchemy import delete, insert

from mall_adapter import models
from mall_adapter.policy import Trade
from storage import WRITES, create_engine
from tests.connectors.conftest import Gateway, aside
from tests.connectors.fake_rasa import FakeRasa
from tests.connectors.test_knowledge_pages import WIDTHS, Operator, browser, signed_in, with_browser

__all__ = ["browser"]

SIGN = "演示商城 · 数据均为虚构"
SHOWN = f'<p id="demo" role="note">{SIGN}</p>'
PAGES = ("/dashboard", "/dashboard/graph", "/dashboard/gaps", f"/dashboard/conversations/{'0' * 64}")


def write(gateway: Gateway, statement: object) -> None:
    async def run() -> None:
        engine = create_engine(f"sqlite+aiosqlite:///{gateway.database}")
        async with engine.execution_options(**WRITES).begin() as connection:
            await connection.execute(statement)  # type: ignore[call-overload]
        await engine.dispose()

    aside(lambda: asyncio.run(run()))


def mark(gateway: Gateway) -> None:
    supplier = {"id": "S01", "name": "x", "trade": Trade.FOOD, "region": "310000", "demo": True}
    write(gateway, insert(models.Supplier).values(supplier))


@pytest.fixture(scope="module")
def demo(rasa_server: FakeRasa, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    gateway = aside(lambda: Gateway(tmp_path_factory.mktemp("demo"), rasa_server.url))
    mark(gateway)
    gateway.start()
    yield gateway
    gateway.stop()


def test_every_page_of_the_demo_says_so(demo: Gateway) -> None:
    strangers = httpx.get(f"{demo.url}/dashboard", trust_env=False).text
    assert SHOWN in strangers
    assert "口令" in strangers
    assert SHOWN in httpx.get(f"{demo.url}/", trust_env=False).text
    with signed_in(demo) as operator:
        for page in PAGES:
            shown = operator.get(page).text
            assert (SHOWN in shown, "口令" in shown) == (True, False), page


def test_no_page_of_a_shop_does(gateway: Gateway) -> None:
    with signed_in(gateway) as operator:
        for page in ("/", *PAGES):
            assert SHOWN not in operator.get(page).text


def test_the_sign_goes_with_the_demo_and_pages_come_without_a_database(rasa: FakeRasa, tmp_path: Path) -> None:
    gateway = Gateway(tmp_path, rasa.url)
    mark(gateway)
    gateway.start()
    try:
        with httpx.Client(base_url=gateway.url, trust_env=False) as client:
            assert SHOWN in client.get("/").text
            write(gateway, delete(models.Supplier))
            deadline = time.monotonic() + 60
            while SHOWN in client.get("/").text:
                assert time.monotonic() < deadline
                time.sleep(0.2)
            gateway.database.rename(gateway.database.with_suffix(".away"))
            assert client.get("/").status_code == 200
    finally:
        gateway.kill()


@with_browser
@pytest.mark.parametrize("width", WIDTHS)
def test_it_is_seen_and_not_in_the_way(browser: Browser, demo: Gateway, tmp_path: Path, width: str) -> None:
    context = browser.new_context(viewport=WIDTHS[width], locale="zh-CN", reduced_motion="reduce")
    page = context.new_page()
    for name, path in (("chat", "/"), ("sign-in", "/dashboard")):
        page.goto(f"{demo.url}{path}")
        sign = page.get_by_role("note")
        expect(sign).to_have_text(SIGN)
        box = sign.bounding_box()
        assert box
        assert box["height"] < 30
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        page.screenshot(path=tmp_path / f"{name}.png")
    operator = Operator(page, demo)
    expect(operator.page.get_by_role("note")).to_have_text(SIGN)
    page.screenshot(path=tmp_path / "graph.png")
    operator.goes("")
    expect(operator.page.get_by_text("没有人在等")).to_be_visible()
    page.screenshot(path=tmp_path / "desk.png")
    assert operator.fits()
    context.close()
