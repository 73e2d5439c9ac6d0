"""Which order is meant, and is it the customer's: the part that every flow about an order shares."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from itertools import islice
from typing import Any, ClassVar

from rasa_sdk import Action, Tracker
from rasa_sdk.events import EventType, SlotSet
from rasa_sdk.executor import CollectingDispatcher

from bot import patterns
from bot.actions.conversation import Conversation, ask, problem, proof_key
from bot.actions.flow_files import slots_of
from bot.actions.focus import Focus, Listed, chosen, pointed_at
from bot.actions.malls import get_mall
from bot.actions.order_words import describes_one, meant_by_words, named_side_by_side, not_bought
from bot.actions.turn import Turn, address_of
from bot.actions.validation import Request, Validation
from bot.actions.wording import Domain, day, goods, has_response, minute, title, word
from bot.spelling import plain
from mall_adapter.eligibility import open_to
from mall_adapter.errors import BindingLocked, MallError, OrderLocked, OwnershipRequired, WrongPhoneTail, WrongProof
from mall_adapter.values import Order, OrderStatus, Proof, Reason, Wish
from settings import SHANGHAI

CHOICES = 4
"""Orders that are offered as buttons."""

SEARCHED = 20
"""Newest orders among which the one is looked for that is meant without a number."""

CANCELLED_LATELY = timedelta(days=30)
"""Age of an order up to which its cancelling is meant by "取消的那单" alone; the money of an older one is back."""

OTHERS = 2
"""Other orders that are offered as buttons where the one that was meant is refused."""

OF_AN_ORDER = frozenset({"delivery", "refund", "return_exchange", "order_change", "invoice", "complaint"})
"""Topics of what is asked about goods that were bought."""

OF_PARCELS = frozenset({"order_status", "track_parcel", "urge_shipment", "worry_delivery", "complain"})
"""Flows about what is on its way."""

AFTER_DELIVERY = frozenset({"request_return", "request_exchange", "report_problem"})
"""Intents that only mean goods that have come."""

TOLD_FIRST = ("invoice_title", "tax_number", "delivery", "reason")
"""Slots whose values customers like to send together with the wish."""

NAMED_LATELY = 3
"""Messages in which the goods may have been named before the wish."""

SHOPPING = frozenset({"recommend_product", "compare_products", "ask_product", "ask_price", "ask_stock"})
"""Intents of messages that name goods which are for sale."""

LOCKS = frozenset({"order_locked", "order_phone_locked"})
"""Problems that end by themselves, and that a person can help with meanwhile."""

A_REMARK = 3
"""Characters in which something may be told beside which order it is: "没洗过"."""

OTHERS_TOO = "other_orders"
"""The slot of the orders that the wish is for as well."""

DECLINED = "none"
"""In the slot ``proposal``: the customer meant another order."""

_SAID = patterns.load("orders", "of_others", "waited", "cancelled", "sharp", "mine")

WISHES: dict[str, Wish] = {
    "after_sales": Wish.RETURN,
    "cancel_order": Wish.CANCEL,
    "change_address": Wish.CHANGE_DELIVERY,
    "request_invoice": Wish.INVOICE,
}
"""What each flow wants done to an order: only orders that are open to it are proposed."""


def as_choices(orders: Sequence[Order], tracker: Tracker, domain: Domain) -> Listed:
    """What a person recognises an order by: goods, day, state."""
    return [{"kind": "order", "id": order.id, "title": order_title(order, tracker, domain)} for order in orders]


def order_buttons(orders: Sequence[Order], payload: str) -> list[dict[str, str]]:
    """A short button for each order of a list that is told in full beside it: its place and what it is. ``payload`` is
    the intent that is sent with the number."""
    kinds = [order.lines[0].category for order in orders]
    short = [
        kind if kinds.count(kind) == 1 else order.lines[0].product_name
        for kind, order in zip(kinds, orders, strict=True)
    ]
    return [
        {
            "title": f"{place}. {name}",
            "payload": f"/{payload}{json.dumps({'order_id': order.id})}",
        }
        for place, (name, order) in enumerate(zip(short, orders, strict=True), 1)
    ]


def order_title(order: Order, tracker: Tracker, domain: Domain) -> str:
    stands = {"day": day(tracker, order.placed_at), "status": word(tracker, domain, f"status_{order.status}")}
    return word(tracker, domain, "order_title").format(goods=goods(order.lines), **stands)


class OrderValidation(Validation):
    """A flow about one order of the sender: finds it, proposes it, has its owner proved."""

    order: ClassVar[tuple[str, ...]] = ("phone_tail", "order_id")
    of_order: ClassVar[tuple[str, ...]] = ()
    """Slots that fall when another order is chosen."""

    async def accept(self, order: Order, request: Request) -> None:
        """Takes over what follows from an order that is known to be the sender's; may refuse it (slot ``refusal``)."""

    async def complete(self, request: Request) -> None:
        if not request.get("order_id") and not request.get("proposal") and not request.get("problem"):
            await self._propose(request)
        if (proved := request.get("proved")) and not await self._still(proved, request):
            request.clear("proved", "refusal", *self.of_order)
        if request.get("order_id") and not request.get("proved") and not request.get("refusal"):
            await self._prove(request)

    @staticmethod
    async def _still(proved: str, request: Request) -> bool:
        """Not where the flow was left, and taken up again with another order; nor where the order has another phone
        by now, which ends what the old one proved."""
        return proved == request.get("order_id") and await (await get_mall()).proved(request.sender, proved) is not None

    def reopen(self, slot: str, request: Request) -> None:
        super().reopen(slot, request)
        if slot == "order_id":
            request.clear("phone_tail", "proved", "refusal", *self.of_order)
            request.set(proposal=DECLINED)

    async def validate_order_id(self, value: Any, request: Request) -> None:
        order_id = await self._meant(value, request)
        if order_id is None:
            orders = await (await get_mall()).orders_of(request.sender, limit=SEARCHED)
            if await self._take_several(request.turn, orders, request):
                return
            if strange := not_bought(request.turn, orders):
                request.set(**problem("order_id", "order_not_among", strange))
            elif not meant_by_words(request.turn, orders):  # of several the list is shown again, without the others
                remark = len(request.turn.rest) >= A_REMARK and not any(map(str.isdecimal, request.turn.text))
                request.set(**problem("order_id", "order_unnamed" if orders and remark else "unusable"))
            return
        if order_id != request.get("order_id"):
            told = request.heard.get("phone_tail")
            tail = told or (None if request.get("order_id") else request.get("phone_tail"))  # said before the number
            request.clear("proved", "proposal", "refusal", "problem", *self.of_order)
            request.set(order_id=order_id, phone_tail=tail if isinstance(tail, str) else None)
        elif request.get("refusal"):
            request.clear("refusal", "proved")

    async def validate_phone_tail(self, value: Any, request: Request) -> None:
        request.set(phone_tail=str(value))

    async def validate_proposal(self, value: Any, request: Request) -> None:
        request.set(proposal=value)

    @staticmethod
    async def _meant(value: Any, request: Request) -> str | None:
        if isinstance(value, str):
            return value.strip().upper()
        if value is True:
            proposal: str | None = request.get("proposal")
            return proposal
        shown = request.focus.listed("order")
        if pointed := pointed_at(request.turn, shown):
            return pointed[0]["id"]
        orders = await (await get_mall()).orders_of(request.sender, limit=SEARCHED)
        named = meant_by_words(request.turn, orders)
        if len(named) == 1:
            return named[0].id
        among = [order for order in named if order.id in {thing["id"] for thing in shown}]
        if len(among) == 1:
            return among[0].id
        if named or not request.turn.first("mention"):
            return None
        alone = shown[0]["id"] if len(shown) == 1 else None  # "就是这个" below the only one
        return alone or request.focus.at_hand("order")

    async def _take_several(self, turn: Turn, orders: Sequence[Order], request: Request) -> bool:
        """Whether several orders are named: the first is worked on, the others wait for their turn."""
        several = named_side_by_side(turn, orders) if OTHERS_TOO in slots_of(self.flow) else []
        if several:
            request.clear("proposal", "problem", "quantity")  # "退两个" counts the orders
            request.set(order_id=several[0].id, **{OTHERS_TOO: [order.id for order in several[1:]]})
        return bool(several)

    async def _propose(self, request: Request) -> None:
        """The order that is talked of; else the only one that fits the words, or is open to the wish."""
        mall = await get_mall()
        orders = await mall.orders_of(request.sender, limit=SEARCHED)
        wish = WISHES.get(self.flow)
        fitting = likely(
            [order for order in orders if wish is None or open_to(order, wish)], request.intent, request.focus
        )
        began = Turn.that_began(request.tracker)
        named = meant_by_words(began, orders) if began else []
        if not named and request.turn.intent != "inform":
            named = meant_by_words(request.turn, orders)
        strange = not named and not_bought(began or request.turn, orders)
        if pointed := pointed_at(request.turn, request.focus.listed("order")):
            request.set(order_id=pointed[0]["id"])
        elif len(named) > 1 and await self._take_several(began or request.turn, named, request):
            return
        elif len(named) == 1:
            request.set(order_id=named[0].id)
        elif strange:
            return  # no other order is taken for it
        elif (bought := self._bought(orders, request.focus)) and (not named or bought in named):
            request.set(order_id=bought.id)
        elif (at_hand := request.focus.at_hand("order")) and (not named or at_hand in {one.id for one in named}):
            request.set(order_id=at_hand)
        elif lately := self._named_lately(request, named or orders):
            request.set(order_id=lately.id)
        elif len(alone := [order for order in fitting if not named or order in named]) == 1:
            request.set(proposal=alone[0].id)

    @staticmethod
    def _named_lately(request: Request, orders: Sequence[Order]) -> Order | None:
        """The one whose goods were named a few messages before: "那个课骗人", "课程有问题 退款"."""
        turn, written = Conversation.of(request.tracker).turn, int(request.focus.written.get("turn") or 0)
        for earlier in islice(Turn.earlier(request.tracker), max(0, min(NAMED_LATELY, turn - 1 - written))):
            named = meant_by_words(earlier, orders) if not earlier.tapped and earlier.intent not in SHOPPING else []
            if len(named) == 1:
                return named[0]
        return None

    @staticmethod
    def _bought(orders: Sequence[Order], focus: Focus) -> Order | None:
        """The only order of the goods that were talked of after any order, and any list of them."""
        later = focus.later("product", "order") and not (focus.listed("order") and focus.later("listed", "product"))
        product = focus.at_hand("product") if later else None
        held = [order for order in orders if any(line.product_id == product for line in order.lines)]
        return held[0] if len(held) == 1 else None

    async def _prove(self, request: Request) -> None:
        order_id = request.slots["order_id"]
        tail = request.get("phone_tail") or request.focus.at_hand("tail")  # told before anything was asked
        try:
            order = await shown_order(request.tracker, request.turn, order_id, tail)
        except OwnershipRequired:
            return
        except WrongPhoneTail as error:
            request.clear("phone_tail")
            request.focus.on("tail", None)
            request.set(**problem("phone_tail", "wrong_phone_tail", error.tries_left))
        except (OrderLocked, SomebodyElses) as error:
            request.clear("order_id", "phone_tail")
            request.set(**no_order(request.tracker, error, order_id))
        else:
            request.set(order_id=order.id, proved=order.id, phone_tail=None)
            request.focus.on("order", order.id)
            await self.accept(order, request)


