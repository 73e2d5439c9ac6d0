"""Pictures that visitors of the web chat send: what is taken, what is kept of it, who sees it."""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path

import httpx
import pytest
from PIL import Image
from playwright.sync_api import Browser, BrowserContext, FilePayload, Locator, Page, ViewportSize, expect

from connectors.image_files import LONGEST, MOST_PIXELS
from mall_adapter.handoff import HandoffReason
from tests.connectors.conftest import Gateway
from tests.connectors.conversations import Conversations
from tests.connectors.fake_rasa import FakeRasa
from tests.connectors.test_web_chat import CHROMIUM, Chat, browser  # noqa: F401
from tests.connectors.test_web_chat_trouble import conversations, look, someone_says  # noqa: F401

PATH = "/api/chat/pictures"
RECEIPT = "图片收到，已经替您存好，人工客服也能看到。需要办什么，麻烦您再打字说一句。"


def drawn(format: str, size: tuple[int, int] = (60, 40), mode: str = "RGB", **options: object) -> bytes:
    content = BytesIO()
    Image.new(mode, size, "red").save(content, format, **options)
    return content.getvalue()


def with_place() -> bytes:
    """A telephone's, on its side, with where it was taken."""
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "SECRETPHONE"
    exif.get_ifd(0x8825)[1] = "N"
    return drawn("JPEG", exif=exif)


