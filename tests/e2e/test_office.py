"""A customer and the back office: what an operator does in the page is what the customer is told next."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from uuid import uuid4

import httpx
import pytest
from playwright.sync_api import Browser, expect
from sqlalchemy import select

import settings
from connectors.messages import caller
from mall_adapter import SqlBackOffice, SqlMall, models
from mall_adapter.values import ParcelStatus, ParcelStep, Reason, TicketKind, TicketRequest
from privacy import KeyRing
from storage import Actor, Role, create_engine
from tests.e2e.test_handoff import CHROMIUM, PATIENCE, WIDTHS, Operator, browser  # noqa: F401
from tests.stack import Stack

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")

SERVICE = Actor(Role.SERVICE, "till")


async def _broken(name: str) -> str:
    """The ticket of a customer whose dear computer came broken, which a person has to look at."""
    sender = caller(KeyRing.load(settings.keyring_file()).derive("api_sender"), name)
    engine = create_engine(settings.database_url())
    mall, office = SqlMall(engine), SqlBackOffice(engine)
    try:
        async with mall.database.reading() as session:
            computer = models.Product.name.contains("清风 14")
            sku_id = (await session.scalars(select(models.Sku.id).join(models.Product).where(computer))).first()
            customer_id = (await session.scalars(select(models.Customer.id).order_by(models.Customer.id))).first()
        assert sku_id
        assert customer_id
        await office.bind(SERVICE, sender, customer_id, uuid4().hex)
        order = await office.place_order(SERVICE, customer_id, {sku_id: 1}, uuid4().hex)
        order = await office.ship(SERVICE, order.id, "顺丰速运", "SF7007007", uuid4().hex)
        came = ParcelStep(ParcelStatus.DELIVERED, datetime.now(UTC))
        await office.parcel_moved(SERVICE, order.shipments[0].id, came, uuid4().hex)
        request = TicketRequest(order.id, TicketKind.RETURN, Reason.DAMAGED, opened=False, note="屏幕碎了")
        return (await mall.create_ticket(sender, request, uuid4().hex)).id
    finally:
        await engine.dispose()


@pytest.fixture
def customer(stack: Stack) -> Iterator[tuple[str, httpx.Client]]:
    with httpx.Client(base_url=stack.url, timeout=60, trust_env=False) as client:
        yield f"office-{uuid4()}", client


def test_every_step_in_the_page_is_what_the_customer_hears(
    stack: Stack,
    browser: Browser,  # noqa: F811
    customer: tuple[str, httpx.Client],
) -> None:
    name, client = customer
    with ThreadPoolExecutor() as pool:  # playwright has a running loop in this one
        ticket = pool.submit(asyncio.run, _broken(name)).result()

    def how_far() -> str:
        asked = {"sender": name, "text": f"{ticket} 到哪一步了"}
        messages = client.post("/api/chat", json=asked).raise_for_status().json()["messages"]
        return "\n".join(message.get("text", "") for message in messages)

    assert "审核" in how_far()
    operator = Operator(browser, WIDTHS["desktop"], f"{stack.url}/dashboard/office#tickets/{ticket}")
    operator.sign_in((stack.data_dir / "admin_token").read_text().strip())
    page = operator.page
    for button, state, told in (
        ("同意", "已同意", "寄"),
        ("收到退货", "已收到退货", "收到"),
        ("退款", "已退款", "退款"),
    ):
        page.locator("#steps").get_by_role("button", name=button, exact=True).click()
        page.locator("#do").click()
        expect(page.locator("#state")).to_contain_text(state, timeout=PATIENCE)
        assert told in how_far()
    operator.close()
    assert operator.faults == []