async def orders_to_choose(tracker: Tracker, flow: str) -> Sequence[Order]:
    """The sender's newest orders that are open to what the flow wants; all of them when none is."""
    wish = WISHES.get(flow)
    orders = await (await get_mall()).orders_of(tracker.sender_id, limit=SEARCHED)
    named = meant_by_words(Turn.of(tracker), orders)
    fitting = [order for order in orders if wish is None or open_to(order, wish)]
    intent = str(Conversation.of(tracker).top.get("intent"))
    chosen = likely(fitting, intent, Focus(tracker))
    return (([order for order in named if order in fitting] if len(named) > 1 else []) or chosen or orders)[:CHOICES]


def likely(orders: Sequence[Order], intent: str, focus: Focus) -> Sequence[Order]:
    """Of those that are open to a wish: the ones that were listed a moment ago; else, where the goods must have come
    before one can wish it, the ones that came. All of them where none is of either kind."""
    listed = {thing["id"] for thing in focus.listed("order", lately=True)}
    shown = [order for order in orders if order.id in listed]
    came = [order for order in orders if order.delivered_at] if intent in AFTER_DELIVERY else []
    return shown or came or orders


async def other_orders(tracker: Tracker, domain: Domain, intent: str, but: str) -> list[dict[str, str]]:
    """Buttons for the sender's newest orders that are open to what ``intent`` wants, when ``but`` is not."""
    wish = WISHES.get(intent)
    orders = await (await get_mall()).orders_of(tracker.sender_id, limit=SEARCHED)
    fitting = [order for order in orders if order.id != but and (wish is None or open_to(order, wish))]
    return [
        {"title": order_title(order, tracker, domain), "payload": f"/{intent}{json.dumps({'order_id': order.id})}"}
        for order in fitting[:OTHERS]
    ]


