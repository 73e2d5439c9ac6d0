"""Energy that waits, as operators see it and decide on it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from playwright.sync_api import Page, expect, sync_playwright
from sqlalchemy.ext.asyncio import AsyncSession

from mall_adapter import models
from tests.connectors.conftest import Gateway
from tests.connectors.shop import Shop

from .test_broadcasts_page import signed_in
from .test_delivery_page import token
from .test_knowledge_pages import CHROMIUM, PATIENCE, SIGN_IN

API = "/dashboard/api/energy"


def hold(shop: Shop, cause: str, points: int) -> int:
    """The number of a lot that waits."""
    numbers = []

    async def write(session: AsyncSession) -> None:
        now = datetime.now(UTC)
        lot = models.EnergyLot(
            person="customer:C1",
            invitee="account:x",
            event="opening",
            level=1,
            rule="opening",
            channel="web",
            card_id="CARD1",
            cause=cause,
            points=points,
            held=points,
            pending=0,
            active=0,
            owed=0,
            reasons=["same_device", "moon_phase"],
            earned_at=now,
            frozen_until=now,
            expires_at=now + timedelta(days=365),
        )
        session.add(lot)
        await session.flush()
        entry = models.EnergyEntry(lot_id=lot.id, target="held", points=points, cause=f"{cause} earned", at=now)
        session.add(entry)
        numbers.append(lot.id)

    shop.write(write)
    return numbers[0]


@pytest.fixture
def wang(gateway: Gateway) -> Iterator[httpx.Client]:
    with signed_in(gateway, "小王") as client:
        yield client


def test_each_is_decided_once(shop: Shop, wang: httpx.Client, gateway: Gateway) -> None:
    number = hold(shop, "api", 7)
    (found,) = [each for each in wang.get(API).json()["held"] if each["id"] == number]
    assert (found["person"], found["told"], found["points"]) == ("周*", "新朋友点开名片（直接带来）", 7)
    assert found["reasons"] == ["和路径上的人用同一台设备", "其他原因（moon_phase）"]
    assert wang.post(f"{API}/{number}/approve").status_code == 204
    assert wang.post(f"{API}/{number}/refuse").json()["error"]["code"] == "too_late"
    assert wang.post(f"{API}/999999/refuse").status_code == 404
    assert wang.post(f"{API}/{number}/double").status_code == 422
    assert wang.post(f"{API}/{number}/refuse", headers={"X-CSRF-Token": "forged"}).status_code == 403
    with httpx.Client(base_url=gateway.url, trust_env=False) as stranger:
        assert stranger.get(API).status_code == stranger.post(f"{API}/{number}/approve").status_code == 401


@pytest.fixture(params=[390, 1280])
def page(gateway: Gateway, request: pytest.FixtureRequest) -> Iterator[Page]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM)
        context = browser.new_context(base_url=gateway.url, viewport={"width": request.param, "height": 800})
        page = context.new_page()
        page.set_default_timeout(PATIENCE)
        assert page.request.post(SIGN_IN, data={"token": token(gateway), "name": "小王"}).ok
        yield page
        browser.close()


def test_the_page(page: Page, shop: Shop) -> None:
    points = 11 if page.viewport_size and page.viewport_size["width"] < 500 else 13
    number = hold(shop, f"page {points}", points)
    page.goto("/dashboard/energy")
    waiting = page.locator(f"#energy-{number}")
    expect(waiting).to_contain_text("同一台设备")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    waiting.get_by_role("button", name="不通过").click()
    expect(waiting).to_have_count(0)
