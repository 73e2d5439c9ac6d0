"""What the customer's words say to a request for after-sales: which lines of the order, which reason, how many."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice, pairwise, takewhile
from typing import Any

from rasa_sdk import Tracker

from bot import patterns
from bot.actions.conversation import Conversation
from bot.actions.focus import Listed, like
from bot.actions.request_values import INTENTS
from bot.actions.turn import Turn
from bot.actions.validation import Request
from bot.patterns import cut
from bot.spelling import plain
from mall_adapter.values import Reason

TOLD_BEFORE = 3
"""Messages before a tap or a yes that began a request, in which its goods and its reason may have been told."""

OF_A_MATTER = frozenset(
    {
        *INTENTS.values(),
        *(
            "cancel_order",
            "report_problem",
            "complain",
            "inform",
            "ask_policy",
            "correct",
            "deny",
            "rate_service",
            "nlu_fallback",
        ),
    }
)
"""Intents of messages that may have told what is wrong before anything was asked for."""

NOTE_CHARACTERS = 200
SAYS_SOMETHING = 2
"""Characters, beside what is recognised, from which the customer's own words are worth keeping."""

CERTAIN = 0.9
"""Confidence from which a question is a request all the same ("开胶了能退吗")."""

NUMBERS = ("order_id", "ticket_id", "phone", "phone_tail", "four_digits")
_KINDS_OF_NAMES = (("product", "category"), ("brand",), ("goods_kind",))
_SAID = patterns.load("after_sales", "left_out", "fine", "chooses", "some", "whole", "of_colour")
_REASONS = patterns.load("picked", "picks", "adds", "of_size")
_LATIN = re.compile(r"[a-z0-9.]{2,}")
_SIGNS = re.compile(r"[,，.。;；:：!！?？~～、\s]+")
_CLAUSE = re.compile(r"[^,，.。;；:：!！?？~～、\s]+")


def lines_meant(turn: Turn, lines: Listed) -> list[str]:
    """Ids of the lines that the message names, by product or shelf, else by brand, or all of them; without those that
    it leaves out. Where it only leaves some out, the others are meant."""
    left = lines_left_out(turn, lines)
    kept = [line for line in lines if line["id"] not in left]
    for kinds in _KINDS_OF_NAMES:
        if named := _called(kept, [value for kind in kinds for value in turn.entities.get(kind, ())]):
            return named
    chosen = " ".join(words for words, _ in _regions(turn, "chooses"))
    if apart := told_apart(cut(_SAID["left_out"], chosen, " "), lines):
        return [one for one in apart if one not in left]
    everything = "all" in turn.acts and "negation" not in turn.acts
    return [line["id"] for line in kept] if everything or left else []


def lines_left_out(turn: Turn, lines: Listed, chosen: Sequence[str] = ()) -> list[str]:
    """Ids of the lines that shall stay: "外套不退", "牛肉干我吃了"; those that are only fine ("外套没坏"), where
    another one is named to go back and they are not ``chosen`` yet. Never all of them."""
    found = [line for words, names in _regions(turn, "left_out") for line in _named_in(words, names, lines)]
    fine = [line for words, names in _regions(turn, "fine") for line in _named_in(words, names, lines)]
    named = _called(
        lines, [value for kinds in _KINDS_OF_NAMES for kind in kinds for value in turn.entities.get(kind, ())]
    )
    if set(named) - {*fine, *found}:
        found += [line for line in fine if line not in chosen]
    return found if set(found) < {line["id"] for line in lines} else []


def some_to_go(turn: Turn, lines: Listed, began: bool) -> bool:
    """Whether only some of the order's goods are to be cancelled: "其中一件不要了", "壶要的，茶叶取消". Goods that are
    only named count where the wish ``began``; "茶叶那单取消" means the order."""
    if turn.tapped or len(lines) < 2:
        return False
    if _SAID["some"].search(plain(turn.text)) or lines_left_out(turn, lines):
        return True
    named = lines_meant(turn, lines) if began and not _SAID["whole"].search(plain(turn.text)) else []
    return 0 < len(named) < len(lines)