class AskOrderId(Action):
    """Proposes the order that is meant, lists those that it may be, or tells how else it can be found."""

    def name(self) -> str:
        return "action_ask_order_id"

    async def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain) -> list[EventType]:
        mall, frame = await get_mall(), Conversation.of(tracker).top
        wish = title(tracker, domain, _wish_named(frame, domain))
        trouble: dict[str, str] = tracker.get_slot("problem") or {}
        proposal = tracker.get_slot("proposal")
        orders = await orders_to_choose(tracker, str(frame.get("flow")))
        only = orders[0].id if len(orders) == 1 and not trouble and proposal is None else None
        if (proposal and proposal != DECLINED) or only:
            order = await mall.order(tracker.sender_id, str(only or proposal))
            name = order_title(order, tracker, domain)
            shown = {"wish": wish, "order_id": order.id, "goods": name, "orders": f"1. {name}"}
            ask(dispatcher, tracker, domain, "order_id", "utter_ask_order_id_propose", **shown)
            proposed = [SlotSet("proposal", only)] if only else []
            return [*proposed, *Focus(tracker).on_list(as_choices([order], tracker, domain)).events()]
        if proposal == DECLINED and len(orders) == 1:  # the only one that is open to it is not meant
            everything = await mall.orders_of(tracker.sender_id, limit=SEARCHED)
            orders = [order for order in everything if order.id != orders[0].id][:CHOICES]
        choices = as_choices(orders, tracker, domain)
        buttons = order_buttons(orders, "inform")
        bound = bool(orders) or await mall.customer_of(tracker.sender_id) is not None
        refused_order, _, until = str(trouble.get("detail") or "").partition("|")
        values: dict[str, Any] = {
            "wish": wish,
            "orders": "\n".join(f"{place}. {choice['title']}" for place, choice in enumerate(choices, 1)),
            "order_id": refused_order,
            "until": until,
        }
        if not bound:
            buttons = [{"title": title(tracker, domain, "bind_account"), "payload": "/bind_account"}]
        if trouble.get("name") in LOCKS:  # how its owner gets on
            buttons.append({"title": title(tracker, domain, "human_handoff"), "payload": "/human_handoff"})
        asking = "utter_ask_order_id_none" if bound else "utter_ask_order_id"
        focus, began = Focus(tracker), Turn.that_began(tracker)
        everything = await mall.orders_of(tracker.sender_id, limit=SEARCHED) if began and not trouble else []
        if began and (strange := not_bought(began, everything)) and _first(tracker):
            asking, values["name"] = "utter_ask_order_id_not_bought", strange
        elif choices and not trouble and focus.shows(orders):
            asking = "utter_ask_order_id_which"
        elif trouble.get("name") == "lost" and choices:
            asking = "utter_order_lost_bound"
        elif choices:
            asking = "utter_ask_order_id_choose"
        elif proposal == DECLINED:
            asking = "utter_ask_order_id_other"
        elif trouble.get("name") == "lost" and not bound:
            asking = "utter_order_id_lost"
        elif "order_phone" in slots_of(str(frame.get("flow"))) and not (bound or trouble) and _first(tracker):
            asking = "utter_ask_order_id_phone"
        elif began and not bound and not trouble and _waited(frame, began) and _first(tracker):
            asking = "utter_ask_order_id_waited"
        _note_told(dispatcher, tracker, domain, frame)
        ask(dispatcher, tracker, domain, "order_id", asking, buttons=buttons, **values)
        return focus.on_list(choices).events()


