"""A question about a request: the one that is summed up and not sent yet, or the ticket that was just written.

Who pays the freight and why, how much comes back and when, how the goods go back and where to, which goods: these are
facts of this request. Anything else that is asked at a summary is a rule, or is not known.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from rasa_sdk import Action, Tracker
from rasa_sdk.events import EventType
from rasa_sdk.executor import CollectingDispatcher

from bot import patterns
from bot.actions.answers import pieces_of
from bot.actions.conversation import Conversation
from bot.actions.focus import Focus, like
from bot.actions.handoff import offer_further
from bot.actions.knowledge import ticket_asked_about
from bot.actions.malls import get_mall
from bot.actions.orders import TO_BE_SHIPPED
from bot.actions.questions import answer_question, say_unknown
from bot.actions.request_values import INTENTS, goods_in_request, lines_of, request_of, size_words, values_of
from bot.actions.tickets import CANCELLABLE, collected, goods_come_back, paid_back_on, say_ticket, wish_button
from bot.actions.turn import Turn
from bot.actions.wording import Domain, day, goods, has_response, line_title, word, yuan
from bot.spelling import plain
from mall_adapter.errors import MallError
from mall_adapter.values import FreightPayer, Order, Reason, Ticket, TicketKind, TicketStatus

MOST = 2
"""Facts that one answer tells."""

MOST_CLAUSES = 4
"""Clauses of a message that may be questions by themselves."""

_SIZES = re.compile(r"[a-z]+|[0-9.]+")
_SAID = patterns.load("request", "how_much", "number_of_parcel", "sent_late")


@dataclass(frozen=True, slots=True)
class Asked:
    """What is asked for, sent (``ticket``) or not."""

    order: Order
    line_ids: Sequence[str]
    kind: str
    reason: str
    payer: str
    goods: str
    cents: int
    days: int
    wanted: str = ""
    """The other size or kind of an exchange; of a ticket known while it is the one that was written last."""
    ticket: Ticket | None = None
    without_sending: bool = False
    """Whether the rules would pay it back with nothing to send."""

    @property
    def in_transit(self) -> bool:
        """Whether the parcel is stopped on its way, at somebody's cost."""
        travels = bool(self.order.shipments) and self.order.delivered_at is None
        return travels and self.payer != FreightPayer.NOBODY

    @property
    def over(self) -> bool:
        """Whether nothing is to come of it any more."""
        return self.ticket is not None and self.ticket.status not in (*CANCELLABLE, TicketStatus.GOODS_RECEIVED)

    @property
    def comes_back(self) -> bool:
        return self.payer != FreightPayer.NOBODY and (self.ticket is None or goods_come_back(self.ticket))

    @property
    def fetched(self) -> bool:
        """Whether the shop has all of it collected."""
        shelves = [line.category for line in self.order.lines if not self.line_ids or line.id in self.line_ids]
        return collected(shelves)


async def asked_for(tracker: Tracker, domain: Domain) -> Asked | None:
    """The request that is summed up, else the ticket at hand; none of another task's."""
    mall, slots = await get_mall(), tracker.slots
    try:
        if Conversation.of(tracker).open_flow("after_sales") and (values := values_of(slots)):
            decision = slots["decision"]
            order = await mall.order(tracker.sender_id, values["order_id"])
            told = (values["kind"], values["reason"], decision["freight_payer"], goods_in_request(slots))
            numbers = (decision["refund_cents"], decision["handling_days"], size_words(tracker, domain, values["size"]))
            refund = values["kind"] != TicketKind.REFUND and await _refund_alone(tracker, values["reason"])
            return Asked(order, lines_of(slots), *told, *numbers, without_sending=refund)
        if ticket := await ticket_asked_about(tracker):
            order = await mall.order(tracker.sender_id, ticket.order_id)
            decided, written = ticket.decision, Focus(tracker).written
            told = (ticket.kind, ticket.reason, decided.freight_payer, ticket.summary)
            wanted = str(written.get("wanted") or "") if written.get("id") == ticket.id else ""
            numbers = (ticket.cents, decided.handling_days, wanted)
            return Asked(order, ticket.line_ids, *told, *numbers, ticket)
    except MallError:
        return None
    return None


