"""Asking for the invoice of an order: personal or company, and what a company's needs."""

from __future__ import annotations

import re
from typing import Any, ClassVar

from rasa_sdk import Action, Tracker
from rasa_sdk.events import EventType, SlotSet
from rasa_sdk.executor import CollectingDispatcher

from bot import patterns
from bot.actions.conversation import Conversation, ask, confirmed, key, problem
from bot.actions.focus import Focus
from bot.actions.graphs import get_answering
from bot.actions.malls import get_mall
from bot.actions.order_choice import SEARCHED, OrderValidation, other_orders
from bot.actions.summaries import sum_up
from bot.actions.turn import Turn
from bot.actions.validation import Request
from bot.actions.wording import Domain, goods, word, yuan
from bot.patterns import cut
from bot.spelling import plain
from mall_adapter.eligibility import open_to
from mall_adapter.errors import InvalidInvoice, InvalidTransition, InvoiceExists, MallError
from mall_adapter.tax_numbers import is_tax_number
from mall_adapter.values import Invoice, InvoiceKind, InvoiceRequest, InvoiceStatus, Order, OrderStatus, Wish

LONGEST_TITLE = 60
WHEN_READY = "invoice_duration"
"""The answer of the graph that tells in how many days an invoice is ready."""

_PERSONAL, _COMPANY = InvoiceKind.PERSONAL.value, InvoiceKind.COMPANY.value
_SAID = patterns.load(
    "invoice",
    *(_PERSONAL, _COMPANY, "denied_before", "denied_behind", "instead", "title_lead", "filler", "trail"),
    *(
        "general",
        "company_name",
        "company_end",
        "title_end",
        "no_title",
        "person",
        "same",
        "special",
        "changed",
        "number_name",
    ),
)
_NUMBER = re.compile(r"(?<![0-9A-Za-z])[0-9A-Za-z](?:[ -]?[0-9A-Za-z]){5,24}(?![0-9A-Za-z])")
_CHINESE = re.compile(r"[\u4e00-\u9fff]")
_STRANGE = re.compile(r"[^0-9A-HJ-NPQRTUWXY]")
TOLD = "told"
"""In the slot ``invoice_note``: it has been said."""

_UNPRINTED = frozenset({"bank", "contact"})
"""Billing details that are on no ordinary invoice."""

_VALUES = ("order_id", "ticket_id", "tax_number", "email", "phone", "phone_tail", "four_digits")


def kind_in(text: str) -> str | None:
    """The kind of invoice that words ask for; None where they ask for none, or for both."""
    said = plain(text)
    told = _kinds(said)
    if len(set(told)) > 1 and (wanted := [*_SAID["instead"].finditer(said)]):
        told = _kinds(said[wanted[-1].end() :])[:1]
    return told[0] if len(set(told)) == 1 else None


def _kinds(text: str) -> list[str]:
    """Those that are named and not refused, in the order of the words."""
    found = [
        (match.start(), kind)
        for kind in (_PERSONAL, _COMPANY)
        for match in _SAID[kind].finditer(text)
        if not _SAID["denied_before"].search(text[: match.start()])
        and not _SAID["denied_behind"].search(text[match.end() :])
    ]
    return [kind for _, kind in sorted(found)]


def title_in(text: str, asked: bool = False) -> str | None:
    """The company's full name. Where it was asked for, a name that only ends like a company's will do."""
    words = cut(_SAID["title_lead"], text.strip(), most=1)
    if match := _SAID["company_name"].search(plain(words)):
        return _name(words[slice(*match.span())])
    end = _SAID["title_end"].search(plain(words))
    named = cut(_SAID["trail"], words[: end.start()] if end else words).strip()
    if not (asked or words != text.strip()) or _SAID["no_title"].search(plain(named)):
        return None
    return _name(named) if len(named) <= LONGEST_TITLE and _SAID["company_end"].search(plain(named)) else None


def _name(words: str) -> str | None:
    name = cut(_SAID["filler"], _last_piece(words)).strip(" ,.")
    own = cut(_SAID["company_end"], name)  # "公司" alone names none
    return name if len(own.strip()) > 1 else None


