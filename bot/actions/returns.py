"""Return, exchange and refund: what must be known before a ticket is written, the ticket, and why there can be none."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from itertools import islice, product
from typing import Any, ClassVar

from rasa_sdk import Action, Tracker
from rasa_sdk.events import EventType
from rasa_sdk.executor import CollectingDispatcher

from bot import patterns
from bot.actions.conversation import Conversation, ask, confirmed, digest, key, problem
from bot.actions.focus import Focus, Listed, like, pointed_at
from bot.actions.malls import get_mall
from bot.actions.order_choice import OrderValidation
from bot.actions.orders import cancelled_order, say_order, state_of
from bot.actions.tickets import (
    CANCELLABLE,
    Button,
    ask_to_confirm,
    button,
    ticket_values,
    way_back,
    wish_button,
)
from bot.actions.turn import Turn
from bot.actions.validation import Request
from bot.actions.wording import Domain, day, line_title, minute, rule_text, word, yuan
from bot.spelling import plain
from mall_adapter import (
    Decision,
    MallError,
    NotAllowed,
    NotFound,
    Order,
    OrderLine,
    OrderStatus,
    Reason,
    Ticket,
    TicketExists,
    TicketKind,
    TicketRequest,
    Wish,
    open_to,
)

INTENTS = {
    TicketKind.RETURN: "request_return",
    TicketKind.EXCHANGE: "request_exchange",
    TicketKind.REFUND: "request_refund",
}
NEVER_CAME = ("lost", "late")
"""States of an order that say themselves why it is given up."""

FAULTS = (Reason.QUALITY, Reason.DAMAGED, Reason.WRONG_ITEM, Reason.MISSING_ITEM, Reason.NOT_AS_DESCRIBED)
"""Reasons that the shop answers for. One of them wins over what is said beside it ("不喜欢，还开胶了")."""

UNSENT = (OrderStatus.PENDING_PAYMENT, OrderStatus.PAID, OrderStatus.PRESALE, OrderStatus.SHIPPED)
REASONS_UNSENT = (Reason.CHANGED_MIND, Reason.DISLIKE, Reason.WRONG_SIZE, Reason.LATE_DELIVERY)
"""Reasons that are offered while nothing has arrived."""

TOLD_BEFORE = 3
"""Messages before a tap or a yes that began a request, in which its goods and its reason may have been told."""

A_STORY = 8
"""Characters in which somebody has told what is wrong, in words that no list has."""

ALL_LINES = "all"
NOTE_CHARACTERS = 200
SAYS_SOMETHING = 2
"""Characters, beside what is recognised, from which the customer's own words are worth keeping."""

CERTAIN = 0.9
"""Confidence from which a question is a request all the same ("开胶了能退吗")."""

SURE = 0.7
"""Confidence from which a message tells of something that is wrong with the goods."""

A_REASON = 4
"""The same for words that are a reason by themselves though a value was recognised in them."""

_NUMBERS = ("order_id", "ticket_id", "phone", "phone_tail", "four_digits")
_KINDS_OF_NAMES = (("product", "category"), ("brand",))
_SAID = patterns.load("after_sales", "left_out", "fine", "only", "sized", "coloured", "intangible")
_CLAUSE = re.compile(r"[^,，.。;；:：!！?？~～、\s]+")


# ---- what the slots say


def lines_of(slots: Mapping[str, Any]) -> list[str]:
    """Ids of the lines that are meant; empty while they are not known."""
    known: list[str] = [line["id"] for line in slots.get("order_lines") or []]
    meant: Any = slots.get("order_line")
    if meant == ALL_LINES:
        return known
    chosen: list[str] = meant if isinstance(meant, list) else [meant]
    return chosen if set(chosen) <= set(known) else []


def goods_in_request(slots: Mapping[str, Any]) -> str:
    return "、".join(line["title"] for line in _chosen(slots))


def _chosen(slots: Mapping[str, Any]) -> Listed:
    meant = lines_of(slots)
    return [line for line in slots.get("order_lines") or [] if line["id"] in meant]


def size_wanted(slots: Mapping[str, Any]) -> str:
    """Of the sizes that were named, the last that is not the one of the goods; of an exchange only."""
    if slots.get("ticket_kind") != TicketKind.EXCHANGE:
        return ""
    own = set(re.findall(r"[a-z]+|[0-9.]+", goods_in_request(slots).lower()))
    other = [size for size in slots.get("size") or [] if str(size).lower() not in own]
    return str(other[-1]) if other else ""


