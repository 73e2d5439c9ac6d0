"""The page of a smart card: what it shows, whom it notes, and how it looks."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from io import BytesIO
from typing import Any

import httpx
import pytest
import zxingcpp
from PIL import Image
from playwright.sync_api import Browser, BrowserContext, expect
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from connectors.cards.contact import contact
from connectors.cards.drawing import letters
from connectors.cards.words import AGENTS
from mall_adapter import SqlBackOffice, SqlMall, models
from mall_adapter.cards import Cards, Changes, Face
from privacy import current_ring
from privacy.conversations import conversation_of
from storage import EventRow, Role
from tests.connectors.conftest import Gateway
from tests.connectors.shop import Shop
from tests.connectors.test_web_chat import browser  # noqa: F401

PHONE = "Mozilla/5.0 (Linux; Android 14) AppleWebKit/537.36 Chrome/128.0 Mobile Safari/537.36"
WECHAT = f"{PHONE} MicroMessenger/8.0.49"
NAME = '陈<b>小美</b>"🌸'


@pytest.fixture(scope="module")
def card(shop: Shop) -> str:
    """The token of 小美's own copy."""
    now = datetime.now(UTC)

    async def employ(session: AsyncSession) -> None:
        session.add(models.Principal(id="P-mei", name="小美", name_index=models.name_index("小美"), created_at=now))
        session.add(models.Membership(principal_id="P-mei", role=Role.SALES, granted_at=now))
        session.add(
            models.ChannelAccount(
                sender_index=models.sender_index("web:mei"),
                sender="web:mei",
                channel="web",
                conversation=conversation_of(current_ring(), "web:mei"),
                principal_id="P-mei",
                first_seen_at=now,
                bound_at=now,
            )
        )

    async def make(mall: SqlMall, _: SqlBackOffice) -> str:
        cards = Cards(mall.database.engine)
        changes = Changes(name=NAME, title="护肤顾问", greeting="有事, 找我; 好吗", product_ids=["P2", "gone"])
        return (await cards.change("web:mei", changes)).token

    shop.write(employ)
    return shop.do(make)


class Visitor:
    def __init__(self, gateway: Gateway, agent: str = PHONE) -> None:
        headers = {"User-Agent": agent, "Accept-Language": "zh-CN"}
        self.http = httpx.Client(base_url=gateway.url, trust_env=False, timeout=120, headers=headers)

    def opens(self, token: str, **headers: str) -> str:
        answer = self.http.post(f"/c/{token}/open", headers=headers)
        assert answer.status_code == 200
        return str(answer.json()["token"])


def forwards(shop: Shop) -> int:
    async def count(mall: SqlMall, _: SqlBackOffice) -> int:
        query = select(func.count()).where(EventRow.kind == "card.forwarded")
        async with AsyncSession(mall.database.engine) as session:
            return int(await session.scalar(query) or 0)

    return shop.do(count)


def test_the_page_shows_the_card_and_nothing_can_be_slipped_into_it(gateway: Gateway, card: str) -> None:
    answer = Visitor(gateway).http.get(f"/c/{card}")
    assert answer.status_code == 200
    page = answer.text
    assert "陈&lt;b&gt;小美&lt;/b&gt;&quot;🌸" in page
    assert "<b>" not in page
    assert f'property="og:image" content="{gateway.url}/c/{card}.png"' in page
    assert "花间丝绒口红" in page
    assert "199 元起" in page
    assert "Set-Cookie" not in answer.headers  # looking notes nothing
    assert re.search("能量|积分|奖励|红包", page) is None


@pytest.mark.parametrize("path", ["nothing", "a b", "%00", "x" * 200, "nothing.png", "nothing.vcf", "nothing/telegram"])
def test_a_link_to_nothing(gateway: Gateway, shop: Shop, path: str) -> None:
    assert Visitor(gateway).http.get(f"/c/{path}").status_code == 404


def test_visitors_get_a_link_of_their_own(gateway: Gateway, shop: Shop, card: str) -> None:
    before = forwards(shop)
    first, second = Visitor(gateway), Visitor(gateway)
    own = first.opens(card)
    assert own != card
    assert first.opens(card) == first.opens(own) == own
    assert second.opens(own) not in (own, card)
    assert forwards(shop) == before + 2


@pytest.mark.parametrize(
    ("agent", "headers"),
    [
        ("TelegramBot (like TwitterBot)", {}),
        ("WhatsApp/2.23.20.0", {}),
        ("Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)", {}),
        ("facebookexternalhit/1.1", {}),
        ("python-requests/2.32", {}),
        ("", {}),
        (PHONE, {"Sec-Purpose": "prefetch;prerender"}),
        (PHONE, {"Purpose": "prefetch"}),
        (PHONE, {"Cookie": "zhanggui_unrecorded=1"}),
    ],
)
def test_who_does_not_count(gateway: Gateway, shop: Shop, card: str, agent: str, headers: dict[str, str]) -> None:
    before, visitor = forwards(shop), Visitor(gateway, agent)
    assert visitor.http.get(f"/c/{card}", headers=headers).status_code == 200
    assert visitor.http.head(f"/c/{card}", headers=headers).status_code == 200
    assert visitor.opens(card, **headers) == card
    assert forwards(shop) == before


