"""Asking for the invoice of an order: personal or company, and what a company's needs."""

from __future__ import annotations

import re

from rasa_sdk import Action, Tracker
from rasa_sdk.events import EventType
from rasa_sdk.executor import CollectingDispatcher

from bot.actions.forms import Slots, finish
from bot.actions.malls import get_mall
from bot.actions.order_choice import OrderForm
from bot.actions.turn import Turn
from bot.actions.wording import Domain, goods, word, yuan
from mall_adapter import (
    InvalidInvoice,
    InvalidTransition,
    Invoice,
    InvoiceExists,
    InvoiceKind,
    InvoiceRequest,
    Order,
    Wish,
    open_to,
)

_TAX_NUMBER = re.compile(r"(?<![0-9A-Za-z])(?:[0-9A-Za-z]{20}|[0-9A-Za-z]{18}|[0-9A-Za-z]{15})(?![0-9A-Za-z])")
_EMAIL = re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+", re.ASCII)
_COMPANY = re.compile(
    r"[\u4e00-\u9fffA-Za-z0-9()（）·&. ]{2,40}?(?:公司|集团|事务所|工作室|商行|经营部|学校|大学|医院|中心|合作社|委员会"
    r"|Ltd\.?|Inc\.?|LLC)"
)
_TITLE_LEAD = re.compile(
    r"^.*?(?:抬头|名称|title)(?:帮我|给我)?(?:写|开|改成|改为|是|为|[:： ])*"
    r"|^(?:帮我|给我|请)?(?:开|写)?(?:个|一张)?(?:公司|企业|单位)?(?:发票)?\s*",
    re.IGNORECASE,
)
_KINDS = {
    InvoiceKind.PERSONAL: re.compile(r"个人|私人|自己的名字|personal|individual", re.IGNORECASE),
    InvoiceKind.COMPANY: re.compile(
        r"公司|企业|单位|专票|增值税|对公|报销|税号|company|business|corporate", re.IGNORECASE
    ),
}
LONGEST_TITLE = 60


class InvoiceForm(OrderForm):
    form = "invoice_form"
    submit = "action_request_invoice"
    starts = {"request_invoice": {}}  # noqa: RUF012
    wish = Wish.INVOICE
    of_order = ("invoice_obstacle",)
    holds = (*OrderForm.holds, *of_order, "invoice_kind", "invoice_title", "tax_number", "email")
    changeable = ("invoice_kind", "invoice_title", "tax_number", "order_id")

    def needs(self, slots: Slots) -> list[str]:
        known = ["order_id", "phone_tail"]
        if slots.get("invoice_obstacle"):
            return known
        company = ["invoice_title", "tax_number"] if slots.get("invoice_kind") == InvoiceKind.COMPANY else []
        return [*known, "invoice_kind", *company, "confirm"]

    def mentions(self, turn: Turn, slots: Slots) -> Slots:
        found = super().mentions(turn, slots)
        words = turn.text
        if email := _EMAIL.search(words):
            found["email"] = email[0]
            words = words.replace(email[0], " ")
        if (number := _TAX_NUMBER.search(words)) and any(c.isdigit() for c in number[0]):
            found["tax_number"] = number[0].upper()
            words = words.replace(number[0], " ")
        company = _COMPANY.search(_TITLE_LEAD.sub("", words, count=1))
        if company and len(company[0].strip()) > len("某某公司") - 1:
            found["invoice_title"] = company[0].strip()
        kind = next((kind.value for kind, pattern in _KINDS.items() if pattern.search(words)), None)
        if "tax_number" in found or "invoice_title" in found:
            kind = InvoiceKind.COMPANY.value
        return found | ({"invoice_kind": kind} if kind else {})

    def answer(self, asked: str, turn: Turn, slots: Slots) -> Slots:
        if asked == "invoice_kind":
            kind = turn.first("invoice_kind")
            return {"invoice_kind": kind} if kind in set(InvoiceKind) else self._only("invoice_kind", turn, slots)
        if asked == "invoice_title":
            found = self._only("invoice_title", turn, slots)
            title = re.sub(r"^(?:抬头|名称)?(?:是|写|叫|[:： ])*", "", turn.text.strip())
            unclear = turn.intent in ("inform", "nlu_fallback", "out_of_scope", "chitchat") or not turn.clear
            if not found and unclear and 2 <= len(title) <= LONGEST_TITLE and not turn.text.startswith("/"):
                return {"invoice_title": title}
            return found
        if asked == "tax_number":
            return self._only("tax_number", turn, slots)
        return super().answer(asked, turn, slots)

    def _only(self, name: str, turn: Turn, slots: Slots) -> Slots:
        return {key: value for key, value in self.mentions(turn, slots).items() if key == name}

    async def accept(self, order: Order, slots: Slots, tracker: Tracker) -> None:
        if await (await get_mall()).invoice_of(tracker.sender_id, order.id):
            slots["invoice_obstacle"] = "exists"
        elif not open_to(order, Wish.INVOICE):
            slots["invoice_obstacle"] = "not_now"

    def reopen(self, changed: str, slots: Slots) -> None:
        super().reopen(changed, slots)
        if changed == "invoice_kind":
            slots.update(invoice_title=None, tax_number=None)