def _names_spec(words: str, spec: str, own: str) -> bool:
    """Whether all that tells ``spec`` from the ``own`` one stands in the words: "15片", and not 115."""
    parts, known = (re.findall(r"[0-9.]+ ?[^0-9 ]*|[^0-9 ]+", plain(one)) for one in (spec, own))
    telling = [part.replace(" ", "") for part in parts if part not in known]
    said = re.findall(r"[0-9.]+[^0-9]*|[^0-9]+", words.replace(" ", ""))  # each number with what follows it
    return bool(telling) and all(
        any(one.startswith(part) if part[0].isdigit() else part in one for one in said)
        and (not part.isdigit() or part in re.findall(r"[0-9]+", words))
        for part in telling
    )


def pieces_wanted(slots: Mapping[str, Any]) -> tuple[int, int] | None:
    """How many pieces of how many, where fewer are to go back than the one line has that the mall takes as a whole."""
    chosen, wanted = _chosen(slots), slots.get("quantity")
    if len(chosen) != 1 or not isinstance(wanted, int):
        return None
    bought = int(chosen[0]["pieces"])
    return (wanted, bought) if 0 < wanted < bought else None


def counted_within(slots: Mapping[str, Any]) -> bool:
    """ "三包碎了" of one thing that is sold by the eight: the mall knows the whole only."""
    chosen, wanted = _chosen(slots), slots.get("quantity")
    return len(chosen) == 1 and isinstance(wanted, int) and wanted > int(chosen[0]["pieces"])


def values_of(slots: Mapping[str, Any]) -> dict[str, Any] | None:
    """Exactly what would be written; None while something of it is unknown or the rules do not allow it."""
    if not slots.get("decision") or not lines_of(slots):
        return None
    return {
        "order_id": slots["order_id"],
        "kind": slots["ticket_kind"],
        "reason": slots["reason"],
        "lines": lines_of(slots),
        "opened": slots.get("opened"),
        "note": slots.get("note") or "",
        "size": size_wanted(slots),
    }


def request_of(slots: Mapping[str, Any], kind: str, reason: str, note: str = "") -> TicketRequest:
    opened = slots.get("opened")
    return TicketRequest(
        order_id=slots["order_id"],
        kind=TicketKind(kind),
        reason=Reason(reason),
        line_ids=tuple(lines_of(slots)),
        opened=None if opened is None else opened == "yes",
        note=note,
    )


def decision_slot(decision: Decision) -> dict[str, Any]:
    return {
        "rule": decision.rule,
        "freight_payer": decision.freight_payer.value,
        "handling_days": decision.handling_days,
        "refund_cents": decision.refund_cents,
    }


# ---- what the customer says


def lines_meant(turn: Turn, lines: Listed) -> list[str]:
    """Ids of the lines that the message names, by product or shelf, else by brand, or all of them; without those that
    it leaves out. Where it only leaves some out, the others are meant."""
    left = lines_left_out(turn, lines)
    kept = [line for line in lines if line["id"] not in left]
    for kinds in _KINDS_OF_NAMES:
        if named := _called(kept, [value for kind in kinds for value in turn.entities.get(kind, ())]):
            return named
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


def _regions(turn: Turn, pattern: str) -> Iterator[tuple[str, list[Any]]]:
    """The words that the pattern finds, each with the names of goods in it."""
    for region in _SAID[pattern].finditer("" if turn.tapped else plain(turn.text)):
        start, end = region.span()
        inside = [span for span in turn.spans if start <= int(span["start"]) and int(span["end"]) <= end]
        yield region.group(), [s["value"] for kinds in _KINDS_OF_NAMES for s in inside if s["entity"] in kinds]


def _named_in(words: str, names: Iterable[Any], lines: Listed) -> list[str]:
    alike = like(words, lines)
    return _called(lines, names) or [line["id"] for line in alike if len(alike) == 1]


def _called(lines: Listed, values: Iterable[Any]) -> list[str]:
    names = [str(value).lower() for value in values]
    titles = {line["id"]: (line["title"].lower(), line["category"].lower()) for line in lines}
    return [one for one, (name, shelf) in titles.items() if any(n in name or n == shelf for n in names)]