def _last_piece(words: str) -> str:
    """What is a name by itself, of several pieces in Chinese: "不对 名字是 明日科技有限公司"."""
    *before, name = words.split() or [""]
    if not _CHINESE.search(name):
        return words.strip()
    while before and _SAID["general"].search(plain(name)):
        name = f"{before.pop()} {name}"
    return name


def tax_number_fault(number: str) -> tuple[str, str] | None:
    """What is wrong with it, as the problem is called, and the detail of it; None when it is well made."""
    if is_tax_number(number):
        return None
    if len(number) not in (15, 18, 20):
        return "tax_number_length", str(len(number))
    if strange := dict.fromkeys(_STRANGE.findall(number)):
        return "tax_number_characters", " ".join(strange)
    return "tax_number_check", number


class InvoiceValidation(OrderValidation):
    flow = "request_invoice"
    order: ClassVar[tuple[str, ...]] = ("phone_tail", "order_id", "invoice_kind", "tax_number")
    depends: ClassVar[dict[str, tuple[str, ...]]] = {"invoice_kind": ("invoice_title", "tax_number")}

    async def accept(self, order: Order, request: Request) -> None:
        if await (await get_mall()).invoice_of(request.sender, order.id):
            request.set(refusal={"name": "exists"})
        elif not open_to(order, Wish.INVOICE):
            unpaid = order.status is OrderStatus.PENDING_PAYMENT
            request.set(refusal={"name": "unpaid" if unpaid else "cancelled"})

    async def validate_order_id(self, value: Any, request: Request) -> None:
        """A bare number in answer to the question for a tax number is a wrong tax number, and no order."""
        turn, asked = request.turn, Conversation.of(request.tracker).top.get("asked")
        if isinstance(value, dict) and turn.first("invoice_detail"):
            return  # a field of the billing details names no order
        typed = "" if turn.tapped or turn.rest else turn.text.upper().replace(" ", "")
        if asked == "tax_number" and typed and isinstance(value, str) and value.upper() not in typed:
            request.set(**problem("tax_number", "tax_number_length", len(value) - len("ORD")))
            return
        await super().validate_order_id(value, request)

    async def validate_invoice_kind(self, value: Any, request: Request) -> None:
        kind = kind_in(_words(request)) if isinstance(value, dict) else value
        if kind in (_PERSONAL, _COMPANY):
            request.set(invoice_kind=kind)
        elif not title_in(_words(request), asked=True) and not _unprinted(request):
            request.set(**problem("invoice_kind", "unusable"))

    async def validate_invoice_title(self, value: Any, request: Request) -> None:
        title = title_in(_words(request) if isinstance(value, dict) else str(value), asked=True)
        if title:
            request.set(invoice_title=title)
        elif kind_in(_words(request)) != _PERSONAL and not _unprinted(request) and not _without_number(request):
            request.set(**problem("invoice_title", "unusable"))

    async def validate_tax_number(self, value: Any, request: Request) -> None:
        written = str(value)
        if isinstance(value, dict) and _unprinted(request):
            return
        if isinstance(value, dict):
            match = _NUMBER.search(_words(request))
            written = match[0] if match else ""
        number = re.sub(r"[^0-9A-Z]", "", written.upper())
        if not any(character.isdigit() for character in number):
            if kind_in(_words(request)) != _PERSONAL and not _without_number(request):
                request.set(**problem("tax_number", "unusable"))
        elif fault := tax_number_fault(number):
            request.clear("tax_number")
            request.set(**problem("tax_number", *fault))
        else:
            request.set(tax_number=number)

    async def complete(self, request: Request) -> None:
        await super().complete(request)
        if not request.turn.tapped:
            self._take_over(_words(request), request)
            await self._as_before(_words(request), request)
        if (number := request.get("tax_number")) and (fault := tax_number_fault(str(number))):
            request.clear("tax_number")  # told with the wish, which nothing has looked at yet
            request.set(**problem("tax_number", *fault), invoice_kind=_COMPANY)
        if request.get("tax_number") or request.get("invoice_title"):
            request.set(invoice_kind=request.get("invoice_kind") or _COMPANY)
        if request.get("invoice_kind") == _COMPANY and not request.get("tax_number") and _without_number(request):
            request.set(**problem("tax_number", "tax_number_none"))

    async def _propose(self, request: Request) -> None:
        """Who wants something of an invoice changed means the only order that has one."""
        await super()._propose(request)
        said = Turn.that_began(request.tracker) or request.turn
        if request.get("order_id") or not _SAID["changed"].search(plain(said.text)):
            return
        mall = await get_mall()
        orders = await mall.orders_of(request.sender, limit=SEARCHED)
        issued = [order.id for order in orders if await mall.invoice_of(request.sender, order.id)]
        if len(issued) == 1:
            request.set(order_id=issued[0], proposal=None)

    async def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain) -> list[EventType]:
        """A tax number that fails its check is said so when it is said, by the next question where that is for it; that
        a special invoice is none of these before an order is asked for."""
        events = await super().run(dispatcher, tracker, domain)
        slots = {**tracker.slots, **{dict(one).get("name"): dict(one).get("value") for one in events}}
        told, asked = slots.get("problem") or {}, Conversation.of(tracker).top.get("asked")
        asks_again = slots.get("proved") and slots.get("invoice_title") and not slots.get("refusal")
        none = told.get("name") == "tax_number_none"  # is said with its buttons, once it is asked for
        if told.get("slot") == "tax_number" and asked and not asks_again and not none:
            dispatcher.utter_message(response=f"utter_{told['name']}", detail=told.get("detail"))
        if slots.get("invoice_note") == "utter_invoice_not_special" and not slots.get("order_id"):
            dispatcher.utter_message(response="utter_invoice_not_special")
            events.append(SlotSet("invoice_note", TOLD))
        return events

    @staticmethod
    async def _as_before(words: str, request: Request) -> None:
        """ "跟刚才一样的抬头": title and tax number of the invoice that was asked for last."""
        written = request.focus.written
        asked = Conversation.of(request.tracker).top.get("asked") in ("invoice_kind", "invoice_title", "tax_number")
        if request.turn.acts & ({"negation"} if asked else {"question", "negation"}):
            return  # "跟刚才一样啊，还要再打一遍？" answers
        if written.get("flow") != "request_invoice" or not _SAID["same"].search(plain(words)):
            return
        if before := await (await get_mall()).invoice_of(request.sender, str(written.get("order"))):
            request.set(invoice_kind=before.kind.value, tax_number=before.tax_number, email=before.email)
            request.set(invoice_title=before.title if before.kind is InvoiceKind.COMPANY else None, problem=None)

    @staticmethod
    def _take_over(words: str, request: Request) -> None:
        """What the message says besides, asked for or not, corrections too."""
        kind, title = kind_in(words), title_in(words)
        special = bool(_SAID["special"].search(plain(words)))
        details = title or request.turn.first("tax_number")
        if special and not details and request.get("invoice_note") == TOLD:  # insisted on: a person's from here on
            request.set(refusal={"name": "only_ordinary"})
        elif special and request.get("invoice_note") is None:
            request.set(invoice_note="utter_invoice_not_special")
        elif request.get("invoice_note") is None and _unprinted(request):
            request.set(invoice_note="utter_invoice_not_printed")
        if title:
            request.set(invoice_kind=_COMPANY, invoice_title=title)
        elif kind and kind != request.get("invoice_kind") and "invoice_kind" not in request.heard:
            request.set(invoice_kind=kind, invoice_title=None)
            if kind == _PERSONAL:
                request.clear("tax_number")
        person = _SAID["person"].search(plain(words)) if request.get("invoice_kind") == _PERSONAL else None
        if person and not kind_in(person["name"]):
            request.set(invoice_title=words[slice(*person.span("name"))])