def _first(tracker: Tracker) -> bool:
    return Conversation.of(tracker).attempt == 1


def _waited(frame: Mapping[str, Any], began: Turn) -> bool:
    """Whether a story began it, of goods that have not come."""
    return frame.get("flow") in OF_PARCELS and bool(_SAID["waited"].search(plain(began.text)))


def _note_told(dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain, frame: Mapping[str, Any]) -> None:
    """What the message that began the request has told already is said to be kept, before the order is asked for."""
    told = [slot for slot in TOLD_FIRST if slot in slots_of(str(frame.get("flow"))) and tracker.get_slot(slot)]
    if frame.get("began") != Conversation.of(tracker).turn:
        return
    if "reason" in told and has_response(domain, f"utter_told_first_{(gone_wrong := tracker.get_slot('reason'))}"):
        began = Turn.that_began(tracker)  # it has gone wrong: a word of its own
        cuts = gone_wrong == Reason.DAMAGED and began is not None and _SAID["sharp"].search(plain(began.text))
        dispatcher.utter_message(response=f"utter_told_first_{'sharp' if cuts else gone_wrong}")
        told.remove("reason")
    if told:
        names = word(tracker, domain, "and").join(word(tracker, domain, f"slot_{slot}") for slot in told)
        dispatcher.utter_message(response="utter_told_first", slots=names)