def own_words(turn: Turn) -> str:
    return " ".join(turn.without(*_NUMBERS).split())[:NOTE_CHARACTERS]


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


class ValidateAfterSales(OrderValidation):
    flow = "after_sales"
    of_order = ("order_line", "order_lines", "several_lines", "opened", "quantity", "decision", "needs_opened")
    depends: ClassVar[dict[str, tuple[str, ...]]] = {"reason": ("note",)}

    async def accept(self, order: Order, request: Request) -> None:
        lines: Listed = [
            {
                "kind": "line",
                "id": line.id,
                "title": line_title(line),
                "category": line.category,
                "pieces": str(line.quantity),
            }
            for line in order.lines
        ]
        if order.status is OrderStatus.CANCELLED:
            request.set(refusal={"name": "cancelled", "order": order.id})
            return
        taken = {line.id: line.open_ticket_id for line in order.lines if line.open_ticket_id}
        named = next((meant for turn in turns_of(request) if (meant := lines_meant(turn, lines))), [])
        if len(taken) == len(lines) or (named and set(named) <= set(taken)):
            ticket = max(ticket for line, ticket in taken.items() if line in (named or taken))
            request.set(refusal={"name": "order_has_ticket", "ticket": ticket, "order": order.id})
            return
        free = [line for line in lines if line["id"] not in taken]
        request.set(order_lines=free, several_lines=len(free) > 1)
        if request.get("reason") is None and state_of(order, datetime.now(UTC)) in NEVER_CAME:
            request.set(reason=Reason.LATE_DELIVERY.value)

    # ---- values, one by one

    async def validate_ticket_kind(self, value: Any, request: Request) -> None:
        request.set(ticket_kind=_known(value, TicketKind) or request.get("ticket_kind"))

    async def validate_reason(self, value: Any, request: Request) -> None:
        if isinstance(value, dict):
            value = Reason.OTHER.value if len(request.turn.rest) >= SAYS_SOMETHING else None
        if reason := _known(value, Reason):
            request.set(reason=reason)
            again = TicketKind.EXCHANGE in request.turn.entities.get("ticket_kind", ())  # "黑的不想要了，换白的"
            if reason == Reason.CHANGED_MIND and request.get("ticket_kind") == TicketKind.EXCHANGE and not again:
                request.clear("ticket_kind")  # whoever does not want it any more wants no other one
        else:
            request.set(**problem("reason", "unusable"))

    async def validate_opened(self, value: Any, request: Request) -> None:
        told = {True: "yes", False: "no"}.get(value, value) if isinstance(value, bool) else value
        request.set(opened=_known(told, ("yes", "no")) or request.get("opened"))

    async def validate_size(self, value: Any, request: Request) -> None:
        request.set(size=[str(size) for size in request.turn.entities.get("size", [value])])

    async def validate_quantity(self, value: Any, request: Request) -> None:
        """The smallest number that is named: "买了 3 件退 1 件" is about one."""
        told = [int(count) for count in request.turn.entities.get("quantity", [value]) if str(count).isdecimal()]
        request.set(quantity=min(told, default=None))

    async def validate_order_line(self, value: Any, request: Request) -> None:
        lines: Listed = request.get("order_lines") or []
        turn, known = request.turn, {line["id"] for line in lines}
        if isinstance(value, str):
            meant = list(known) if value == ALL_LINES else [value]
        else:
            pointed = [line["id"] for line in pointed_at(turn, lines)]
            meant = pointed or lines_meant(turn, lines)
            if not meant and len(alike := like(turn.without(*_NUMBERS), lines)) == 1:
                meant = [alike[0]["id"]]
        if meant and set(meant) <= known:
            self._choose(meant, request)
        elif lines:
            request.set(**problem("order_line", "line_not_among", own_words(turn)))

    # ---- what follows from them

    async def complete(self, request: Request) -> None:
        self._tidy(request)
        request.clear("refusal")
        await super().complete(request)
        self._keep_words(request)
        self._reason_told_before(request)
        if request.get("size") and request.get("ticket_kind") == TicketKind.EXCHANGE and not request.get("reason"):
            request.set(reason=Reason.WRONG_SIZE.value)  # "换43码"
        request.set(decision=None, needs_opened=False)
        if request.get("proved") and not request.get("refusal"):
            await self._as_before(request)
            self._find_lines(request)
            await self._find_spec(request)
            await self._decide(request)
            if not request.get("refusal"):
                self._wants_a_part(request)

    @staticmethod
    async def _find_spec(request: Request) -> None:
        """The other colour or kind of the same goods that an exchange is wanted for: "11 片换 13 片"."""
        chosen = _chosen(request.slots)
        if request.get("ticket_kind") != TicketKind.EXCHANGE or len(chosen) != 1 or size_wanted(request.slots):
            return
        mall = await get_mall()
        order = await mall.order(request.sender, str(request.get("order_id")))
        line = next(line for line in order.lines if line.id == chosen[0]["id"])
        others = [sku.spec for sku in (await mall.product(line.product_id)).skus if sku.spec != line.spec]
        said = [plain(turn.text) for turn in turns_of(request) if not turn.tapped]
        named = [spec for spec in others if any(_names_spec(words, spec, line.spec) for words in said)]
        if len(named) == 1:
            request.set(size=[named[0]])

    @staticmethod
    def _wants_a_part(request: Request) -> None:
        """ "三台只退一台" of what the rules allow: the mall takes a line as a whole, so it is a colleague's from here
        on."""
        only = any(_SAID["only"].search(plain(turn.text)) for turn in turns_of(request) if not turn.tapped)
        if (part := pieces_wanted(request.slots)) and only:
            told = {"wanted": part[0], "bought": part[1], "order": request.get("order_id")}
            request.set(refusal={"name": "part", **told}, decision=None, needs_opened=False)

    @staticmethod
    def _tidy(request: Request) -> None:
        """What an intent or a button told at the start has not been looked at yet."""
        for slot, known in (("ticket_kind", TicketKind), ("reason", Reason), ("opened", ("yes", "no"))):
            request.set(**{slot: _known(request.get(slot), known)})

    @staticmethod
    def _keep_words(request: Request) -> None:
        """The reason in the customer's own words, beside a recognised one too where they say more."""
        turn, asked = request.turn, asked_last(request, "reason")
        named = [reason for reason in turn.entities.get("reason", ()) if _known(reason, Reason)]
        if turn.tapped:
            return
        if request.get("reason") in named:
            request.set(reason=next((reason for reason in named if reason in FAULTS), named[0]))
            more = len(turn.rest) >= SAYS_SOMETHING
            if note := (own_words(turn) if more else "") if asked else words_of_reason(turn):
                request.set(note=note)
        elif isinstance(request.heard.get("reason"), dict) and request.get("reason") == Reason.OTHER:
            request.set(note=own_words(turn))
        elif asked and request.get("reason") is None and "question" not in turn.acts:
            # "买了 2 个，老婆也买了": the number was heard, and the words around it are the answer
            beside = request.heard.keys() and request.heard.keys() <= {"quantity", "size", "opened"}
            if beside and len(turn.rest) >= A_REASON:
                request.set(reason=Reason.OTHER.value, note=own_words(turn))

    @staticmethod
    def _reason_told_before(request: Request) -> None:
        """A reason that an earlier message gave; or what is wrong, told at the start in words that no list has."""
        turn, conversation = request.turn, Conversation.of(request.tracker)
        asked = (conversation.top.get("asks") or {}).get("reason") or "change" in (request.slots.get("heard") or {})
        if request.get("reason") is not None or asked:
            return
        said = [one for one in turns_of(request) if _may_tell_reason(one)]
        told = [reason for one in said for reason in one.entities.get("reason", ())]
        if known := [reason for reason in told if _known(reason, Reason)]:
            request.set(reason=next((reason for reason in known if reason in FAULTS), known[0]))
        elif (
            turn.intent == "report_problem"
            and turn.confidence >= SURE
            and not turn.tapped
            and conversation.top.get("began") == conversation.turn
            and len(turn.rest) >= A_STORY
        ):
            request.set(reason=Reason.QUALITY.value, note=own_words(turn))

    @staticmethod
    def _choose(meant: Sequence[str], request: Request) -> None:
        known = [line["id"] for line in request.get("order_lines") or []]
        chosen = [line for line in known if line in meant]
        several = ALL_LINES if chosen == known else chosen
        request.set(order_line=chosen[0] if len(chosen) == 1 else several)

    async def _as_before(self, request: Request) -> None:
        """What was taken back a moment ago to be asked for otherwise: the goods and the reason are the same."""
        written, conversation = request.focus.written, Conversation.of(request.tracker)
        same = written.get("flow") == "cancel_ticket" and written.get("order") == request.get("order_id")
        if not same or conversation.top.get("began") != conversation.turn:
            return
        try:
            ticket = await (await get_mall()).ticket(request.sender, written["id"])
        except NotFound:  # the account is another's now
            return
        if request.get("reason") is None:
            request.set(reason=ticket.reason.value)
        if request.get("order_line") is None and not lines_meant(request.turn, request.get("order_lines") or []):
            self._choose(ticket.line_ids, request)

    def _find_lines(self, request: Request) -> None:
        """The lines that need not be asked for: the only one, those named at any time, as many as were counted."""
        lines: Listed = request.get("order_lines") or []
        left = lines_left_out(request.turn, lines, lines_of(request.slots))
        if rest := [line for line in lines_of(request.slots) if line not in left]:
            self._choose(rest, request)
        else:
            request.clear("order_line")
        if request.get("order_line") is not None or (request.get("problem") or {}).get("slot") == "order_line":
            return
        changing = "change" in (request.tracker.get_slot("heard") or {})
        turns: Iterable[Turn] = (request.turn,) if changing else turns_of(request)
        named = next((meant for turn in turns if (meant := lines_meant(turn, lines))), [])
        if not named and asked_last(request, "order_line") and "question" not in request.turn.acts:
            # "油汀 三台里就一台响": the name answers, whatever else is said
            alike = like(request.turn.without(*_NUMBERS, "quantity"), lines)
            named = [line["id"] for line in alike if len(alike) == 1]
        everything = request.get("quantity") == sum(int(line["pieces"]) for line in lines)
        if len(lines) == 1 or (everything and not named):
            named = [line["id"] for line in lines]
        if named:
            self._choose(named, request)

    async def _decide(self, request: Request) -> None:
        """Asks the mall's rules, and again whenever something has changed."""
        if not lines_of(request.slots):
            return
        kind, reason = request.get("ticket_kind"), request.get("reason")
        try:
            if not (kind and reason):
                decision = await self._refused_anyway(request)
            else:
                decision = await (await get_mall()).assess(request.sender, request_of(request.slots, kind, reason))
        except TicketExists as error:
            request.set(refusal={"name": "order_has_ticket", "ticket": error.ticket.id, "order": error.ticket.order_id})
            return
        if decision is None:
            return
        if decision.allowed:
            request.set(decision=decision_slot(decision))
        elif "opened" in decision.missing_facts and request.get("opened") is None:
            request.set(needs_opened=True)
        else:
            request.set(refusal={"name": "not_allowed", "rule": decision.rule, "order": request.get("order_id")})

    @staticmethod
    async def _refused_anyway(request: Request) -> Decision | None:
        """The refusal that no answer to what is still open could change: one rule says no to all of them."""
        kinds = [request.get("ticket_kind")] if request.get("ticket_kind") else list(TicketKind)
        reasons = [request.get("reason")] if request.get("reason") else sorted(Reason, key=lambda r: r not in FAULTS)
        mall, first = await get_mall(), None
        for kind, reason in product(kinds, reasons):
            decision = await mall.assess(request.sender, request_of(request.slots, kind, reason))
            if decision.allowed or decision.missing_facts or (first and decision.rule != first.rule):
                return None
            first = decision
        return first


