"""How values are said: yuan, days of Asia/Shanghai, names of goods, and the single words that live in the domain.

Everything is said in the language of the customer (slot ``language``: zh, unless they write English).
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime
from typing import Any, TypeAlias

from rasa_sdk import Tracker

from bot.actions.malls import get_mall
from bot.spelling import DAY, DAY_OF_YEAR
from mall_adapter.values import OrderLine
from settings import SHANGHAI

Domain: TypeAlias = dict[str, Any]


def language_of(tracker: Tracker) -> str:
    """``zh`` or ``en``."""
    return tracker.get_slot("language") or "zh"


def draws_itself(tracker: Tracker) -> bool:
    """Whether the customer's channel draws cards and tables: the web chat. Elsewhere they are said in words."""
    return str(tracker.sender_id).startswith("web:")


def has_response(domain: Domain, name: str) -> bool:
    return name in domain["responses"]


def response_text(tracker: Tracker, domain: Domain, name: str) -> str:
    """The first variant of a response that fits the customer's language. Raises KeyError when there is no such one."""
    variants = domain["responses"][name]
    for variant in variants:
        conditions = variant.get("condition") or []
        if any(c["name"] == "language" and c["value"] == language_of(tracker) for c in conditions):
            return str(variant["text"])
    return str(next(variant["text"] for variant in variants if not variant.get("condition")))


def word(tracker: Tracker, domain: Domain, name: str) -> str:
    """Text of the response ``utter_word_<name>``: a word used inside other messages."""
    return response_text(tracker, domain, f"utter_word_{name}")


def title(tracker: Tracker, domain: Domain, intent: str) -> str:
    """What the customer calls an intent ("查快递"): the text of a button, the name of what waits."""
    return response_text(tracker, domain, f"utter_title_{intent}")


async def rule_text(tracker: Tracker, domain: Domain, rule: str) -> str:
    """What the customer reads about a row of the decision table (``utter_rule_<row>``), with the rules' own numbers.

    An operator's new row without words of its own gets those of ``needs_a_person``.
    """
    name = f"utter_rule_{rule}"
    text = response_text(tracker, domain, name if has_response(domain, name) else "utter_rule_needs_a_person")
    return text.format_map(await (await get_mall()).terms())


def yuan(cents: int) -> str:
    """``12900`` → ``¥129``, ``12950`` → ``¥129.50``."""
    whole, rest = divmod(cents, 100)
    return f"¥{whole}.{rest:02d}" if rest else f"¥{whole}"


def day(tracker: Tracker, moment: datetime | date | None, *, of_year: bool = False) -> str | None:
    """``11月23日``, or ``23 Nov``, in Shanghai; of an earlier year, or where its year is asked for, with it:
    ``2025年6月15日``."""
    if moment is None:
        return None
    local = moment.astimezone(SHANGHAI) if isinstance(moment, datetime) else moment
    language = language_of(tracker)
    other = local.year != datetime.now(SHANGHAI).year
    return (DAY_OF_YEAR if other or of_year else DAY)[language].format(moment=local)


def minute(tracker: Tracker, moment: datetime) -> str:
    """``11月23日 15:04`` in Shanghai."""
    return f"{day(tracker, moment)} {moment.astimezone(SHANGHAI):%H:%M}"


def goods(lines: Iterable[OrderLine]) -> str:
    """``云步跑鞋 黑色 42码 ×1、…``: at most two lines are named, the rest is counted."""
    lines = list(lines)
    named = "、".join(line_title(line) for line in lines[:2])
    return named if len(lines) <= 2 else f"{named} …（{len(lines)}）"


def line_title(line: OrderLine) -> str:
    title = f"{line.product_name} {line.spec}".strip()
    return title if line.quantity == 1 else f"{title} ×{line.quantity}"
