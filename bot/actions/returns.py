"""Return, exchange and refund: what must be known before a ticket is written, the questions for it, and the ticket.

The words are read in request_words.py; request_values.py has what the slots say, request_summary.py what a yes is said
to, request_refusals.py why there can be none.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from itertools import product
from typing import Any, ClassVar

from rasa_sdk import Action, Tracker
from rasa_sdk.events import EventType
from rasa_sdk.executor import CollectingDispatcher

from bot import patterns
from bot.actions.conversation import Conversation, ask, confirmed, key, problem
from bot.actions.focus import Focus, Listed, like, pointed_at
from bot.actions.knowledge import PERSON_DECIDES
from bot.actions.malls import get_mall
from bot.actions.order_choice import OrderValidation
from bot.actions.orders import TO_BE_SHIPPED, state_of
from bot.actions.request_refusals import say_has_ticket, say_refused
from bot.actions.request_values import (
    ALL_LINES,
    FAULTS,
    UNSENT,
    chosen_lines,
    decision_slot,
    lines_listed,
    lines_of,
    name_of,
    request_of,
    size_beside,
    size_wanted,
    size_words,
    too_many,
    values_of,
    weightiest,
)
from bot.actions.request_words import (
    NUMBERS,
    SAYS_SOMETHING,
    asked_last,
    lines_left_out,
    lines_meant,
    may_tell_reason,
    names_spec,
    own_words,
    reason_instead,
    reason_picked,
    reasons_in,
    told_apart,
    told_before,
    turns_of,
    words_of_reason,
)
from bot.actions.tickets import Button, button, way_back, wish_button
from bot.actions.turn import Turn
from bot.actions.validation import Request
from bot.actions.wording import Domain, day, word
from bot.patterns import cut
from bot.spelling import number, plain
from mall_adapter.errors import InvalidQuantity, MallError, NotAllowed, NotFound, TicketExists
from mall_adapter.values import Decision, Order, OrderLine, OrderStatus, ParcelStatus, Reason, Ticket, TicketKind

NEVER_CAME = ("lost", "late")
"""States of an order that say themselves why it is given up."""

REASONS_UNSENT = (Reason.CHANGED_MIND, Reason.DISLIKE, Reason.WRONG_SIZE, Reason.LATE_DELIVERY)
"""Reasons that are offered while nothing has arrived."""

A_STORY = 8
"""Characters in which somebody has told what is wrong, in words that no list has."""

SURE = 0.7
"""Confidence from which a message tells of something that is wrong with the goods."""

PIECES_OFFERED = 4
"""Buttons for a number of pieces, besides the one for all."""

A_REASON = 4
"""The same for words that are a reason by themselves though a value was recognised in them."""

_SAID = patterns.load("reasons", "sized", "coloured", "intangible", "around_number")


class ValidateAfterSales(OrderValidation):
    flow = "after_sales"
    of_order = (
        "order_line",
        "order_lines",
        "several_lines",
        "opened",
        "quantity",
        "needs_quantity",
        "decision",
        "needs_opened",
    )
    depends: ClassVar[dict[str, tuple[str, ...]]] = {"reason": ("note",)}

    async def accept(self, order: Order, request: Request) -> None:
        lines = lines_listed(order.lines)
        if order.status is OrderStatus.CANCELLED:
            request.set(refusal={"name": "cancelled", "order": order.id})
            return
        taken = {line.id: line.open_ticket_id for line in order.lines if not line.free and line.open_ticket_id}
        named = next((meant for turn in turns_of(request) if (meant := lines_meant(turn, lines))), [])
        if len(taken) == len(lines) or (named and set(named) <= set(taken)):
            ticket = max(ticket for line, ticket in taken.items() if line in (named or taken))
            request.set(refusal={"name": "order_has_ticket", "ticket": ticket, "order": order.id})
            return
        free = [line for line in lines if line["id"] not in taken]
        request.set(order_lines=free, several_lines=len(free) > 1)
        not_sent = order.status in TO_BE_SHIPPED and not order.shipments and request.get("reason") != Reason.WRONG_SIZE
        if not_sent and request.get("ticket_kind") is None:  # who has not got it can only have the money back
            request.set(ticket_kind=TicketKind.REFUND.value)
        in_time = not_sent and order.ships_by is not None and order.ships_by > datetime.now(UTC)
        picked = reason_picked(request.tracker, request.turn)
        if in_time and request.get("reason") == Reason.LATE_DELIVERY and not picked:
            request.clear("reason")  # "还没发货的那个" of what was bought yesterday tells which one, and not why
        if request.get("reason") is None and state_of(order, datetime.now(UTC)) in NEVER_CAME:
            request.set(reason=Reason.LATE_DELIVERY.value)

    # ---- values, one by one

    async def validate_ticket_kind(self, value: Any, request: Request) -> None:
        """A kind, or the size that is wanted in exchange."""
        sized = TicketKind.EXCHANGE.value if value in request.turn.entities.get("size", ()) else None
        request.set(ticket_kind=_known(value, TicketKind) or sized or request.get("ticket_kind"))

    async def validate_reason(self, value: Any, request: Request) -> None:
        if isinstance(value, dict):
            value = Reason.OTHER.value if len(request.turn.rest) >= SAYS_SOMETHING else None
        if reason := _known(value, Reason):
            now, known = reason_picked(request.tracker, request.turn), request.get("reason")
            picked = (reason_picked(request.tracker, turn) for turn in turns_of(request) if turn is not request.turn)
            if known and not now and "correction" not in request.turn.acts and known in picked:
                return  # "插了一次就跳闸" beside an answer is a remark
            spoken = request.turn.entities.get("reason", ())
            told = reasons_in(request.turn, request.get("order_lines") or []) if reason in spoken else [reason, *spoken]
            reason = now or weightiest(told) or reason
            request.set(reason=reason)
            again = TicketKind.EXCHANGE in request.turn.entities.get("ticket_kind", ())  # "黑的不想要了，换白的"
            if reason == Reason.CHANGED_MIND and request.get("ticket_kind") == TicketKind.EXCHANGE and not again:
                request.clear("ticket_kind")  # whoever does not want it any more wants no other one
        else:
            request.set(**problem("reason", "unusable"))

    async def validate_reason_denied(self, value: Any, request: Request) -> None:
        """Nothing is kept of it: see ``_take_back_denied``."""

    async def validate_opened(self, value: Any, request: Request) -> None:
        told = {True: "yes", False: "no"}.get(value, value) if isinstance(value, bool) else value
        request.set(opened=_known(told, ("yes", "no")) or request.get("opened"))

    async def validate_size(self, value: Any, request: Request) -> None:
        request.set(size=[str(size) for size in request.turn.entities.get("size", [value])])

    async def validate_quantity(self, value: Any, request: Request) -> None:
        """The smallest number that is named: "买了 3 件退 1 件" is about one. Asked for, "都是" is all of them."""
        if isinstance(value, dict):
            pieces = sum(int(line["pieces"]) for line in chosen_lines(request.slots))
            said = (
                pieces if "all" in request.turn.acts else number(cut(_SAID["around_number"], plain(request.turn.text)))
            )
            told = [int(said)] if said and said == int(said) else []
        else:
            told = [int(count) for count in request.turn.entities.get("quantity", [value]) if str(count).isdecimal()]
        if told and min(told) > 0:
            request.set(quantity=min(told))
        else:
            request.set(**problem("quantity", "unusable"))

    async def validate_order_line(self, value: Any, request: Request) -> None:
        lines: Listed = request.get("order_lines") or []
        turn, known = request.turn, {line["id"] for line in lines}
        if isinstance(value, str):
            meant = list(known) if value == ALL_LINES else [value]
        else:
            pointed = [line["id"] for line in pointed_at(turn, lines)]
            meant = pointed or lines_meant(turn, lines)
            words = turn.without(*NUMBERS)
            meant = meant or told_apart(words, lines)
            if not meant and len(alike := like(words, lines)) == 1:
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
        if not self._take_back_denied(request):
            self._reason_told_before(request)
        if request.get("size") and request.get("ticket_kind") == TicketKind.EXCHANGE and not request.get("reason"):
            request.set(reason=Reason.WRONG_SIZE.value)  # "换43码"
        request.set(decision=None, needs_opened=False, needs_quantity=False)
        if request.get("proved") and not request.get("refusal"):
            await self._as_before(request)
            self._find_lines(request)
            await self._find_spec(request)
            self._count(request)
            await self._decide(request)
            if request.get("refusal"):
                request.set(needs_quantity=False)

    @staticmethod
    async def _find_spec(request: Request) -> None:
        """The other colour or kind of the same goods that an exchange is wanted for: "11 片换 13 片"."""
        chosen = chosen_lines(request.slots)
        if request.get("ticket_kind") != TicketKind.EXCHANGE or len(chosen) != 1 or size_wanted(request.slots):
            return
        mall = await get_mall()
        order = await mall.order(request.sender, str(request.get("order_id")))
        line = next(line for line in order.lines if line.id == chosen[0]["id"])
        others = [sku.spec for sku in (await mall.product(line.product_id)).skus if sku.spec != line.spec]
        said = [plain(turn.text) for turn in turns_of(request) if not turn.tapped]
        named = [spec for spec in others if any(names_spec(words, spec, line.spec) for words in said)]
        if len(named) == 1:
            request.set(size=[named[0]])

    @staticmethod
    def _count(request: Request) -> None:
        """How many pieces: asked where several were bought of what is faulty or missing, and nobody said all."""
        if most := too_many(request.slots):
            request.clear("quantity")
            request.set(needs_quantity=True, **problem("quantity", "too_many_pieces", str(most)))
            return
        chosen = chosen_lines(request.slots)
        several = len(chosen) == 1 and int(chosen[0]["pieces"]) > 1
        if not several or request.get("quantity") is not None or request.get("reason") not in FAULTS:
            return
        pieces = int(chosen[0]["pieces"])
        if any("all" in turn.acts and "negation" not in turn.acts for turn in turns_of(request)):
            request.set(quantity=pieces)
        elif some := _fewer_told(request, pieces):
            request.set(quantity=some)
        else:
            request.set(needs_quantity=True)

    @staticmethod
    def _tidy(request: Request) -> None:
        """What an intent or a button told at the start has not been looked at yet."""
        for slot, known in (("ticket_kind", TicketKind), ("reason", Reason), ("opened", ("yes", "no"))):
            request.set(**{slot: _known(request.get(slot), known)})

    @staticmethod
    def _take_back_denied(request: Request) -> bool:
        """Whether the reason is said to be none ("不是质量问题", "没坏"): what was told instead is it. Not where it is
        said of other goods of the order."""
        turn, lines = request.turn, request.get("order_lines") or []
        denied = set(turn.entities.get("reason_denied", ())) - set(turn.entities.get("reason", ()))
        elsewhere = turn.names_goods and not set(lines_meant(turn, lines)) & set(lines_of(request.slots))
        if elsewhere or request.get("reason") not in denied:
            return False
        request.clear("note")
        request.set(reason=reason_instead(request, denied))
        return True

    @staticmethod
    def _keep_words(request: Request) -> None:
        """The reason in the customer's own words, beside a recognised one too where they say more."""
        turn, asked = request.turn, asked_last(request, "reason")
        named = [one for one in reasons_in(turn, request.get("order_lines") or []) if _known(one, Reason)]
        if turn.tapped:
            return
        if request.get("reason") in named:
            request.set(reason=reason_picked(request.tracker, turn) or weightiest(named))
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
        lines: Listed = request.get("order_lines") or []
        before = [one for one in told_before(request) if lines and (not one.names_goods or lines_meant(one, lines))]
        said = [one for one in (*turns_of(request), *before) if may_tell_reason(one)]
        told = [reason for one in said for reason in one.entities.get("reason", ())]
        if reason := weightiest(told):
            request.set(reason=reason)
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
        turns: Iterable[Turn] = (request.turn,) if changing else (*turns_of(request), *told_before(request))
        named = next((meant for turn in turns if (meant := lines_meant(turn, lines))), [])
        if not named and asked_last(request, "order_line") and "question" not in request.turn.acts:
            # "油汀 三台里就一台响": the name answers, whatever else is said
            words = request.turn.without(*NUMBERS, "quantity")
            alike = like(words, lines)
            named = told_apart(words, lines) or [line["id"] for line in alike if len(alike) == 1]
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
        except InvalidQuantity as error:  # others of them have got a ticket meanwhile
            request.clear("quantity")
            request.set(needs_quantity=True, **problem("quantity", "too_many_pieces", str(error.most)))
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
        """The refusal that no answer to what is still open could change, in the words of the rule for faults."""
        kinds = [request.get("ticket_kind")] if request.get("ticket_kind") else list(TicketKind)
        reasons = [request.get("reason")] if request.get("reason") else sorted(Reason, key=lambda r: r not in FAULTS)
        mall, first = await get_mall(), None
        for kind, reason in product(kinds, reasons):
            decision = await mall.assess(request.sender, request_of(request.slots, kind, reason))
            if decision.allowed or decision.missing_facts or decision.rule == PERSON_DECIDES:
                return None
            first = first or decision
        return first