def _words(request: Request) -> str:
    """Of the request of the message that this flow is about."""
    return Turn.of(request.tracker).without(*_VALUES)


def _without_number(request: Request) -> bool:
    """Whether the customer has no tax number at hand, or asks to do without."""
    asked = Conversation.of(request.tracker).top.get("asked") == "tax_number"
    return "lost" in request.turn.acts and (asked or bool(_SAID["number_name"].search(plain(_words(request)))))


def _unprinted(request: Request) -> bool:
    """Whether the message sends billing details, and none of those that are printed on an ordinary invoice."""
    details = set(request.turn.entities.get("invoice_detail", ()))
    return bool(details) and details <= _UNPRINTED and not request.turn.first("tax_number")


def _note(dispatcher: CollectingDispatcher, tracker: Tracker) -> list[EventType]:
    """What the customer should know before the next question, once: that a special invoice is a person's to issue, that
    bank and address are printed on none here."""
    note = tracker.get_slot("invoice_note")
    if note is None or note == TOLD:
        return []
    dispatcher.utter_message(response=note)
    return [SlotSet("invoice_note", TOLD)]


class AskInvoiceKind(Action):
    def name(self) -> str:
        return "action_ask_invoice_kind"

    async def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain) -> list[EventType]:
        noted = _note(dispatcher, tracker)
        ask(dispatcher, tracker, domain, "invoice_kind")
        return noted