def told_apart(words: str, lines: Listed) -> list[str]:
    """The id of the only line of whose title the words hold a piece that no other one has: "儿童那个", "黑色的"."""
    said, titles = plain(words), {line["id"]: plain(line["title"]) for line in lines}
    pieces = {a + b for a, b in pairwise(said) if _is_han(a) and _is_han(b)} | set(_LATIN.findall(said))
    found = []
    for line, title in titles.items():
        others = [other for key, other in titles.items() if key != line]
        own = [piece for piece in pieces if _holds(title, piece) and not any(_holds(one, piece) for one in others)]
        short = [one for one in title.split() if len(one) == 1 and _is_han(one)]  # "黑" of "运动手表 黑 42 mm"
        shown = [
            one
            for one in short
            if any(_SAID["of_colour"].match(said, at.end()) for at in re.finditer(one, said))
            and not any(one in o.split() for o in others)
        ]
        found += [line] if own or shown else []
    return found if len(found) == 1 else []


def _holds(title: str, piece: str) -> bool:
    return piece in (_LATIN.findall(title) if piece.isascii() else title)


def _is_han(character: str) -> bool:
    return "\u4e00" <= character <= "\u9fff"


def _regions(turn: Turn, pattern: str) -> Iterator[tuple[str, list[Any]]]:
    """The words that the pattern finds, each with the names of goods in it."""
    for region in _SAID[pattern].finditer("" if turn.tapped else plain(turn.text)):
        start, end = region.span()
        inside = [span for span in turn.spans if start <= int(span["start"]) and int(span["end"]) <= end]
        yield region.group(), [s["value"] for kinds in _KINDS_OF_NAMES for s in inside if s["entity"] in kinds]


def _named_in(words: str, names: Iterable[Any], lines: Listed) -> list[str]:
    alike = like(words, lines)
    called, nearest = _called(lines, names), [line["id"] for line in alike if len(alike) == 1]
    return nearest if nearest and (not called or nearest[0] in called) else called  # "电话手表" of two watches


def _called(lines: Listed, values: Iterable[Any]) -> list[str]:
    names = [name for value in values for name in str(value).lower().split("|")]
    titles = {line["id"]: (line["title"].lower(), line["category"].lower()) for line in lines}
    return [one for one, (name, shelf) in titles.items() if any(n in name or n == shelf for n in names)]


def reasons_in(turn: Turn, lines: Listed) -> list[str]:
    """The reasons that the message gives; of several goods with one each ("鞋磨脚 口红断了") none of the others."""
    found = []
    for clause in turn.cut_at(_SIGNS):
        elsewhere = (clause.names_goods or clause.first("goods_kind")) and lines and not lines_meant(clause, lines)
        found += [] if elsewhere else list(map(str, clause.entities.get("reason", ())))
    return found or list(map(str, turn.entities.get("reason", ())))


def own_words(turn: Turn) -> str:
    return " ".join(turn.without(*NUMBERS).split())[:NOTE_CHARACTERS]


def words_of_reason(turn: Turn) -> str:
    """The clauses in which a recognised reason stands, where they say more than it."""
    reasons = [span for span in turn.spans if span["entity"] == "reason"]
    clauses = [
        clause
        for clause in _CLAUSE.finditer(turn.text)
        if any(clause.start() < span["end"] and span["start"] < clause.end() for span in reasons)
    ]
    if not clauses:
        return ""
    start, end = clauses[0].start(), clauses[-1].end()
    covered = {place for span in turn.spans for place in range(span["start"], span["end"])}
    more = [c for place, c in enumerate(turn.text[start:end], start) if place not in covered and c.isalnum()]
    return turn.text[start:end][:NOTE_CHARACTERS] if len(more) >= SAYS_SOMETHING else ""


def names_spec(words: str, spec: str, own: str) -> bool:
    """Whether all that tells ``spec`` from the ``own`` one stands in the words: "15片", and not 115."""
    parts, known = (re.findall(r"[0-9.]+ ?[^0-9 ]*|[^0-9 ]+", plain(one)) for one in (spec, own))
    telling = [part.replace(" ", "") for part in parts if part not in known]
    said = re.findall(r"[0-9.]+[^0-9]*|[^0-9]+", words.replace(" ", ""))  # each number with what follows it
    return bool(telling) and all(
        any(one.startswith(part) if part[0].isdigit() else part in one for one in said)
        and (not part.isdigit() or part in re.findall(r"[0-9]+", words))
        for part in telling
    )