def _may_tell_reason(turn: Turn) -> bool:
    """Not "发错了，是ORD…", nor a rule that is asked for ("质量问题谁出运费")."""
    request = turn.intent == "report_problem" or (turn.intent in INTENTS.values() and turn.confidence >= CERTAIN)
    return not turn.tapped and "correction" not in turn.acts and (request or not turn.asks)


def _known(value: Any, values: Iterable[str]) -> str | None:
    return str(value) if isinstance(value, str) and value in tuple(values) else None


# ---- questions


class AskOrderLine(Action):
    def name(self) -> str:
        return "action_ask_order_line"

    async def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain) -> list[EventType]:
        lines: Listed = tracker.get_slot("order_lines") or []
        buttons = [button(line["title"], "inform", order_line=line["id"]) for line in lines]
        buttons.append(button(word(tracker, domain, "whole_order"), "inform", order_line=ALL_LINES))
        shown = "\n".join(f"{place}. {line['title']}" for place, line in enumerate(lines, 1))
        ask(dispatcher, tracker, domain, "order_line", lines=shown, buttons=[*buttons, *_person(tracker, domain)])
        return Focus(tracker).on_list(lines).events()


class AskReason(Action):
    def name(self) -> str:
        return "action_ask_reason"

    async def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain) -> list[EventType]:
        reasons: list[Reason] = [reason for reason in Reason if reason is not Reason.OTHER]
        order_id = tracker.get_slot("order_id")
        try:
            order = await (await get_mall()).order(tracker.sender_id, str(order_id))
            if order.status in UNSENT and not any(parcel.status == "lost" for parcel in order.shipments):
                reasons = list(REASONS_UNSENT)
            meant = lines_of(tracker.slots)
            unfit = _do_not_fit([line for line in order.lines if not meant or line.id in meant])
            reasons = [reason for reason in reasons if reason not in unfit]
        except MallError:
            pass  # the question can be asked all the same
        if Conversation.of(tracker).attempt > 1:
            reasons.append(Reason.OTHER)
        buttons = [button(word(tracker, domain, reason), "inform", reason=reason.value) for reason in reasons]
        ask(dispatcher, tracker, domain, "reason", buttons=[*buttons, *_person(tracker, domain)])
        return []