def _wish_named(frame: Mapping[str, Any], domain: Domain) -> str:
    """The intent that has a title: the one that began the flow, unless that was a stop or a yes to an offer."""
    names = [str(frame.get("intent")), str(frame.get("flow")), "request_return"]
    return next(name for name in names if has_response(domain, f"utter_title_{name}"))


class AskPhoneTail(Action):
    def name(self) -> str:
        return "action_ask_phone_tail"

    async def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain) -> list[EventType]:
        asking, shown = await asked_of_member(tracker, "utter_ask_phone_tail")
        order_id = tracker.get_slot("order_id")  # it is what is talked of, whosever it is
        ask(dispatcher, tracker, domain, "phone_tail", asking, order_id=order_id, **shown)
        return Focus(tracker).on("order", order_id).events() if isinstance(order_id, str) else []


async def asked_of_member(tracker: Tracker, asking: str) -> tuple[str | None, dict[str, Any]]:
    """How a proof is asked for of somebody who is bound, and whose the number is not: it may be a slip of the pen, so
    their own orders are offered beside the question. None for anybody else, or where it is asked again."""
    if tracker.get_slot("problem") or Conversation.of(tracker).attempt > 1:
        return None, {}
    if await (await get_mall()).customer_of(tracker.sender_id) is None:
        return None, {}
    orders = await orders_to_choose(tracker, str(Conversation.of(tracker).top.get("flow")))
    return f"{asking}_bound", {"buttons": order_buttons(orders[:OTHERS], "inform")}


