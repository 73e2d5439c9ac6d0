"""What could not be sent, as operators see it: why, in words, and sent again by a click."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import httpx
import pytest
from playwright.sync_api import Page, expect, sync_playwright
from sqlalchemy import delete, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from connectors.media import MediaStore
from mall_adapter import SqlBackOffice, SqlMall
from privacy import current_ring
from privacy.conversations import conversation_of
from storage import EventRow, inbox, outbox
from storage.inbox import Inbox
from storage.outbox import Dead, Outbox, Outcome, Parked, State, Unknown
from tests.connectors.conftest import Gateway
from tests.connectors.shop import Shop

from .test_knowledge_pages import CHROMIUM, PATIENCE, SIGN_IN

EVER = timedelta(days=1)


def token(gateway: Gateway) -> str:
    return Path(gateway.environment["DATA_DIR"], "admin_token").read_text().strip()


@pytest.fixture(scope="module", autouse=True)
def tidy(shop: Shop) -> Iterator[None]:
    """The gateway is everybody's: none of this is left for its health to tell."""
    yield

    async def leave(session: AsyncSession) -> None:
        for table in (Inbox, Outbox):
            await session.execute(delete(table).where(func.length(table.channel) == len(uuid4().hex)))

    shop.write(leave)


@pytest.fixture
def operator(gateway: Gateway) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=gateway.url, trust_env=False, timeout=60) as client:
        assert client.post(SIGN_IN, json={"token": token(gateway), "name": "小王"}).status_code == 204
        client.headers["X-CSRF-Token"] = client.get(SIGN_IN).json()["csrf"]
        yield client


def unsent(shop: Shop, outcome: Outcome, channel: str, kind: str = "answer") -> int:
    """The number of a message that ended so."""
    numbers: list[int] = []

    async def write(session: AsyncSession) -> None:
        name = uuid4().hex
        message = outbox.Message(
            channel=channel,
            recipient=name,
            order_key=f"{channel}:{name}",
            kind=kind,
            payload={"text": "您的水壶到了"},
            dedupe=name,
        )
        number = await outbox.enqueue(session, message, datetime.now(UTC))
        assert number is not None
        numbers.append(number)

    async def end(mall: SqlMall, _: SqlBackOffice) -> None:
        engine = mall.database.engine
        (leased,) = await outbox.claim(engine, [channel], 1, EVER, datetime.now(UTC))
        async with AsyncSession(engine) as session, session.begin():
            assert await outbox.finish(session, leased, outcome)

    shop.write(write)
    shop.do(end)
    return numbers[0]


def state(shop: Shop, number: int) -> tuple[State, list[str]]:
    """Of a message, and what is on record about it."""

    async def read(mall: SqlMall, _: SqlBackOffice) -> tuple[State, list[str]]:
        async with AsyncSession(mall.database.engine) as session:
            found = await session.scalar(select(Outbox.state).where(Outbox.id == number))
            kinds = await session.scalars(select(EventRow.kind).where(EventRow.subject == f"outbox:{number}"))
            assert found is not None
            return found, list(kinds)

    return shop.do(read)


@pytest.mark.parametrize(
    ("outcome", "told", "reason"),
    [
        (Dead("person:43004"), "没发出去", "取消关注"),
        (Dead("later:45009"), "没发出去", "太忙"),
        (Dead("content"), "没发出去", "拒收"),
        (Dead("odd:code"), "没发出去", "出错了（odd:code）"),
        (Unknown("timeout"), "不确定", "可能已经送到"),
        (Parked("window:45015"), "等顾客说话", "等顾客下次说话"),
    ],
    ids=str,
)
def test_why_it_was_not_sent_is_told_in_words(
    operator: httpx.Client, shop: Shop, outcome: Outcome, told: str, reason: str
) -> None:
    number = unsent(shop, outcome, uuid4().hex)
    answer = operator.get("/dashboard/api/delivery")
    assert answer.headers["cache-control"] == "no-store"
    assert "水壶" not in answer.text
    (one,) = [one for one in answer.json()["stuck"] if (one["box"], one["id"]) == ("outbox", number)]
    assert (one["told"], one["kind"]) == (told, "回答")
    assert reason in one["reason"]


def test_it_is_sent_again_once_and_that_is_on_record(operator: httpx.Client, shop: Shop) -> None:
    number = unsent(shop, Dead("person"), uuid4().hex, "gift")
    again = f"/dashboard/api/delivery/outbox/{number}/again"
    assert operator.post(again, headers={"X-CSRF-Token": "forged"}).status_code == 403
    assert state(shop, number) == (State.DEAD, [])
    assert operator.post(again).status_code == 204
    assert state(shop, number) == (State.PENDING, ["sent_again"])
    refused = operator.post(again)
    assert (refused.status_code, refused.json()["error"]["code"]) == (409, "not_stuck")
    for odd in ("outbox/0", f"outbox/{2**31}", "elsewhere/1", "outbox/x"):
        assert operator.post(f"/dashboard/api/delivery/{odd}/again").status_code == 422