def _fewer_told(request: Request, pieces: int) -> int | None:
    """How many of the ``pieces`` the customer's words of this request have named, the last ones first; all of them may
    be what was bought: "两双 坏了"."""
    for turn in turns_of(request):
        told = [int(count) for count in turn.entities.get("quantity", ()) if str(count).isdecimal()]
        if told and 0 < min(told) < pieces:
            return min(told)
    return None


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


class AskQuantity(Action):
    def name(self) -> str:
        return "action_ask_quantity"

    async def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain) -> list[EventType]:
        chosen = chosen_lines(tracker.slots)
        pieces = int(chosen[0]["pieces"]) if chosen else 1
        some = range(1, min(pieces, PIECES_OFFERED + 1))
        buttons = [
            button(word(tracker, domain, "pieces").format(count=count), "inform", quantity=str(count)) for count in some
        ]
        buttons.append(
            button(word(tracker, domain, "all_pieces").format(bought=pieces), "inform", quantity=str(pieces))
        )
        goods = name_of(chosen[0]) if chosen else ""
        shown: dict[str, Any] = {"goods": goods, "pieces": pieces, "buttons": [*buttons, *_person(tracker, domain)]}
        ask(dispatcher, tracker, domain, "quantity", **shown)
        return []


class AskReason(Action):
    def name(self) -> str:
        return "action_ask_reason"

    async def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain) -> list[EventType]:
        reasons: list[Reason] = [reason for reason in Reason if reason is not Reason.OTHER]
        order_id = tracker.get_slot("order_id")
        try:
            order = await (await get_mall()).order(tracker.sender_id, str(order_id))
            came = any(parcel.delivered_at or parcel.status == ParcelStatus.LOST for parcel in order.shipments)
            if order.status in UNSENT and not came:
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


# ---- the write


class CreateReturnTicket(Action):
    def name(self) -> str:
        return "action_create_return_ticket"

    async def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain) -> list[EventType]:
        values = values_of(tracker.slots)
        if values is None or not confirmed(tracker, values):
            return []
        note = " ".join(filter(None, (values["note"], size_beside(tracker, domain, values))))
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