def _do_not_fit(lines: Sequence[OrderLine]) -> set[Reason]:
    """Reasons that these goods cannot give: a course has no size, and nothing of it breaks on the way."""
    specs = [plain(line.spec) for line in lines]
    sized = any(_SAID["sized"].search(spec) for spec in specs)
    unfit = set() if sized else {Reason.WRONG_SIZE}
    if not sized and not any(_SAID["coloured"].search(spec) for spec in specs):
        unfit.add(Reason.DISLIKE)
    if all(_SAID["intangible"].search(plain(line.category)) for line in lines):
        unfit |= {Reason.DAMAGED, Reason.WRONG_ITEM, Reason.MISSING_ITEM, Reason.LATE_DELIVERY}
    return unfit


def _person(tracker: Tracker, domain: Domain) -> list[Button]:
    """At the last time of asking."""
    return [wish_button(tracker, domain, "human_handoff")] if Conversation.of(tracker).attempt > 2 else []


class AskConfirmTicket(Action):
    def name(self) -> str:
        return "action_ask_confirm_ticket"

    async def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain) -> list[EventType]:
        slots = tracker.slots
        if (values := values_of(slots)) is None:
            return []
        decision, part = slots["decision"], pieces_wanted(slots)
        order = await (await get_mall()).order(tracker.sender_id, values["order_id"])
        freight = "freight" if order.delivered_at or not order.shipments else "interception"
        cents, size = decision["refund_cents"], _size_beside(tracker, domain, values)
        reason = word(tracker, domain, values["reason"])
        buttons = [
            button(word(tracker, domain, "submit"), "affirm", summary=digest(values)),
            button(word(tracker, domain, "change"), "deny"),
            button(word(tracker, domain, "give_up"), "stop"),
        ]
        if part or counted_within(slots):
            buttons.append(wish_button(tracker, domain, "human_handoff"))
        return ask_to_confirm(
            dispatcher,
            tracker,
            domain,
            "utter_ask_confirm_ticket",
            values,
            kind=word(tracker, domain, values["kind"]),
            goods=goods_in_request(slots),
            order_id=values["order_id"],
            size=word(tracker, domain, "beside").format(text=size) if size else "",
            reason=_reason_words(tracker, domain, values["note"], values["reason"], reason),
            money=word(tracker, domain, "refund_amount").format(amount=yuan(cents)) if cents else "",
            amount=word(tracker, domain, "refund_beside").format(amount=yuan(cents)) if cents else "",
            freight=word(tracker, domain, f"{freight}_{decision['freight_payer']}"),
            hints="".join(f"{hint}\n" for hint in _hints(tracker, domain, values, part)),
            days=decision["handling_days"],
            buttons=buttons,
        )