class AskConfirmInvoice(Action):
    def name(self) -> str:
        return "action_ask_invoice_form_confirm"

    async def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain) -> list[EventType]:
        order = await (await get_mall()).order(tracker.sender_id, tracker.slots["order_id"])
        lines = [word(tracker, domain, f"invoice_{tracker.slots['invoice_kind']}")]
        lines += [
            f"{word(tracker, domain, f'change_{name}')} {tracker.slots[name]}"
            for name in ("invoice_title", "tax_number", "email")
            if tracker.get_slot(name)
        ]
        dispatcher.utter_message(
            response="utter_ask_confirm_invoice",
            order_id=order.id,
            goods=goods(order.lines),
            money=yuan(order.total_cents),
            invoice="\n".join(lines),
        )
        return []


class RequestInvoice(Action):
    def name(self) -> str:
        return "action_request_invoice"

    async def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain) -> list[EventType]:
        mall, order_id = await get_mall(), tracker.slots["order_id"]
        known = await mall.invoice_of(tracker.sender_id, order_id)
        if tracker.get_slot("invoice_obstacle") and known:
            self._tell(dispatcher, tracker, domain, "utter_invoice_exists", known)
        elif tracker.get_slot("invoice_obstacle"):
            dispatcher.utter_message(response="utter_invoice_not_now", order_id=order_id)
        else:
            try:
                invoice = await mall.request_invoice(
                    tracker.sender_id, self._request(tracker, domain), idempotency_key=tracker.slots["request_key"]
                )
            except InvoiceExists as error:
                self._tell(dispatcher, tracker, domain, "utter_invoice_exists", error.invoice)
            except InvalidTransition:
                dispatcher.utter_message(response="utter_invoice_not_now", order_id=order_id)
            except InvalidInvoice:
                dispatcher.utter_message(response="utter_invoice_invalid")
            else:
                self._tell(dispatcher, tracker, domain, "utter_invoice_requested", invoice)
        return finish(InvoiceForm(), dispatcher, tracker, domain)

    @staticmethod
    def _request(tracker: Tracker, domain: Domain) -> InvoiceRequest:
        kind = InvoiceKind(tracker.slots["invoice_kind"])
        company = kind is InvoiceKind.COMPANY
        return InvoiceRequest(
            order_id=tracker.slots["order_id"],
            kind=kind,
            title=tracker.slots["invoice_title"] if company else word(tracker, domain, "invoice_personal_title"),
            tax_number=tracker.slots["tax_number"] if company else None,
            email=tracker.get_slot("email"),
        )

    @staticmethod
    def _tell(
        dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain, response: str, invoice: Invoice
    ) -> None:
        dispatcher.utter_message(
            response=response,
            invoice_id=invoice.id,
            order_id=invoice.order_id,
            money=yuan(invoice.amount_cents),
            status=word(tracker, domain, f"invoice_status_{invoice.status}"),
        )