def bomb(width: int, height: int) -> bytes:
    """A small file that claims to be a large picture."""

    def chunk(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")


class Visitor:
    def __init__(self, gateway: Gateway) -> None:
        self._http = httpx.Client(base_url=gateway.url, trust_env=False, timeout=60)
        self._http.get("/")

    def sends(self, content: bytes, message_id: str = "p1", **headers: str) -> httpx.Response:
        return self._http.post(PATH, params={"message_id": message_id}, content=content, headers=headers)

    def sees(self, message_id: str = "p1") -> httpx.Response:
        return self._http.get(f"{PATH}/{message_id}")


@pytest.fixture
def visitor(gateway: Gateway) -> Visitor:
    return Visitor(gateway)


TAKEN = {
    "jpeg": (drawn("JPEG"), (60, 40)),
    "png": (drawn("PNG", mode="RGBA"), (60, 40)),
    "palette": (drawn("PNG", mode="P"), (60, 40)),
    "webp": (drawn("WEBP"), (60, 40)),
    "gif": (drawn("GIF"), (60, 40)),
    "large": (drawn("PNG", (4000, 1000)), (LONGEST, LONGEST // 4)),
    "on its side": (with_place(), (40, 60)),
    "with a page behind it": (drawn("JPEG") + b"<script>alert(1)</script>", (60, 40)),
}
REFUSED = {
    "nothing": b"",
    "words": b"hello",
    "a page": b"<!doctype html><script>alert(1)</script>",
    "a drawing": b'<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>',
    "the beginning of one": drawn("JPEG")[:120],
    "a name alone": b"\x89PNG\r\n\x1a\n",
    "another format": drawn("BMP"),
    "a bomb": bomb(60_000, 60_000),
    "a smaller bomb": bomb(MOST_PIXELS // 1000 + 1, 1000),
    "less than it says": bomb(900, 900),
}


@pytest.mark.parametrize("name", TAKEN)
def test_a_picture_is_written_anew_and_shown_to_its_sender(visitor: Visitor, gateway: Gateway, name: str) -> None:
    content, size = TAKEN[name]
    answer = visitor.sends(content)
    assert (answer.status_code, answer.json()) == (200, {"id": "p1", "messages": [{"text": RECEIPT}]})
    shown = visitor.sees()
    assert (shown.status_code, shown.headers["Content-Type"], shown.headers["Cache-Control"]) == (
        *(200, "image/jpeg"),
        "no-store",
    )
    picture = Image.open(BytesIO(shown.content), formats=["JPEG"])
    assert (picture.size, dict(picture.getexif())) == (size, {})
    assert not any(mark in shown.content for mark in (b"SECRETPHONE", b"<script>"))
    assert Visitor(gateway).sees().status_code == 404  # nobody else's


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_picture_is_not_kept(visitor: Visitor, name: str) -> None:
    answer = visitor.sends(REFUSED[name])
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "no_picture")
    assert visitor.sees().status_code == 404


def test_sent_again_under_its_id_it_is_the_same_one(visitor: Visitor) -> None:
    first, second = drawn("PNG", (10, 10)), drawn("PNG", (20, 20))
    assert visitor.sends(first).json() == visitor.sends(second).json()
    assert Image.open(BytesIO(visitor.sees().content)).size == (10, 10)


def test_who_may_send_one(visitor: Visitor, gateway: Gateway) -> None:
    picture = drawn("PNG")
    answer = httpx.post(f"{gateway.url}{PATH}?message_id=p1", content=picture, trust_env=False)
    assert (answer.status_code, answer.json()["error"]["code"]) == (401, "no_visitor")
    assert visitor.sends(picture, Origin="https://evil.example").status_code == 401
    assert visitor.sends(picture, "p1/../p2").status_code == 422
    assert visitor.sees().status_code == 404
    assert visitor.sends(bytes(9 * 1024 * 1024)).status_code == 413


def test_it_is_sealed_where_it_is_kept(visitor: Visitor, gateway: Gateway) -> None:
    assert visitor.sends(drawn("PNG")).status_code == 200
    files = [path for path in (gateway.folder / "media").rglob("*") if path.is_file()]
    assert files
    assert not any(b"JFIF" in path.read_bytes() for path in files)


# ---- in the browser --------------------------------------------------------------------------------------------------

in_browser = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")


@pytest.fixture(params=[390, 1280])
def context(request: pytest.FixtureRequest, browser: Browser) -> Iterator[BrowserContext]:  # noqa: F811
    viewport = ViewportSize(width=request.param, height=760)
    context = browser.new_context(viewport=viewport, locale="zh-CN", reduced_motion="reduce")
    yield context
    context.close()


@pytest.fixture
def open_chat(context: BrowserContext, gateway: Gateway, rasa: FakeRasa) -> Callable[[], Chat]:
    return lambda: Chat(context.new_page(), gateway)


def attach(page: Page, button: Locator, content: bytes) -> None:
    with page.expect_file_chooser() as chooser:
        button.click()
    chooser.value.set_files(FilePayload(name="picture.png", mimeType="image/png", buffer=content))


def is_drawn(chat: Chat, number: int = 1) -> None:
    """The customer's pictures are there, not only their names."""
    images = chat.log.locator("img.mine")
    expect(images).to_have_count(number)
    for image in images.all():
        expect(image).to_have_js_property("complete", True)
        expect(image).not_to_have_js_property("naturalWidth", 0)


def said(chat: Chat) -> list[str]:
    """By the customer, in the order of the page."""
    own = chat.log.locator(".user-message-text p, img.mine")
    return list(own.evaluate_all("all => all.map((each) => each.textContent || each.alt)"))


@in_browser
def test_a_picture_stands_in_the_conversation_in_every_window(
    open_chat: Callable[[], Chat],
    rasa: FakeRasa,
    conversations: Conversations,  # noqa: F811
    tmp_path: Path,
) -> None:
    one, other = open_chat(), open_chat()
    one.say("鞋底裂了")
    one.hears("收到：鞋底裂了")
    attach(one.page, one.button("发图片"), drawn("PNG", (900, 600)))
    one.hears(RECEIPT)
    one.say("能退吗")
    one.hears("收到：能退吗")
    is_drawn(one)
    one.page.screenshot(path=tmp_path / "picture.png")
    is_drawn(other)
    one.page.reload()
    later = open_chat()
    look(other)
    for chat in (one, other, later):
        is_drawn(chat)
        for text in ("收到：鞋底裂了", RECEIPT, "收到：能退吗"):
            chat.hears(text)
        assert said(chat) == ["鞋底裂了", "图片", "能退吗"]
    assert rasa.texts() == ["鞋底裂了", "能退吗"]  # the bot is not asked about what it cannot see
    assert one.outside == one.faults == other.faults == later.faults == []


@in_browser
def test_a_person_at_the_desk_is_shown_it_among_what_was_said(
    open_chat: Callable[[], Chat],
    gateway: Gateway,
    rasa: FakeRasa,
    conversations: Conversations,  # noqa: F811
) -> None:
    chat = open_chat()
    chat.say("你好")
    chat.hears("收到：你好")
    sender = rasa.calls[0].sender
    someone_says(gateway, sender, lambda desk: desk.request(sender, HandoffReason.ASKED, sender))

    async def claim(desk: object) -> None:
        actor = await desk.operator("小王", "dashboard")  # type: ignore[attr-defined]
        waiting = [each for each in await desk.open_handoffs() if each.sender == sender]  # type: ignore[attr-defined]
        await desk.claim(actor, waiting[0].id)  # type: ignore[attr-defined]

    someone_says(gateway, sender, claim)
    rasa.answers["【图片】"] = []
    attach(chat.page, chat.button("发图片"), drawn("PNG"))
    is_drawn(chat)
    assert rasa.arrived.acquire(timeout=20)
    expect(chat.log.get_by_text(RECEIPT)).to_have_count(0)
    later = open_chat()
    is_drawn(later)  # from the record alone
    assert rasa.texts()[-1] == "【图片】"


@in_browser
def test_pictures_chosen_without_a_network_follow_in_order(
    open_chat: Callable[[], Chat], context: BrowserContext, rasa: FakeRasa
) -> None:
    chat = open_chat()
    context.set_offline(True)
    attach(chat.page, chat.button("发图片"), drawn("PNG"))
    chat.say("就是这个")
    is_drawn(chat)
    context.set_offline(False)
    chat.hears(RECEIPT)
    chat.hears("收到：就是这个")
    assert said(chat) == ["图片", "就是这个"]


@in_browser
def test_what_cannot_be_opened_is_said_and_what_was_not_sent_can_be_deleted(
    open_chat: Callable[[], Chat], context: BrowserContext, rasa: FakeRasa
) -> None:
    chat = open_chat()
    attach(chat.page, chat.button("发图片"), b"no picture at all")
    expect(chat.banner).to_have_text("这张图片打不开，请换一张。")
    chat.page.route(re.compile("/api/chat/pictures"), lambda route: route.abort())
    attach(chat.page, chat.button("发图片"), drawn("PNG"))
    is_drawn(chat)
    chat.page.reload()  # its bytes are gone
    expect(chat.log.get_by_text("没有发出去。页面关掉后，图片没来得及发。")).to_be_visible()
    chat.button("删除").click()
    expect(chat.log.locator("img.mine")).to_have_count(0)
