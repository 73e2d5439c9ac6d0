"""How cards travel, as operators see it, with a real graph behind the page, in a real browser."""

from __future__ import annotations

import asyncio
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import expect
from sqlalchemy.ext.asyncio import AsyncSession

from knowledge_graph.propagation import Follower
from mall_adapter import models
from storage import create_engine
from tests.connectors.conftest import Gateway, aside
from tests.connectors.shop import Shop
from tests.knowledge_graph.servers import Server
from tests.knowledge_graph.ways import NOON, asked, bought, forwarded, made, moved

from .test_knowledge_pages import Operator, browser, operator, signed_in, with_browser

__all__ = ["browser", "operator"]  # fixtures

HE, ZHOU = "customer:C2", "customer:C1"


@pytest.fixture(scope="module")
def travelled(house: Gateway, graph_server: Server) -> Gateway:
    """何军's card: 周琳 has it from a stranger, and bought."""
    shop = Shop(house.database, house.environment["KEYRING_FILE"])
    shop.open()

    async def write(session: AsyncSession) -> None:
        more = {"name": "何军", "product_ids": [], "made_at": NOON, "changed_at": NOON}
        session.add(models.Card(id="K", principal_id="P-C2", **more))

    shop.write(write)
    ways = (HE, "account:a"), ("account:a", ZHOU), (ZHOU, "account:b"), (HE, "account:c"), ("account:b", "account:d")
    events = [made("K", HE), *forwarded("K", *ways), bought("K", ZHOU, 1, "ORD1", 2, 12900)]
    events += [asked("account:c", "stock", 1), moved("account:c", "intent")]

    async def fill() -> None:
        async with graph_server.graph() as graph:
            await Follower(graph, create_engine("sqlite+aiosqlite://")).write(events, 0)

    aside(lambda: asyncio.run(fill()))
    return house


def test_who_is_not_signed_in_sees_nothing(gateway: Gateway) -> None:
    for path in ("cards", "cards/K"):
        response = httpx.get(f"{gateway.url}/dashboard/api/{path}", trust_env=False)
        assert (response.status_code, response.json()["error"]["code"]) == (401, "signed_out")


def test_a_card_and_its_way_without_anybodys_number(travelled: Gateway) -> None:
    with signed_in(travelled) as client:
        (listed,) = client.get("/dashboard/api/cards").json()["cards"]
        answer = client.get("/dashboard/api/cards/K")
        assert client.get("/dashboard/api/cards/X").status_code == 404
    assert (listed["name"], listed["levels"], listed["bought"]) == ("何军", [2, 1, 1, 1], 1)
    card = answer.json()
    assert card["people"][:3] == ["何军", None, None]
    assert [card["people"][place] for place in card["orders"][0]["path"]] == ["何军", None, "周琳"]
    assert (card["leads"][0]["stage"], card["leads"][0]["asked"]) == ("intent", 1)
    assert "account:" not in answer.text
    assert "customer:" not in answer.text


@with_browser
@pytest.mark.parametrize("operator", ["desktop", "phone"], indirect=True)
def test_the_path_is_drawn_and_goes_back_in_time(travelled: Gateway, operator: Operator, tmp_path: Path) -> None:
    operator.goes("cards")
    page = operator.page
    page.get_by_role("link", name="何军").click()
    expect(page.get_by_role("heading", name="最热的线索")).to_be_visible()
    expect(page.get_by_text("何军 → 一位朋友 → 周琳：¥129")).to_be_visible()
    page.screenshot(path=tmp_path / "all.png")
    slider = page.get_by_label("看到哪个时间为止")
    before = page.locator("#until-told").text_content()
    slider.fill("0")
    assert page.locator("#until-told").text_content() != before
    page.screenshot(path=tmp_path / "first.png")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