def _reason_words(tracker: Tracker, domain: Domain, note: str, reason: str, named: str) -> str:
    if not note or reason == Reason.OTHER:
        return note or named
    return named + word(tracker, domain, "beside").format(text=note)


def _hints(tracker: Tracker, domain: Domain, values: dict[str, Any], part: tuple[int, int] | None) -> Iterator[str]:
    """What must be said before a yes: that more goes back than is wanted; that the size wanted is not known."""
    if part:
        wanted, bought = part
        yield word(tracker, domain, f"whole_line_{values['kind']}").format(wanted=wanted, bought=bought)
    elif counted_within(tracker.slots):
        yield word(tracker, domain, "whole_pack")
    if values["kind"] == TicketKind.EXCHANGE and values["reason"] == Reason.WRONG_SIZE and not values["size"]:
        yield word(tracker, domain, "size_unknown")


def size_words(tracker: Tracker, domain: Domain, size: str) -> str:
    """ "想换 43码"; empty where there is none."""
    if not size:
        return ""
    if size in ("larger", "smaller"):
        return word(tracker, domain, f"wants_{size}")
    return word(tracker, domain, "wants_size" if size.isascii() and size.isalnum() else "wants_spec").format(size=size)


def _size_beside(tracker: Tracker, domain: Domain, values: Mapping[str, Any]) -> str:
    """The same; empty where the note says it already."""
    return "" if values["size"] in values["note"] else size_words(tracker, domain, values["size"])