@pytest.mark.parametrize(
    "agent", [PHONE, WECHAT, f"{PHONE} Telegram-Android/11.1", "Mozilla/5.0 (iPhone) Mobile/15E148"]
)
def test_people_are_no_crawlers(agent: str) -> None:
    assert not AGENTS.is_crawler(agent)


def test_another_site_notes_nothing(gateway: Gateway, card: str) -> None:
    answer = Visitor(gateway).http.post(f"/c/{card}/open", headers={"Origin": "https://elsewhere.example"})
    assert answer.status_code == 403


def test_declining_and_coming_back(gateway: Gateway, shop: Shop, card: str) -> None:
    visitor, before = Visitor(gateway), forwards(shop)
    own = visitor.opens(card)
    assert visitor.http.post(f"/c/{own}/decline").json()["declined"] is True
    assert visitor.opens(card) == card
    assert forwards(shop) == before + 1
    assert visitor.http.post(f"/c/{card}/accept").json()["token"] not in (card, own)


def test_the_picture_leads_to_the_copy(gateway: Gateway, card: str) -> None:
    answer = Visitor(gateway).http.get(f"/c/{card}.png")
    assert answer.headers["Content-Type"] == "image/png"
    picture = Image.open(BytesIO(answer.content))
    assert picture.width == 1080
    assert len(answer.content) < 400_000
    for size in (1, 3):
        small = picture.convert("RGB").resize((picture.width // size, picture.height // size))
        assert [one.text for one in zxingcpp.read_barcodes(small)] == [f"{gateway.url}/c/{card}"]


@pytest.mark.parametrize(
    ("text", "kept"), [("小美🌸", "小美"), ("𠮷野家", "野家"), ("😀", ""), ("A\u200db 李", "Ab 李"), ("<b>&$", "<b>&$")]
)
def test_only_letters_that_the_font_has(text: str, kept: str) -> None:
    assert letters().known(text) == kept


def test_the_contact_can_be_read(gateway: Gateway, card: str) -> None:
    answer = Visitor(gateway).http.get(f"/c/{card}.vcf")
    assert answer.headers["Content-Type"].startswith("text/vcard")
    lines = answer.text.replace("\r\n ", "").split("\r\n")
    assert f"FN:{NAME}" in lines
    assert "NOTE:有事\\, 找我\\; 好吗" in lines
    assert f"URL:{gateway.url}/c/{card}" in lines
    assert all(len(line.encode()) <= 75 for line in answer.text.split("\r\n"))


def test_nothing_can_be_slipped_into_a_contact() -> None:
    face = Face("c", "美\r\nTEL:110", None, "\nEND:VCARD", "138", None, (), datetime.now(UTC))
    lines = contact(face, "顾问", "掌柜", "https://shop.example/c/x").split("\r\n")
    assert [line.partition(":")[0] for line in lines if line] == [
        *("BEGIN", "VERSION", "FN", "N", "ORG", "TITLE", "TEL;TYPE=CELL", "NOTE", "URL", "END")
    ]


# ---- in a browser ----


@pytest.fixture
def telephone(browser: Browser) -> Iterator[BrowserContext]:  # noqa: F811
    context = browser.new_context(
        viewport={"width": 390, "height": 844}, device_scale_factor=2, user_agent=PHONE, locale="zh-CN"
    )
    yield context
    context.close()


def test_somebody_looks_at_it_on_a_telephone(
    telephone: BrowserContext, gateway: Gateway, shop: Shop, card: str
) -> None:
    before, page = forwards(shop), telephone.new_page()
    faults: list[Any] = []
    page.on("pageerror", lambda fault: faults.append(fault))
    page.goto(f"{gateway.url}/c/{card}")
    page.wait_for_url(re.compile(rf"/c/(?!{card})[\w-]+$"))
    expect(page.get_by_role("heading", level=1)).to_have_text(NAME)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert forwards(shop) == before + 1
    page.get_by_role("button", name="不要记我").click()
    expect(page.get_by_text("好的，没有记您")).to_be_visible()
    page.get_by_role("link", name="和我聊聊").click()
    page.wait_for_url(f"{gateway.url}/")
    assert faults == []


def links(page: str) -> Sequence[str]:
    return re.findall('class="chat" href="([^"]+)"', page)


def test_without_other_channels_the_page_leads_to_the_web_chat(gateway: Gateway, card: str) -> None:
    assert links(Visitor(gateway, WECHAT).http.get(f"/c/{card}").text) == ["/"]