def test_a_message_that_the_bot_could_not_take_is_listed_too(operator: httpx.Client, shop: Shop) -> None:
    channel = uuid4().hex

    async def write(session: AsyncSession) -> None:
        message = inbox.Message(channel, f"{channel}:ann", {"text": "在吗"}, "ann m1")
        leased = await inbox.accept(session, message, datetime.now(UTC), EVER)
        assert isinstance(leased, inbox.Leased)
        assert await inbox.finish(session, leased, inbox.Dead("BotUnavailable"))

    shop.write(write)
    (one,) = [one for one in operator.get("/dashboard/api/delivery").json()["stuck"] if one["channel"] == channel]
    assert (one["box"], one["kind"]) == ("inbox", "顾客消息")
    assert operator.post(f"/dashboard/api/delivery/inbox/{one['id']}/again").status_code == 204


def test_without_signing_in_there_is_nothing_to_see_or_send(gateway: Gateway) -> None:
    for method, path in (("GET", ""), ("POST", "/outbox/1/again")):
        response = httpx.request(method, f"{gateway.url}/dashboard/api/delivery{path}", trust_env=False)
        assert (response.status_code, response.json()["error"]["code"]) == (401, "signed_out")
    assert "口令" in httpx.get(f"{gateway.url}/dashboard/delivery", trust_env=False).text


# ---- what customers send beside words ----


def test_what_a_customer_has_sent_is_shown_to_operators_only(
    operator: httpx.Client, gateway: Gateway, shop: Shop
) -> None:
    sender, folder = f"paper:{uuid4().hex}", gateway.folder / "media"
    picture, script = b"\xff\xd8\xff\xe0...", b"<script>alert(1)</script>"

    async def keep(mall: SqlMall, _: SqlBackOffice) -> tuple[str, list[int]]:
        store = MediaStore(mall.database.engine, folder)
        numbers = [
            await store.keep(sender, "m1 0", "picture", picture, name="裂了.jpg"),
            await store.keep(sender, "m1 0", "picture", picture, name="裂了.jpg"),  # by a worker that had to begin anew
            await store.keep(sender, "m2 0", "picture", script),
            await store.keep(sender, "m3 0", "location", place=(31.2, 121.5)),
        ]
        return conversation_of(current_ring(), sender), numbers

    before = len(list(folder.iterdir())) if folder.exists() else 0
    conversation, (first, again, odd, place) = shop.do(keep)
    assert first == again
    files = list(folder.iterdir())
    assert len(files) == before + 2
    assert not any(picture in file.read_bytes() or script in file.read_bytes() for file in files)

    address = f"/dashboard/api/conversations/{conversation}/media"
    assert [each["id"] for each in operator.get(address).json()["media"]] == [place, odd, first]
    shown = operator.get(f"{address}/{first}")
    assert (shown.content, shown.headers["content-type"]) == (picture, "image/jpeg")
    saved = operator.get(f"{address}/{odd}")
    assert (saved.headers["content-type"], saved.headers["content-disposition"]) == (
        "application/octet-stream",
        "attachment",
    )
    assert operator.get(f"{address}/{place}").status_code == 404
    assert operator.get(f"/dashboard/api/conversations/{'0' * 64}/media/{first}").status_code == 404
    assert httpx.get(f"{gateway.url}{address}/{first}", trust_env=False).status_code == 401
    for file in files:
        file.write_bytes(file.read_bytes()[:-1] + b"x")
    assert operator.get(f"{address}/{first}").json()["error"]["code"] == "damaged"


# ---- the page ----


@pytest.fixture
def page(gateway: Gateway) -> Iterator[Page]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM)
        page = browser.new_page(base_url=gateway.url, viewport={"width": 390, "height": 800})
        page.set_default_timeout(PATIENCE)
        assert page.request.post(SIGN_IN, data={"token": token(gateway), "name": "小王"}).ok
        yield page
        browser.close()


def test_a_click_sends_it_again_and_the_line_goes_away(page: Page, shop: Shop) -> None:
    channel = uuid4().hex
    number = unsent(shop, Dead("person"), channel)
    page.goto("/dashboard/delivery")
    line = page.locator("#stuck li", has_text=channel)
    expect(line).to_contain_text("没发出去")
    expect(line).to_contain_text("对方已取消关注、拉黑或注销，送不到")
    expect(page.get_by_role("link", name="消息发送")).to_have_attribute("aria-current", "page")
    line.get_by_role("button").click()
    expect(line).to_have_count(0)
    assert state(shop, number)[0] is State.PENDING
    expect(page.locator("#waiting")).to_contain_text(f"{channel}：等待发送 1 条")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