# ---- the write


class CreateReturnTicket(Action):
    def name(self) -> str:
        return "action_create_return_ticket"

    async def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain) -> list[EventType]:
        values = values_of(tracker.slots)
        if values is None or not confirmed(tracker, values):
            return []
        note = " ".join(filter(None, (values["note"], _size_beside(tracker, domain, values))))
        request = request_of(tracker.slots, values["kind"], values["reason"], note)
        try:
            ticket = await (await get_mall()).create_ticket(
                tracker.sender_id, request, idempotency_key=key(tracker, values)
            )
        except NotAllowed as error:  # the rules or the clock moved on between the summary and the yes
            return await say_refused(dispatcher, tracker, domain, error.decision.rule)
        except TicketExists as error:
            return say_has_ticket(dispatcher, tracker, domain, error.ticket)
        except MallError:
            dispatcher.utter_message(
                response="utter_ticket_not_written",
                buttons=[
                    wish_button(tracker, domain, "ticket_status", order_id=values["order_id"]),
                    wish_button(tracker, domain, "human_handoff"),
                ],
            )
            return []
        say_created(dispatcher, tracker, domain, ticket)
        wanted = size_words(tracker, domain, values["size"])
        focus = Focus(tracker).wrote("after_sales", ticket.id, ticket.order_id, wanted)
        return focus.on("ticket", ticket.id).on("order", ticket.order_id).events()


def say_created(dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain, ticket: Ticket) -> None:
    step = "_".join(filter(None, (ticket.kind, way_back(ticket)))) if ticket.decision.auto_approve else "review"
    dispatcher.utter_message(
        response="utter_ticket_created",
        days=ticket.decision.handling_days,
        ticket_id=ticket.id,
        kind=word(tracker, domain, ticket.kind),
        due=day(tracker, ticket.due_on),
        next_step=word(tracker, domain, f"next_step_{step}"),
    )


# ---- why there is none


class RefuseAfterSales(Action):
    def name(self) -> str:
        return "action_refuse_after_sales"

    async def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain) -> list[EventType]:
        refusal: Mapping[str, str] = tracker.get_slot("refusal") or {}
        if ticket_id := refusal.get("ticket"):
            ticket = await (await get_mall()).ticket(tracker.sender_id, ticket_id)
            return say_has_ticket(dispatcher, tracker, domain, ticket)
        if refusal.get("name") == "part":
            return say_part(dispatcher, tracker, domain, refusal)
        if cancelled := await cancelled_order(tracker, refusal.get("order")):
            say_order(dispatcher, tracker, domain, cancelled)
            return Focus(tracker).on("order", cancelled.id).events()
        return await say_refused(dispatcher, tracker, domain, str(refusal.get("rule")))