def order_meant(tracker: Tracker, turn: Turn) -> str | None:
    """Of a question: the order it names or points at, one that was told for it, else the one that is talked of."""
    focus = Focus(tracker)
    told = tracker.get_slot("order_id")
    if named := turn.first("order_id"):
        return str(named)
    if isinstance(told, str):
        return told
    if pointed := pointed_at(turn, focus.listed("order")):
        return pointed[0]["id"]
    return focus.at_hand("order")


async def order_by_words(tracker: Tracker, turn: Turn) -> Order | None:
    """The one order of the sender that the words describe ("我的加湿器到哪了")."""
    orders = await (await get_mall()).orders_of(tracker.sender_id, limit=SEARCHED)
    named = meant_by_words(turn, orders)
    return named[0] if len(named) == 1 else None


async def cancelled_order_meant(tracker: Tracker, turn: Turn) -> Order | None:
    """The sender's order that "取消的那单" means: the one that the words describe, else the newest that was cancelled
    and placed lately."""
    if turn.tapped or not _SAID["cancelled"].search(plain(turn.text)):
        return None
    orders = await (await get_mall()).orders_of(tracker.sender_id, limit=SEARCHED)
    cancelled = [order for order in orders if order.status is OrderStatus.CANCELLED]
    since = datetime.now(SHANGHAI) - CANCELLED_LATELY
    lately = [order for order in cancelled if order.placed_at > since]
    return next(iter(meant_by_words(turn, cancelled) or lately), None)


def names_listed(tracker: Tracker, turn: Turn) -> bool:
    """Whether goods are named and nothing else is said, while a list of orders may still be on the screen."""
    return not turn.rest and bool(Focus(tracker).listed("order", lately=True))


def _mine(turn: Turn) -> bool:
    """ "我那个净化器"."""
    return bool(_SAID["mine"].search(plain(turn.text)))


def _names_what_was_spoken_of(tracker: Tracker, turn: Turn) -> bool:
    """Whether goods are named and nothing else is said, right after something of an order was: "没收到那个怎么弄" —
    "加湿器"."""
    before = next(Turn.earlier(tracker), None)
    if turn.rest or before is None or before.intent in SHOPPING:
        return False
    return before.topic in OF_AN_ORDER or describes_one(before)


async def own_order_meant(tracker: Tracker, turn: Turn) -> Order | None:
    """The sender's order that goods are named of, where it is what came of them that is told ("跑鞋大了", "月饼那个"),
    not what the shop has of the kind; one of those that were listed, named and no more ("坚果呢"); what is called
    theirs ("我那空气炸锅"), or is named alone right after something was asked of an order."""
    before = next(Turn.earlier(tracker), None)
    of_theirs = (
        turn.first("reason")
        or turn.first("mention")
        or turn.topic in OF_AN_ORDER
        or names_listed(tracker, turn)
        or _mine(turn)
        or (before is not None and _mine(before))
        or _names_what_was_spoken_of(tracker, turn)
    )
    named = turn.names_goods or turn.first("goods_kind")
    return await order_by_words(tracker, turn) if of_theirs and named else None


