"""The same conversation in a terminal, through the running gateway."""

from __future__ import annotations

import readline  # noqa: F401  # gives input() line editing that knows how wide a Chinese character is
import signal
import sys
import time
import unicodedata
from secrets import token_hex
from typing import Any

import httpx

import settings

PROMPT = "您: "
PATIENCE = 60.0
"""Seconds for one message, tries together."""


class GatewayAway(Exception):
    pass


def chat() -> None:
    """Talk until Ctrl-D or Ctrl-C. A number chooses one of the buttons that were just shown."""
    signal.signal(signal.SIGINT, signal.default_int_handler)  # whatever was inherited
    sender, buttons = f"terminal-{token_hex(8)}", list[dict[str, str]]()
    print("掌柜在线。直接说您想办什么；Ctrl-D 离开。")
    with httpx.Client(base_url=settings.gateway_url(), headers=_key(), trust_env=False) as http:
        while True:
            try:
                words = input(PROMPT).strip()
                if not words:
                    continue
                buttons = _show(_send(http, sender, _chosen(words, buttons)))
            except (EOFError, KeyboardInterrupt):
                print("\n再见，有事随时叫我。")
                return
            except GatewayAway:
                print("（连不上掌柜，请确认 `make run` 正在运行，然后再说一次。）")
            except UnicodeDecodeError:
                print("（没看懂这行字的编码，请用 UTF-8。）")


def _key() -> dict[str, str]:
    """The API key, where it may be read; on the house's own machine it is mostly not asked for."""
    try:
        return {"Authorization": f"Bearer {settings.api_key()}"}
    except OSError:
        return {}


def _chosen(words: str, buttons: list[dict[str, str]]) -> str:
    if words.isdecimal() and 0 < int(words) <= len(buttons):
        return buttons[int(words) - 1]["payload"]
    return words


def _send(http: httpx.Client, sender: str, text: str) -> dict[str, Any]:
    """One message, sent again under the same id while the gateway or the bot is away."""
    body = {"sender": sender, "text": text, "message_id": token_hex(16)}
    deadline = time.monotonic() + PATIENCE
    told = False
    while time.monotonic() < deadline:
        try:
            response = http.post("/api/chat", json=body, timeout=40)
        except httpx.TransportError:
            pause = 1.0
        else:
            if response.status_code not in (429, 503):
                answer: dict[str, Any] = response.json()
                return answer
            pause = float(response.headers["Retry-After"])
        if not told:
            print("（连接断开，正在重连…）")
            told = True
        time.sleep(pause)
    raise GatewayAway


def _show(answer: dict[str, Any]) -> list[dict[str, str]]:
    """Print the answer; returns its buttons in the order of their numbers."""
    if "error" in answer:
        print(f"（{answer['error']['message']}）")
        return []
    buttons: list[dict[str, str]] = []
    for message in answer["messages"]:
        if text := message.get("text"):
            print(f"掌柜: {text}")
        custom = message.get("custom") or {}
        if (image := message.get("image")) and not custom.get("table"):
            print(f"掌柜: [图片] {image}")
        if table := custom.get("table"):
            print(_lined_up([table["columns"], *table["rows"]]))
        for card in custom.get("cards") or []:
            print(f"  〔{card['title']}〕{card.get('text') or ''}")
            if button := card.get("button"):
                _offer(button, buttons)
        if source := custom.get("source"):
            until = source.get("valid_until")
            print(f"  （来源：{source['title']}{f'，有效期至 {until}' if until else ''}）")
        for button in message.get("buttons") or []:
            _offer(button, buttons)
    sys.stdout.flush()
    return buttons


def _offer(button: dict[str, str], buttons: list[dict[str, str]]) -> None:
    buttons.append(button)
    print(f"  {len(buttons)}. {button['title']}")


def _lined_up(rows: list[list[str]]) -> str:
    """The rows of a table; a Chinese character takes the room of two letters."""
    widths = [max(map(_width, column)) for column in zip(*rows, strict=True)]
    lines = (
        "  ".join(cell + " " * (width - _width(cell)) for cell, width in zip(row, widths, strict=True)) for row in rows
    )
    return "\n".join(f"  {line.rstrip()}" for line in lines)


def _width(text: str) -> int:
    return sum(2 if unicodedata.east_asian_width(character) in "WF" else 1 for character in text)