async def _refund_alone(tracker: Tracker, reason: str) -> bool:
    request = request_of(tracker.slots, TicketKind.REFUND, reason)
    return (await (await get_mall()).assess(tracker.sender_id, request)).allowed


class AboutRequest(Action):
    def name(self) -> str:
        return "action_about_request"

    async def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain) -> list[EventType]:
        turn, focus = Turn.of(tracker), Focus(tracker)
        if await _say_settled(dispatcher, tracker, domain, turn, focus):
            return focus.events()
        asked = await asked_for(tracker, domain)
        of_order = goods(asked.order.lines) if asked and "of_split" in turn.acts else ""
        elsewhere = asked is not None and _names_other_goods(turn, of_order or asked.goods)
        if asked and not elsewhere:
            facts = _Facts(dispatcher, tracker, domain, turn, asked, focus)
            told = [await facts.say(), "of_stock" in turn.acts and await facts.say_stock()]
            if any(told):
                return focus.events()
        if "of_need" in turn.acts and _say_need(dispatcher, tracker, domain):
            return focus.events()
        for asks in (turn, *_clauses(turn)):
            if (await answer_question(dispatcher, tracker, domain, asks, focus, leaning="none")).said:
                return focus.events()
        await say_unknown(dispatcher, tracker, domain, focus, turn)
        return focus.events()


async def _say_settled(
    dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain, turn: Turn, focus: Focus
) -> bool:
    """Of a refund that is done and was told: which account, why nobody said so, where the money is, of which year that
    day is; of an order, its year. False where the message asks for none of these, or of another ticket."""
    settled_id = focus.at_hand("settled")
    wanted = [name for name in ("of_year", "of_account", "of_arrival", "of_notice") if name in turn.acts][:MOST]
    if "of_year" in wanted and focus.at_hand("told") != settled_id:
        settled_id = None  # an order was told since
    unsent = Conversation.of(tracker).open_flow("after_sales")
    if unsent or not wanted or (settled_id and focus.at_hand("ticket") not in (None, settled_id)):
        return False
    mall = await get_mall()
    try:
        if settled_id:
            ticket = await mall.ticket(tracker.sender_id, settled_id)
        else:
            order = await mall.order(tracker.sender_id, str(focus.at_hand("order")))
    except MallError:
        return False
    if not settled_id:
        placed = day(tracker, order.placed_at, of_year=True)
        if "of_year" in wanted:
            dispatcher.utter_message(response="utter_about_year_of_order", goods=goods(order.lines), placed=placed)
        return "of_year" in wanted
    shown = {
        "money": yuan(ticket.cents),
        "goods": ticket.summary,
        "ticket_id": ticket.id,
        "paid_back": paid_back_on(tracker, ticket),
    }
    focus.on("settled", ticket.id).on("ticket", ticket.id)
    for name in wanted:
        dispatcher.utter_message(response=f"utter_settled_{name.removeprefix('of_')}", **shown)
    if wanted != ["of_year"]:
        await offer_further(dispatcher, tracker, domain, focus, ticket.id)
    return True


def _clauses(turn: Turn) -> list[Turn]:
    """ "要拍照吗？粉洒得到处都是": the question may stand beside a story, and is then looked for by itself."""
    pieces = pieces_of(turn.words)
    return [replace(turn, words=piece, question=piece) for piece in pieces] if 2 <= len(pieces) <= MOST_CLAUSES else []


def _names_other_goods(turn: Turn, of_request: str) -> bool:
    """ "那羽绒服呢": not the goods of the request."""
    names = [str(value) for kind in ("product", "brand") for value in turn.entities.get(kind, ())]
    return bool(names) and not like(" ".join(names), [{"title": of_request}])


def _say_need(dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain) -> bool:
    """Whether what is being done has to be done at all."""
    flows = [str(frame["flow"]) for frame in Conversation.of(tracker).stack if frame["status"] == "open"]
    known = [name for flow in flows if has_response(domain, name := f"utter_about_need_{flow}")]
    if known:
        dispatcher.utter_message(response=known[-1])
    return bool(known)