class AskInvoiceTitle(Action):
    def name(self) -> str:
        return "action_ask_invoice_title"

    async def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain) -> list[EventType]:
        noted = _note(dispatcher, tracker)
        ask(dispatcher, tracker, domain, "invoice_title")
        return noted


class AskTaxNumber(Action):
    def name(self) -> str:
        return "action_ask_tax_number"

    async def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain) -> list[EventType]:
        noted = _note(dispatcher, tracker)
        ask(dispatcher, tracker, domain, "tax_number")
        return noted


def _values(tracker: Tracker) -> dict[str, Any]:
    """What would be written. A personal invoice without a title of its own says "个人"."""
    company = tracker.get_slot("invoice_kind") == _COMPANY
    return {
        "order_id": tracker.get_slot("order_id"),
        "invoice_kind": tracker.get_slot("invoice_kind"),
        "invoice_title": tracker.get_slot("invoice_title"),
        "tax_number": tracker.get_slot("tax_number") if company else None,
        "email": tracker.get_slot("email"),
    }


def _told(tracker: Tracker, domain: Domain) -> dict[str, str]:
    """The same for people: in lines, and in short."""
    values = _values(tracker)
    kind = word(tracker, domain, f"invoice_{values['invoice_kind']}")
    lines = [
        f"{word(tracker, domain, f'invoice_line_{name}')}{values[name]}"
        for name in ("invoice_title", "tax_number", "email")
        if values[name]
    ]
    own = [str(values[name]) for name in ("invoice_title", "tax_number") if values[name]]
    return {"invoice": "\n".join([kind, *lines]), "short": " ".join([kind, *own])}


class AskConfirmInvoice(Action):
    def name(self) -> str:
        return "action_ask_confirm_invoice"

    async def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain) -> list[EventType]:
        order = await (await get_mall()).order(tracker.sender_id, tracker.slots["order_id"])
        noted = _note(dispatcher, tracker)
        summed_up = sum_up(
            dispatcher,
            tracker,
            "utter_ask_confirm_invoice",
            _values(tracker),
            order_id=order.id,
            goods=goods(order.lines),
            money=yuan(order.total_cents),
            **_told(tracker, domain),
        )
        return [*noted, *summed_up]


class RefuseInvoice(Action):
    def name(self) -> str:
        return "action_refuse_invoice"

    async def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain) -> list[EventType]:
        refusal: dict[str, str] = tracker.get_slot("refusal") or {}
        return await _refuse(dispatcher, tracker, domain, refusal.get("name") or "exists")


