"""What goes to many, as operators write, approve, watch and stop it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from playwright.sync_api import Page, expect, sync_playwright
from sqlalchemy.ext.asyncio import AsyncSession

from mall_adapter import people
from tests.connectors.conftest import Gateway
from tests.connectors.shop import SERVICE, Shop

from .test_delivery_page import token
from .test_knowledge_pages import CHROMIUM, PATIENCE, SIGN_IN

API = "/dashboard/api/broadcasts"
EVERYBODY = {"text": "新茶到店，来尝尝", "segment": {"kind": "everybody"}}


@contextmanager
def signed_in(gateway: Gateway, name: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=gateway.url, trust_env=False, timeout=60) as client:
        assert client.post(SIGN_IN, json={"token": token(gateway), "name": name}).status_code == 204
        client.headers["X-CSRF-Token"] = client.get(SIGN_IN).json()["csrf"]
        yield client


@pytest.fixture
def wang(gateway: Gateway) -> Iterator[httpx.Client]:
    with signed_in(gateway, "小王") as client:
        yield client


@pytest.fixture
def li(gateway: Gateway) -> Iterator[httpx.Client]:
    with signed_in(gateway, "小李") as client:
        yield client


@pytest.fixture(scope="module", autouse=True)
def customer(shop: Shop) -> None:
    """Somebody who can be written to."""

    async def write(session: AsyncSession) -> None:
        now = datetime.now(UTC)
        await people.bind(session, "web:broadcasts", "C1", SERVICE, now)
        await people.meet(session, "web:broadcasts", now)

    shop.write(write)


def the(client: httpx.Client, number: int) -> dict[str, Any]:
    (found,) = [each for each in client.get(API).json()["broadcasts"] if each["id"] == number]
    return dict(found)


def test_a_second_operator_approves_what_the_first_has_written(wang: httpx.Client, li: httpx.Client) -> None:
    assert wang.post(f"{API}/count", json={"segment": EVERYBODY["segment"]}).json()["number"] >= 1
    assert wang.post(f"{API}/preview", json=EVERYBODY).json()["text"].startswith("新茶到店，来尝尝\n（回复")
    gift = {"title": "回馈券", "off_cents": 1000, "min_spend_cents": 9900, "days": 14}
    given = EVERYBODY | {"coupon": gift}
    assert "满 99 元减 10 元" in wang.post(f"{API}/preview", json=given).json()["text"]
    assert wang.post(API, json=EVERYBODY | {"coupon": gift | {"off_cents": 0}}).status_code == 422
    number = wang.post(API, json=given).json()["id"]
    assert the(wang, number)["coupon"] == gift
    assert wang.post(f"{API}/{number}/approve").json()["error"]["code"] == "too_late"
    assert wang.post(f"{API}/{number}/propose").status_code == 204
    assert wang.post(f"{API}/{number}/approve").json()["error"]["code"] == "own"
    assert (the(wang, number)["mine"], the(li, number)["mine"]) == (True, False)
    assert li.post(f"{API}/{number}/withdraw").status_code == 204
    assert li.post(f"{API}/{number}/approve").json()["error"]["code"] == "too_late"
    assert the(li, number)["told"] == "已撤回"


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("", EVERYBODY | {"text": "   "}, 422),
        ("", EVERYBODY | {"text": "长" * 501}, 422),
        ("", EVERYBODY | {"segment": {"kind": "friends"}}, 422),
        ("", EVERYBODY | {"segment": {"kind": "bought", "days": 0}}, 422),
        ("", EVERYBODY | {"product_id": "nothing"}, 404),
        ("/999999/approve", None, 404),
        ("/1/shout", None, 422),
    ],
)
def test_what_cannot_be(wang: httpx.Client, path: str, body: object, status: int) -> None:
    assert wang.post(f"{API}{path}", json=body).status_code == status


def test_nobody_else_gets_in(gateway: Gateway, wang: httpx.Client) -> None:
    with httpx.Client(base_url=gateway.url, trust_env=False) as stranger:
        assert stranger.get(API).status_code == stranger.post(API, json=EVERYBODY).status_code == 401
    assert wang.post(API, json=EVERYBODY, headers={"X-CSRF-Token": "forged"}).status_code == 403


@pytest.fixture(params=[390, 1280])
def pages(gateway: Gateway, request: pytest.FixtureRequest) -> Iterator[tuple[Page, Page]]:
    """Of 小王 and of 小李."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM)

        def opened(name: str) -> Page:
            page = browser.new_context(
                base_url=gateway.url, viewport={"width": request.param, "height": 800}
            ).new_page()
            page.set_default_timeout(PATIENCE)
            assert page.request.post(SIGN_IN, data={"token": token(gateway), "name": name}).ok
            page.goto("/dashboard/broadcasts")
            return page

        yield opened("小王"), opened("小李")
        browser.close()


def test_from_the_draft_to_everybody(pages: tuple[Page, Page]) -> None:
    first, _ = pages
    text = f"周末茶会 {datetime.now(UTC).timestamp()}"
    expect(first.locator("#count")).to_contain_text("能发到")
    first.get_by_label("内容").fill(text)
    first.get_by_label("发给").select_option("region")
    first.get_by_label("地区").select_option(label="上海")
    first.get_by_role("button", name="预览").click()
    expect(first.locator("#preview")).to_contain_text("退订")
    first.get_by_role("button", name="存为草稿").click()
    mine, theirs = (page.locator("#sent > li", has_text=text) for page in pages)
    expect(mine).to_contain_text("住在上海")
    mine.get_by_role("button", name="提交批准").click()
    expect(mine).to_contain_text("等同事批准")
    expect(mine.get_by_role("button", name="批准")).to_have_count(0)
    theirs.get_by_role("button", name="批准并发送").click()
    expect(theirs).to_contain_text("小李 批准")
    expect(theirs).to_contain_text("位顾客")
    for page in pages:
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