def asked_last(request: Request, slot: str) -> bool:
    """Whether the message follows the question for ``slot``."""
    conversation = Conversation.of(request.tracker)
    return conversation.top.get("asked") == slot and conversation.top.get("asked_in", 0) >= conversation.turn - 1


def turns_of(request: Request) -> Iterator[Turn]:
    """The customer's messages of this request, the last first: goods may be named before their order is known. Where
    a button or a yes began it, the messages before that are what it is about."""
    yield (last := request.turn)
    conversation = Conversation.of(request.tracker)
    began = int(conversation.top.get("began") or conversation.turn)
    earlier = Turn.earlier(request.tracker)
    for last in islice(earlier, max(0, conversation.turn - began)):
        yield last
    if last.tapped or "yes" in last.acts:
        written = int(request.focus.written.get("turn") or 0)
        yield from islice(earlier, max(0, min(TOLD_BEFORE, began - 1 - written)))


def told_before(request: Request) -> Iterator[Turn]:
    """The customer's messages right before the request that may have told of the same matter: none before another
    request was ended or written, none that names another order."""
    conversation = Conversation.of(request.tracker)
    began = int(conversation.top.get("began") or conversation.turn)
    ended = (request.tracker.get_slot("dialogue") or {}).get("ended") or {}
    since = max(int(request.focus.written.get("turn") or 0), int(ended.get("turn") or 0))
    first = conversation.turn - began
    for turn in islice(Turn.earlier(request.tracker), first, first + max(0, min(TOLD_BEFORE, began - 1 - since))):
        others = set(map(str, turn.entities.get("order_id", ()))) - {str(request.get("order_id"))}
        if turn.intent in OF_A_MATTER and not others:
            yield turn


def reason_instead(request: Request, denied: set[str]) -> str | None:
    """What is the reason where those that are ``denied`` are none: told in this message, or the last one before."""
    if _REASONS["of_size"].search(plain(request.turn.text)):
        return Reason.WRONG_SIZE.value
    said = (reason for one in (*turns_of(request), *told_before(request)) for reason in one.entities.get("reason", ()))
    return next((str(reason) for reason in said if reason not in denied), None)


def may_tell_reason(turn: Turn) -> bool:
    """Not "发错了，是ORD…", nor a rule that is asked for ("质量问题谁出运费")."""
    request = turn.intent == "report_problem" or (turn.intent in INTENTS.values() and turn.confidence >= CERTAIN)
    return not turn.tapped and "correction" not in turn.acts and (request or not turn.asks)


def reason_picked(tracker: Tracker, turn: Turn) -> str | None:
    """The reason that the message picks, whatever fault it names beside it: by a button, by the title of one at its
    beginning ("不想要了，家里限电"), or by saying that it is the reason. "不想要了，而且开线了" tells of two."""
    told = [str(reason) for reason in turn.entities.get("reason", ())]
    if turn.tapped:
        return told[0] if told else None
    words = plain(turn.text).lstrip(" ,，")
    for span in turn.spans:
        if span["entity"] == "reason" and _REASONS["picks"].search(plain(turn.text)[: int(span["start"])]):
            return str(span["value"])
    titles = {plain(title): reason for title, reason in _reasons_offered(tracker, turn) if reason in told}
    begins = next((title for title in titles if words.startswith(title)), None)
    return titles[begins] if begins and not _REASONS["adds"].search(words) else None


def _reasons_offered(tracker: Tracker, turn: Turn) -> Iterator[tuple[str, str]]:
    """Title and reason of the buttons above the message."""
    events = list(tracker.events)
    place = next((n for n, event in enumerate(events) if event.get("message_id") == turn.message_id), 0)
    above = takewhile(lambda event: event["event"] != "user", reversed(events[:place]))
    for event in above:
        for one in (event.get("data") or {}).get("buttons") or []:
            _, _, told = str(one.get("payload") or "").partition("{")
            if reason := json.loads("{" + told).get("reason") if told else None:
                yield str(one["title"]), str(reason)
