"""Two requests in one message ("退货运费谁出 另外我那个快递到哪了"): found, so that the dialogue knows of each.

A message is cut into clauses; each is read by the bot itself. Clauses that ask for nothing of their own (a number, a
reason, a greeting) belong to their neighbour. What is left are different requests only when they are of different
families: a story with one wish ("鞋子开胶了，我要退货") is one request.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass
from itertools import combinations

from bot import patterns
from bot.components.text import visible
from bot.patterns import cut
from bot.spelling import plain

MOST_REQUESTS = 3
MOST_CLAUSES = 8
SHORTEST = 3
"""Characters of a clause that can be a request."""

SURE = 0.8
SURE_BESIDE_CONNECTOR = 0.35
"""Confidences from which a clause is a request of its own, without and with a word like 另外 before or after it."""

SURE_BEHIND_ASIDE = 0.5
"""Confidence from which what stands beside a greeting, thanks or the like is what the message is about."""

SHORTEST_RESTATED = 2
"""Characters of a question that is put once more: "尺码"."""

RESTATED = "ask_policy"
"""What a question is that was put once more and has no intent of its own."""

COURTESY = frozenset({"greet", "thank", "goodbye"})

ASIDES = frozenset({"ack", "thanks_only", "no", "leave", "stop", "presses", "reproaches"})
"""Acts of clauses that say nothing of what is wished beside them."""

_SAID = patterns.load("clauses", "value", "question", "connector", "stop", "restated", "and_more")

_FAMILIES = (
    ("request_return", "request_exchange", "request_refund", "report_problem", "complain", "cancel_ticket"),
    ("order_status", "track_parcel", "urge_shipment", "worry_delivery"),
    ("ask_price", "ask_promotion", "ask_product", "ask_stock", "compare_products", "recommend_product"),
    ("my_coupons",),
    ("change_address",),
    ("cancel_order",),
    ("request_invoice",),
    ("bind_account", "export_my_data", "delete_my_data"),
    ("ticket_status",),
    ("ask_policy",),
    ("energy_balance", "redeem_energy"),
    ("my_card", "share_card", "card_report", "my_leads"),
    ("sales_report", "sales_forecast", "restock_advice", "inventory_report"),
    ("human_handoff",),
)
FAMILY = {intent: number for number, family in enumerate(_FAMILIES) for intent in family}
"""Intents that can be requests; those of one number are never two requests of one message, unless a connector says so
and they are of those that have an answer each."""

_ONE_ANSWER = (
    frozenset({"request_return", "request_exchange", "request_refund", "report_problem"}),
    frozenset({"order_status", "track_parcel", "urge_shipment", "worry_delivery"}),
    frozenset({"ask_price", "ask_product", "ask_stock"}),
)

WISHES = frozenset(
    {
        *("request_return", "request_exchange", "request_refund", "cancel_ticket", "cancel_order", "change_address"),
        *("request_invoice", "bind_account", "redeem_energy", "share_card", "export_my_data", "delete_my_data"),
    }
)
"""What is done, not answered. Anything else is told on the way unless it is a question or has a connector beside it."""

_CUT = re.compile(rf"(?P<connector>{_SAID['connector'].pattern})|{_SAID['stop'].pattern}")


@dataclass(frozen=True)
class Clause:
    text: str
    connected: bool  # a word like 另外 begins it


@dataclass
class Request:
    text: str
    intent: str | None  # None: asks for nothing


Read = Callable[[str], Awaitable[tuple[str, float]]]
"""Intent and confidence of a text."""

Acts = Callable[[str], Awaitable[Collection[str]]]
"""What a text does (bot/data/acts.yml)."""


def in_words(text: str) -> str:
    """``text`` as Rasa shall read it: what begins with "/" is an intent with entities to it, so the slash becomes a
    full-width one, after invisible marks as well, which Rasa would not look behind today."""
    return text.replace("/", "／", 1) if visible(text).startswith("/") else text


def clauses_of(text: str) -> list[Clause]:
    """The pieces of a message, none of them a payload."""
    found: list[Clause] = []
    start, connected = 0, False
    for end in _CUT.finditer(plain(text)):
        if piece := text[start : end.start()].strip():
            found.append(Clause(in_words(piece), connected))
            connected = False
        start, connected = end.end(), connected or bool(end["connector"])
    if piece := text[start:].strip():
        found.append(Clause(in_words(piece), connected))
    return [clause for clause in found if visible(clause.text)]


def readable(text: str) -> list[str]:
    """Clauses that say something of their own, the first ``MOST_CLAUSES`` of them; none when the message is one."""
    clauses = clauses_of(text)
    return [clause.text for clause in clauses if _speaks(clause.text)][:MOST_CLAUSES] if _several(clauses) else []


def _several(clauses: Sequence[Clause]) -> bool:
    return sum(len(visible(clause.text)) >= SHORTEST for clause in clauses) >= 2


def _speaks(clause: str) -> bool:
    """A number does not."""
    return len(cut(_SAID["value"], visible(clause))) >= SHORTEST


async def requests_of(text: str, read: Read) -> Sequence[str]:
    """The texts of two or three different requests; empty when the message is one request, or none."""
    clauses = clauses_of(text)
    if not _several(clauses) or len(clauses) > MOST_CLAUSES:
        return ()
    requests: list[Request] = []
    for place, clause in enumerate(clauses):
        beside_connector = clause.connected or (place + 1 < len(clauses) and clauses[place + 1].connected)
        intent = await _request(clause.text, beside_connector, read)
        last = requests[-1] if requests else None
        if last and last.intent and intent and _differ(last.intent, intent, clause.connected):
            requests.append(Request(clause.text, intent))
        elif last:
            last.text += f" {clause.text}"
            last.intent = last.intent or intent
        else:
            requests.append(Request(clause.text, intent))
    intents = [request.intent for request in requests if request.intent]
    if not 2 <= len(requests) == len(intents) <= MOST_REQUESTS:
        return ()
    if not all(_differ(one, other, connected=True) for one, other in combinations(intents, 2)):
        return ()
    return [request.text for request in requests]


async def behind_aside(text: str, read: Read, acts: Acts) -> Sequence[str]:
    """The wish of a message that greets, thanks, takes back or reproaches, too, where that hides it; else nothing:
    "您好 申请价保", "先不退了 有没有大一码的"."""
    clauses = clauses_of(text)
    hidden, _ = await read(text)
    connected = any(clause.connected for clause in clauses[1:])
    if not 2 <= len(clauses) <= MOST_CLAUSES or (hidden in FAMILY and not connected):
        return ()
    asides = [clause for clause in clauses if await _is_aside(clause.text, read, acts)]
    rest = " ".join(clause.text for clause in clauses if clause not in asides)
    if not asides or len(visible(rest)) < SHORTEST:
        return ()
    intent, confidence = await read(rest)
    return [rest] if intent in FAMILY and confidence >= SURE_BEHIND_ASIDE else ()


def restated(text: str) -> str | None:
    """The question of a message that puts it once more, without what it says of the answer: "不是孕妇 问的是敏感肌"."""
    *_, last = [None, *_SAID["restated"].finditer(plain(text))]
    rest = in_words(text[last.end() :].strip(" ,，。.:：!！")) if last else ""
    return rest if len(visible(rest)) >= SHORTEST_RESTATED else None


def beyond(text: str) -> tuple[str, str] | None:
    """The first clause of a message, and what it goes on with: "确认提交 然后面霜那单也开"."""
    first = next((clause.text for clause in clauses_of(text)), "")
    rest = text[text.find(first) + len(first) :] if first in text else ""
    if (more := _SAID["and_more"].match(plain(rest))) and visible(rest[more.end() :]):
        return first, in_words(rest[more.end() :].strip())
    return None


async def _is_aside(clause: str, read: Read, acts: Acts) -> bool:
    intent, confidence = await read(clause)
    return (intent in COURTESY and confidence >= SURE) or not ASIDES.isdisjoint(await acts(clause))


def _differ(one: str, other: str, connected: bool) -> bool:
    """Are these two requests of one message?"""
    if connected:
        return one != other and not any({one, other} <= intents for intents in _ONE_ANSWER)
    return FAMILY[one] != FAMILY[other]


async def _request(clause: str, beside_connector: bool, read: Read) -> str | None:
    """The intent of a clause that asks for something of its own."""
    if not _speaks(clause):
        return None
    intent, confidence = await read(clause)
    if intent not in FAMILY or confidence < (SURE_BESIDE_CONNECTOR if beside_connector else SURE):
        return None
    if intent == "human_handoff" and not beside_connector:  # that somebody else shall do what is wished for
        return None
    return intent if beside_connector or intent in WISHES or _SAID["question"].search(plain(clause)) else None