async def _refuse(dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain, name: str) -> list[EventType]:
    if name == "only_ordinary":
        dispatcher.utter_message(response="utter_invoice_only_ordinary")
        return []
    mall, order_id = await get_mall(), tracker.slots["order_id"]
    buttons = await other_orders(tracker, domain, "request_invoice", order_id)
    order = await mall.order(tracker.sender_id, order_id)
    known = await mall.invoice_of(tracker.sender_id, order_id) if name == "exists" else None
    shown = (
        invoice_values(tracker, domain, known) if known else {"order_id": order_id, "money": yuan(order.total_cents)}
    )
    dispatcher.utter_message(response=f"utter_invoice_{name}", buttons=buttons, goods=goods(order.lines), **shown)
    return Focus(tracker).on("order", order_id).on("invoice", order_id if known else None).events()


def invoice_values(tracker: Tracker, domain: Domain, invoice: Invoice) -> dict[str, str]:
    """What may be said of an invoice that was requested."""
    kind = word(tracker, domain, f"invoice_{invoice.kind}")
    return {
        "invoice_id": invoice.id,
        "order_id": invoice.order_id,
        "money": yuan(invoice.amount_cents),
        "status": word(tracker, domain, f"invoice_status_{invoice.status}"),
        "short": " ".join([kind, *([invoice.title] if invoice.title not in kind else [])]),
    }


class RequestInvoice(Action):
    def name(self) -> str:
        return "action_request_invoice"

    async def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain) -> list[EventType]:
        values = _values(tracker)
        if not confirmed(tracker, values):
            return []
        try:
            invoice = await (await get_mall()).request_invoice(
                tracker.sender_id, _request(tracker, domain, values), idempotency_key=key(tracker, values)
            )
        except InvoiceExists:  # asked for elsewhere meanwhile
            return await _refuse(dispatcher, tracker, domain, "exists")
        except InvalidTransition:  # cancelled meanwhile
            return await _refuse(dispatcher, tracker, domain, "cancelled")
        except InvalidInvoice:
            dispatcher.utter_message(response="utter_invoice_invalid", order_id=values["order_id"])
            return []
        except MallError:
            dispatcher.utter_message(response="utter_write_failed")
            return []
        dispatcher.utter_message(response="utter_invoice_requested", **invoice_values(tracker, domain, invoice))
        focus = Focus(tracker).wrote("request_invoice", invoice.id, invoice.order_id)
        return focus.on("order", invoice.order_id).on("invoice", invoice.order_id).events()


class AboutInvoice(Action):
    """When the invoice is ready, and where it comes to: of the one that was asked for, or is being asked for."""

    def name(self) -> str:
        return "action_about_invoice"

    async def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain) -> list[EventType]:
        mall, focus = await get_mall(), Focus(tracker)
        rule = (await get_answering()).answer(WHEN_READY)
        when = rule.text if rule else ""
        if Conversation.of(tracker).open_flow("request_invoice"):
            told = "to" if (email := tracker.get_slot("email")) else "unsent"
            dispatcher.utter_message(response=f"utter_invoice_comes_{told}", when=when, email=email)
            return []
        order_id = str(focus.at_hand("invoice"))
        try:
            invoice = await mall.invoice_of(tracker.sender_id, order_id)
        except MallError:
            invoice = None
        if invoice is None:
            dispatcher.utter_message(response="utter_invoice_comes_unsent", when=when)
            return []
        shown: dict[str, Any] = {**invoice_values(tracker, domain, invoice), "email": invoice.email, "when": when}
        if invoice.status is InvoiceStatus.REQUESTED:
            dispatcher.utter_message(response=f"utter_invoice_comes_{'to' if invoice.email else 'page'}", **shown)
        else:
            dispatcher.utter_message(response="utter_invoice_progress", **shown)
        return focus.on("invoice", order_id).on("order", order_id).events()


def _request(tracker: Tracker, domain: Domain, values: dict[str, Any]) -> InvoiceRequest:
    return InvoiceRequest(
        order_id=values["order_id"],
        kind=InvoiceKind(values["invoice_kind"]),
        title=values["invoice_title"] or word(tracker, domain, "invoice_personal_title"),
        tax_number=values["tax_number"],
        email=values["email"],
    )
