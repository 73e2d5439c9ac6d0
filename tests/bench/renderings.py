"""Draws one conversation as its customers get it on three channels: `python -m tests.bench.renderings`.

The web chat is photographed in Chromium. Of WeChat and Telegram there is no client here: what the house has sent to
their stand-ins is drawn as it is, each call with what it holds. Writes ``docs/images/channel-….png``.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import html
import io
import json
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.async_api import Browser, async_playwright

import settings
from tests.bench.customers import House, OnTelegram, OnWeChat, opened
from tests.connectors.test_web_chat import ARGUMENTS, CHROMIUM

TALK = (
    "有加湿器吗",
    "净谷A5除甲醛空气净化器和净谷喵净宠物家庭空气净化器哪个安静",
    "退货 ORD12345 尾号5678",
)
"""Cards, a table or a picture of it, a list with buttons."""

QUIET_SECONDS = 6.0
"""In which nothing more comes: then an answer is whole."""

IMAGES = settings.ROOT / "docs/images"
COLOURS = 128

STYLE = """
body { margin: 0; padding: 16px; width: 420px; background: #ececec; font: 15px/1.5 "WenQuanYi Micro Hei", sans-serif; }
h1 { margin: 0 0 4px; font-size: 15px; } .note { margin: 0 0 12px; color: #555; font-size: 12px; }
.said { margin: 12px 0 6px auto; width: fit-content; max-width: 80%; padding: 6px 10px; background: #bfe3b4;
  border-radius: 8px; }
.sent { margin: 0 0 8px; max-width: 90%; padding: 6px 10px; background: #fff; border-radius: 8px; white-space: pre-wrap;
  overflow-wrap: anywhere; }
.call { color: #777; font: 11px monospace; } .sent img { max-width: 100%; display: block; margin: 4px 0; }
.tap { color: #2563a8; display: block; } .row { display: flex; gap: 4px; margin-top: 4px; }
.row span { flex: 1; padding: 4px; text-align: center; background: #e3ecf5; border-radius: 6px; }
"""


def page(name: str, parts: Sequence[str]) -> str:
    note = (
        f"掌柜发给{name}服务器的内容，按接口逐条画出，不是{name}客户端的截图。<br>"
        f"What the house sends to {name}, call by call, drawn here: no screenshot of its app."
    )
    title = f"<h1>{name}</h1><p class=note>{note}</p>"
    return f"<!doctype html><meta charset=utf-8><style>{STYLE}</style>{title}{''.join(parts)}"


def said(text: str) -> str:
    return f"<div class=said>{html.escape(text)}</div>"


def sent(call: str, text: str, *more: str) -> str:
    return f"<div class=sent><div class=call>{call}</div>{html.escape(text)}{''.join(more)}</div>"


def picture(content: bytes) -> str:
    png = content[content.index(b"\x89PNG") :]
    return f'<img src="data:image/png;base64,{base64.b64encode(png).decode()}">'


def by_wechat(house: House, kind: str, content: Mapping[str, Any]) -> str:
    match kind:
        case "reply":
            return sent("reply in the request · text", content["Content"])
        case "image":
            upload, _ = house.wechat.media[content["media_id"]]
            return sent("message/custom/send · image", "", picture(upload))
        case "msgmenu":
            lines = [f"<span class=tap>{html.escape(line['content'])}</span>" for line in content["list"]]
            return sent("message/custom/send · msgmenu", content["head_content"], *lines)
    return sent(f"message/custom/send · {kind}", content["content"])


def by_telegram(method: str, arguments: Mapping[str, Any]) -> str:
    rows = json.loads(arguments.get("reply_markup", "{}")).get("inline_keyboard", [])
    taps = ["".join(f"<span>{html.escape(key['text'])}</span>" for key in row) for row in rows]
    keys = [f"<div class=row>{each}</div>" for each in taps]
    photo = arguments.get("photo")
    if isinstance(photo, str):
        photo = arguments.get(photo.removeprefix("attach://"))
    pictures = [picture(photo)] if isinstance(photo, bytes) else []
    return sent(method, arguments.get("text", arguments.get("caption", "")), *pictures, *keys)


async def held(house: House, customer: OnWeChat | OnTelegram) -> list[str]:
    """The conversation, each thing that was sent as a piece of a page."""
    parts = []
    for text in TALK:
        before = len(customer.received)
        await customer.say(text)
        seen = -1
        while seen != len(customer.received):
            seen = len(customer.received)
            await asyncio.sleep(QUIET_SECONDS)
        parts.append(said(text))
        for kind, content in customer.received[before:]:
            of_wechat = isinstance(customer, OnWeChat)
            parts.append(by_wechat(house, kind, content) if of_wechat else by_telegram(kind, content))
    return parts


def keep(shot: bytes, name: str) -> None:
    """In few colours, without the empty end."""
    image = Image.open(io.BytesIO(shot)).convert("RGB").quantize(COLOURS)
    image.save(IMAGES / f"channel-{name}.png", optimize=True)
    print(f"channel-{name}.png {image.size} {(IMAGES / f'channel-{name}.png').stat().st_size} bytes")


async def on_the_web(house: House, browser: Browser) -> None:
    chat = await browser.new_page(viewport={"width": 420, "height": 1500}, locale="zh-CN")
    await chat.goto(house.stack.url)
    for text in TALK:
        await chat.get_by_role("textbox").fill(text)
        async with chat.expect_response("**/api/chat", timeout=60_000) as answer:
            await chat.get_by_role("textbox").press("Enter")
        assert (await answer.value).ok
        await chat.wait_for_timeout(1000)  # until it is drawn
    keep(await chat.screenshot(), "web")


async def draw(folder: Path) -> None:
    async with opened(folder / "data", DESK_HOURS="00:00-24:00") as house, async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        await on_the_web(house, browser)
        for name, title, customer in (
            ("wechat", "微信 WeChat", OnWeChat(house)),
            ("telegram", "Telegram", OnTelegram(house)),
        ):
            paper = await browser.new_page(viewport={"width": 452, "height": 600})
            await paper.set_content(page(title, await held(house, customer)))
            keep(await paper.screenshot(full_page=True), name)
        await browser.close()


def main() -> None:
    argparse.ArgumentParser(prog="python -m tests.bench.renderings", description=__doc__).parse_args()
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(draw(Path(folder)))


if __name__ == "__main__":
    main()