def missing(tracker: Tracker, error: Exception | None, order_id: str | None) -> list[EventType]:
    """For an action that cannot answer yet: what it lacks, and why what was told does not do."""
    if isinstance(error, OwnershipRequired):
        return [SlotSet("missing", "phone_tail"), SlotSet("order_id", order_id)]
    if isinstance(error, WrongPhoneTail):
        wrong = problem("phone_tail", "wrong_phone_tail", error.tries_left)["problem"]
        asked = [SlotSet("missing", "phone_tail"), SlotSet("order_id", order_id)]
        return [*asked, SlotSet("phone_tail", None), SlotSet("problem", wrong)]
    told = Turn.of(tracker).first("phone_tail") if error is None else None  # before the number: kept for it
    events: list[EventType] = [SlotSet("missing", "order_id"), SlotSet("order_id", None), SlotSet("phone_tail", told)]
    if isinstance(error, (OrderLocked, SomebodyElses)):
        events.append(SlotSet("problem", no_order(tracker, error, str(order_id))["problem"]))
    return events


# --- whose it is -----------------------------------------------------------------------------------------------------


class SomebodyElses(MallError):
    """The message says that the order is another person's: it is shown to that person."""


NOT_SHOWN = (OwnershipRequired, WrongPhoneTail, OrderLocked, SomebodyElses)
"""What :func:`shown_order` raises, and :func:`missing` asks about."""


async def shown_order(tracker: Tracker, turn: Turn, order_id: str, tail: object = None) -> Order:
    """The order, if it is the sender's to see; the ``tail`` that was told proves it, or the whole phone in the message,
    which proves more. Raises OwnershipRequired, WrongPhoneTail, OrderLocked or SomebodyElses, whether there is such an
    order or not."""
    mall, sender = await get_mall(), tracker.sender_id
    whole = Turn.whole(tracker)
    if (
        not whole.tapped
        and _SAID["of_others"].search(plain(whole.text))
        and await mall.proved(sender, order_id) is not Proof.PHONE
    ):
        raise SomebodyElses
    phone = str(turn.first("phone") or "")
    told_whole = bool(phone and tail) and phone.endswith(str(tail))
    try:
        return await mall.order(sender, order_id)
    except OwnershipRequired:
        if not tail:
            raise
    except OrderLocked:
        if not told_whole:
            raise
    if told_whole:
        try:
            key = proof_key(tracker, order_id, phone)
            return await mall.prove_phone(sender, order_id, phone, key, address_of(tracker))
        except WrongProof as error:
            raise WrongPhoneTail(error.tries_left) from error
        except BindingLocked:  # its tail may still do
            pass
    key = proof_key(tracker, order_id, str(tail))
    return await mall.prove_ownership(sender, order_id, str(tail), key, address_of(tracker))


def not_shown(dispatcher: CollectingDispatcher, tracker: Tracker, error: Exception, order_id: str) -> list[EventType]:
    """Of an action that wanted to tell of an order: what it lacks, or that it is another's, which asks for nothing."""
    if isinstance(error, SomebodyElses):
        dispatcher.utter_message(response="utter_order_of_another", detail=order_id)
        return []
    return missing(tracker, error, order_id)


def tail_told(tracker: Tracker, turn: Turn) -> object:
    """A tail that stands in the message, or was told for this question."""
    return turn.first("phone_tail") or tracker.get_slot("phone_tail")


def no_order(tracker: Tracker, error: OrderLocked | BindingLocked | SomebodyElses, order_id: str) -> dict[str, Any]:
    """Why another order has to be named."""
    if isinstance(error, SomebodyElses):
        return problem("order_id", "order_of_another", order_id)
    name = "order_locked" if isinstance(error, OrderLocked) else "order_phone_locked"
    return problem("order_id", name, f"{order_id}|{minute(tracker, error.until)}")


__all__ = [
    "NOT_SHOWN",
    "AskOrderId",
    "AskPhoneTail",
    "OrderValidation",
    "SomebodyElses",
    "as_choices",
    "chosen",
    "missing",
    "not_shown",
    "order_buttons",
    "order_by_words",
    "order_meant",
    "order_title",
    "other_orders",
    "own_order_meant",
    "shown_order",
    "tail_told",
]