def say_part(
    dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain, refusal: Mapping[str, Any]
) -> list[EventType]:
    """A colleague takes back fewer pieces than a line has; all of them can go back here."""
    slots = tracker.slots
    kind, bought = slots.get("ticket_kind") or TicketKind.RETURN, str(refusal["bought"])
    told = {"order_id": str(refusal["order"]), "order_line": str(slots["order_line"]), "quantity": bought}
    told |= {name: slots[name] for name in ("reason", "opened") if slots.get(name)}
    dispatcher.utter_message(
        response="utter_ticket_part",
        goods=goods_in_request(slots),
        kind=word(tracker, domain, kind),
        wanted=refusal["wanted"],
        bought=bought,
        buttons=[
            wish_button(tracker, domain, "human_handoff"),
            button(word(tracker, domain, "all_pieces").format(bought=bought), INTENTS[TicketKind(kind)], **told),
        ],
    )
    return Focus(tracker).on("order", str(refusal["order"])).events()


def say_has_ticket(
    dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain, ticket: Ticket
) -> list[EventType]:
    """Which ticket, where it stands, and what can be done. Another kind needs the ticket to be taken back first."""
    wanted = tracker.get_slot("ticket_kind")
    open_to_change = ticket.status in CANCELLABLE
    response = "order_has_ticket" if open_to_change else "order_ticket_done"
    if open_to_change and wanted and wanted != ticket.kind:
        response = "order_has_other_ticket"
    buttons = [button(word(tracker, domain, "see_progress"), "ticket_status", ticket_id=ticket.id)]
    if open_to_change:
        buttons.append(button(word(tracker, domain, "withdraw_it"), "cancel_ticket", ticket_id=ticket.id))
    dispatcher.utter_message(
        response=f"utter_{response}",
        wish=word(tracker, domain, wanted or "after_sales"),
        buttons=[*buttons, *_ways_out(tracker, domain)],
        **ticket_values(tracker, domain, ticket),
    )
    return Focus(tracker).on("ticket", ticket.id).on("order", ticket.order_id).events()


async def say_refused(dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain, rule: str) -> list[EventType]:
    """The reason of the rules, and the steps that they would allow."""
    slots = tracker.slots
    order = await (await get_mall()).order(tracker.sender_id, slots["order_id"])
    delivered = minute(tracker, order.delivered_at) if order.delivered_at else ""
    dispatcher.utter_message(
        response="utter_ticket_refused",
        goods=goods_in_request(slots),
        kind=word(tracker, domain, slots.get("ticket_kind") or "after_sales"),
        rule=await rule_text(tracker, domain, rule),
        delivered=word(tracker, domain, "was_delivered").format(time=delivered) if delivered else "",
        buttons=[*await _allowed_steps(tracker, domain), *_ways_out(tracker, domain)],
    )
    return Focus(tracker).on("order", slots["order_id"]).events()


async def _allowed_steps(tracker: Tracker, domain: Domain) -> list[Button]:
    """What can be had for these goods instead: the order cancelled, another kind, or this one for a fault."""
    mall, slots = await get_mall(), tracker.slots
    order = await mall.order(tracker.sender_id, slots["order_id"])
    same: dict[str, str] = {"order_id": order.id}
    if open_to(order, Wish.CANCEL):
        return [wish_button(tracker, domain, "cancel_order", **same)]
    if isinstance(line := slots.get("order_line"), str):
        same["order_line"] = line
    kind, reason = slots.get("ticket_kind"), slots.get("reason")

    async def allowed(other_kind: str, other_reason: str) -> bool:
        try:
            decision = await mall.assess(tracker.sender_id, request_of(slots, other_kind, other_reason))
        except MallError:
            return False
        return decision.allowed or bool(decision.missing_facts)

    steps: list[Button] = []
    told = {"reason": reason} if reason else {}
    for other, intent in INTENTS.items():
        if other != kind and await allowed(other, reason or Reason.CHANGED_MIND):
            steps.append(wish_button(tracker, domain, intent, **same, **told))
    if reason not in FAULTS and await allowed(kind or TicketKind.RETURN, Reason.QUALITY):
        name, fault = word(tracker, domain, "has_a_fault"), {"reason": Reason.QUALITY.value}
        steps.append(button(name, "report_problem", **fault, **same, **({"ticket_kind": kind} if kind else {})))
    return steps


def _ways_out(tracker: Tracker, domain: Domain) -> list[Button]:
    """Another order of the same wish, and a person. The order stays at hand: "还是换货" is about it."""
    intent = INTENTS.get(tracker.get_slot("ticket_kind"), INTENTS[TicketKind.RETURN])
    return [
        button(word(tracker, domain, "change_order_id"), intent, change="order_id"),
        wish_button(tracker, domain, "human_handoff"),
    ]
