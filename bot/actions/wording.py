"""How values are said: yuan, days of Asia/Shanghai, names of goods, and the single words that live in the domain."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime
from typing import Any, TypeAlias
from zoneinfo import ZoneInfo

from bot.actions.malls import get_mall
from mall_adapter import OrderLine

SHANGHAI = ZoneInfo("Asia/Shanghai")

Domain: TypeAlias = dict[str, Any]


def word(domain: Domain, name: str) -> str:
    """Text of the response ``utter_word_<name>``: a word used inside other messages.

    Raises KeyError when the domain has no such response.
    """
    text: str = domain["responses"][f"utter_word_{name}"][0]["text"]
    return text


async def rule_text(domain: Domain, rule: str) -> str:
    """What the customer reads about a row of the decision table (``utter_rule_<row>``), with the rules' own numbers.

    An operator's new row without words of its own gets those of ``needs_a_person``.
    """
    responses = domain["responses"]
    text: str = (responses.get(f"utter_rule_{rule}") or responses["utter_rule_needs_a_person"])[0]["text"]
    return text.format_map(await (await get_mall()).after_sales_limits())


def yuan(cents: int) -> str:
    """``12900`` → ``¥129``, ``12950`` → ``¥129.50``."""
    whole, rest = divmod(cents, 100)
    return f"¥{whole}.{rest:02d}" if rest else f"¥{whole}"


def day(moment: datetime | date | None) -> str | None:
    """``11月23日`` in Shanghai."""
    if moment is None:
        return None
    local = moment.astimezone(SHANGHAI) if isinstance(moment, datetime) else moment
    return f"{local.month}月{local.day}日"


def minute(moment: datetime) -> str:
    """``11月23日 15:04`` in Shanghai."""
    local = moment.astimezone(SHANGHAI)
    return f"{local.month}月{local.day}日 {local:%H:%M}"


def goods(lines: Iterable[OrderLine]) -> str:
    """``云步跑鞋 黑色 42码 ×1、…``: at most two lines are named, the rest is counted."""
    lines = list(lines)
    named = "、".join(line_title(line) for line in lines[:2])
    return named if len(lines) <= 2 else f"{named}等 {len(lines)} 件"


def line_title(line: OrderLine) -> str:
    title = f"{line.product_name} {line.spec}".strip()
    return title if line.quantity == 1 else f"{title} ×{line.quantity}"