class _Facts:
    """Says what is asked of one request, each fact once."""

    def __init__(
        self,
        dispatcher: CollectingDispatcher,
        tracker: Tracker,
        domain: Domain,
        turn: Turn,
        asked: Asked,
        focus: Focus,
    ) -> None:
        self.dispatcher, self.tracker, self.domain, self.turn, self.asked = dispatcher, tracker, domain, turn, asked
        self.focus = focus

    async def say(self) -> bool:
        """False where the message asks for none of them."""
        acts = self.turn.acts
        if "of_freight" in acts:  # "运费多少" is no question about the refund
            acts = acts - {"of_amount"}
        if acts & {"of_advance", "of_cheaper"}:  # they say who pays
            acts = acts - {"of_freight"}
        tell = {
            "of_freight": self._freight,
            "of_amount": self._amount,
            "of_account": self._account,
            "of_day": self._day,
            "of_pickup": self._pickup,
            "of_place": self._place,
            "of_packing": self._packing,
            "of_advance": self._advance,
            "of_cheaper": self._cheaper,
            "of_split": self._split,
            "of_goods": self._goods,
        }
        wanted = [name for name in tell if name in acts][:MOST]
        if wanted and self.asked.ticket and self.asked.over:
            await self._say_ticket(self.asked.ticket)
            return True
        for name in wanted:
            await tell[name]()
        return bool(wanted)

    def _utter(self, name: str, **values: Any) -> None:
        known: Mapping[str, Any] = {
            "goods": self.asked.goods,
            "kind": word(self.tracker, self.domain, self.asked.kind),
            "reason": word(self.tracker, self.domain, self.asked.reason),
            "money": yuan(self.asked.cents),
            "ticket_id": self.asked.ticket.id if self.asked.ticket else "",
        }
        self.dispatcher.utter_message(response=f"utter_about_{name}", **{**known, **values})

    async def _say_ticket(self, ticket: Ticket) -> None:
        await say_ticket(self.dispatcher, self.tracker, self.domain, ticket, self.focus)

    def _word(self, name: str) -> str:
        return word(self.tracker, self.domain, name)

    async def _freight(self) -> None:
        asked = self.asked
        how_much = self._word("how_much_freight") if _SAID["how_much"].search(plain(self.turn.text)) else ""
        if asked.in_transit:
            promised = max((p.promised_by for p in asked.order.shipments if p.promised_by), default=None)
            ahead = promised is not None and promised > datetime.now(UTC)
            until = self._word("promised_by").format(day=day(self.tracker, promised)) if promised and ahead else ""
            if asked.ticket and promised and not ahead:
                until = self._word("was_in_time")
            self._utter(f"interception_{asked.payer}", promised=until, how_much=how_much)
        elif not asked.comes_back:
            self._utter("nothing_to_send")
        elif asked.payer == FreightPayer.SHOP and asked.fetched:
            self._utter("freight_fetched")
        elif asked.payer == FreightPayer.SHOP and asked.kind == TicketKind.EXCHANGE:
            self._utter("freight_shop_exchange")
        else:
            written = "_written" if asked.ticket and asked.payer == FreightPayer.CUSTOMER else ""
            self._utter(f"freight_{asked.payer}{written}", how_much=how_much)

    async def _amount(self) -> None:
        self._utter("amount" if self.asked.cents else "amount_exchange")

    async def _account(self) -> None:
        self._utter("account" if self.asked.cents else "amount_exchange")

    async def _day(self) -> None:
        asked, ticket = self.asked, self.asked.ticket
        back = self._word("back_with_money").format(money=yuan(asked.cents)) if asked.cents else ""
        back = back or self._word("back_with_goods" if asked.comes_back else "back_at_once")
        if ticket is None:
            self._utter("day_unsent", days=asked.days, money_back=back)
        elif asked.comes_back and not asked.in_transit and _SAID["sent_late"].search(plain(self.turn.text)):
            self._utter("sent_late", due=day(self.tracker, ticket.due_on))
        elif ticket.status is TicketStatus.APPROVED and asked.comes_back and not asked.in_transit:
            self._utter("day_after_goods", due=day(self.tracker, ticket.due_on), money_back=back)
        else:
            await self._say_ticket(ticket)

    async def say_stock(self) -> bool:
        """Whether what is wanted in exchange is there; False where its goods are not one thing that is sold still."""
        asked, turn = self.asked, self.turn
        meant = [line for line in asked.order.lines if not asked.line_ids or line.id in asked.line_ids]
        if len(meant) != 1:
            return False
        try:
            product = await (await get_mall()).product(meant[0].product_id)
        except MallError:
            return False
        sizes = turn.entities.get("size") or self.tracker.get_slot("size") or []
        said = _SIZES.findall(plain(turn.text))  # "那43呢" names one, too
        wanted = {*(str(size).lower() for size in sizes), *said} - {"larger", "smaller"}
        skus = [sku for sku in product.skus if wanted & set(_SIZES.findall(plain(sku.spec)))] or list(product.skus)
        there = "、".join(sku.spec for sku in skus if sku.available > 0)
        named = "、".join(sku.spec for sku in skus)
        self._utter("stock" if there else "stock_none", product=product.name, specs=there or named)
        return True

    async def _packing(self) -> None:
        if self.asked.in_transit or not self.asked.comes_back or self.asked.fetched:
            await self._pickup()
            return
        human = wish_button(self.tracker, self.domain, "human_handoff")
        self._utter("packing", buttons=[human])

    async def _advance(self) -> None:
        asked = self.asked
        if asked.in_transit or not asked.comes_back or (asked.payer == FreightPayer.SHOP and asked.fetched):
            await self._freight()
        else:
            self._utter(f"advance_{asked.payer}")

    async def _cheaper(self) -> None:
        if self.asked.comes_back or self.asked.in_transit:
            self._utter(f"cheaper_{self.asked.payer}")
        else:
            self._utter("nothing_to_send")

    async def _split(self) -> None:
        asked = self.asked
        rest = [line for line in asked.order.lines if asked.line_ids and line.id not in asked.line_ids]
        others = "、".join(line_title(line) for line in rest if line.open_ticket_id is None)
        if not others:
            await self._goods()
        elif asked.in_transit:
            self._utter("parcel_whole", others=others)
        elif asked.order.status in TO_BE_SHIPPED:
            ships_by = day(self.tracker, asked.order.ships_by) or self._word("soon")
            self._utter("rest_sent", others=others, ships_by=ships_by)
        else:
            self._utter("rest_kept", others=others)

    async def _pickup(self) -> None:
        ticket = self.asked.ticket
        if ticket and ticket.status not in CANCELLABLE:
            await self._say_ticket(ticket)
        elif self.asked.in_transit:
            self._utter("in_transit")
        elif not self.asked.comes_back:
            self._utter("nothing_to_send")
        elif self.asked.fetched:
            self._utter("pickup")
        else:
            refund = self.asked.without_sending
            ways = [wish_button(self.tracker, self.domain, INTENTS[TicketKind.REFUND])] if refund else []
            self._utter("pickup_own", without=self._word("without_sending") if refund else "", buttons=ways)

    async def _place(self) -> None:
        ticket = self.asked.ticket
        received = ticket is not None and ticket.status not in CANCELLABLE
        if received or self.asked.in_transit or not self.asked.comes_back or self.asked.fetched:
            await self._pickup()
        else:
            shown = ticket is not None and ticket.status is TicketStatus.APPROVED
            number = _SAID["number_of_parcel"].search(plain(self.turn.text))
            self._utter("number" if number else "place", when=self._word("shown_now" if shown else "shown_later"))

    async def _goods(self) -> None:
        written = "_written" if self.asked.ticket else ""
        if self.asked.kind != TicketKind.EXCHANGE:
            self._utter("goods_other")
        elif self.asked.wanted:
            self._utter(f"goods_wanted{written}", wanted=self.asked.wanted)
        elif self.asked.reason == Reason.WRONG_SIZE:  # which one, only whoever wrote it knows
            self._utter(f"goods_wrong_size{written}")
        else:
            self._utter(f"goods_exchange{written}")
