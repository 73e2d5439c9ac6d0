"""Changing where, or to whom, an order goes before it is shipped."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, ClassVar

from rasa_sdk import Action, Tracker
from rasa_sdk.events import EventType
from rasa_sdk.executor import CollectingDispatcher

from bot import patterns
from bot.actions.conversation import Conversation, ask, confirmed, key, problem, proof_key
from bot.actions.focus import Focus
from bot.actions.malls import get_mall
from bot.actions.order_choice import OrderValidation, asked_of_member, no_order, other_orders
from bot.actions.orders import facts
from bot.actions.summaries import sum_up
from bot.actions.turn import Turn, address_of
from bot.actions.validation import Request
from bot.actions.wording import Domain, goods, word
from bot.patterns import cut
from bot.spelling import plain
from mall_adapter.eligibility import open_to
from mall_adapter.errors import BindingLocked, InvalidDelivery, InvalidTransition, MallError, WrongProof
from mall_adapter.values import DeliveryChange, Order, OrderStatus, Proof, Wish

LEVELS = ("region", "street", "number")
"""What an address must have to be delivered to, from the widest to the narrowest."""

SHORTEST_ADDRESS = 6
SHORTEST_BEGINNING = 4
"""Characters from which half an address is one: "公司" and "家里" are none."""

LOOKED_BACK = 3
"""Messages among which the beginning of an address may stand."""

_SAID = patterns.load(
    "delivery",
    *(
        *LEVELS,
        "lead",
        "label",
        "trail",
        "place",
        "name",
        "called",
        "receives",
        "no_name",
        "surname",
        "bare_name",
        "new_phone",
        "of_place",
        "of_phone",
        "of_person",
        "begins",
        "talk",
    ),
)
_ROOM = re.compile(r"[0-9]{1,5}[A-Za-z]?")
_SEPARATORS = re.compile(r"[,，。;；!！?？~\s]+")
_CHINESE = re.compile(r"[\u4e00-\u9fff]")
_A_NUMBER = re.compile(r"(?<![0-9A-Za-z])[0-9](?:[ -]?[0-9]){2,13}(?![0-9])")
_NO_MOBILE = re.compile(r"(?<![0-9A-Za-z])[0-9](?:[ -]?[0-9]){6,13}(?![0-9])")


@dataclass(frozen=True, slots=True)
class Delivery:
    """What a message says of a delivery."""

    values: dict[str, str] = field(default_factory=dict)  # phone, recipient_name, address: what can be taken
    begun: str = ""  # an address that lacks something
    lacking: tuple[str, ...] = ()  # of LEVELS
    led: bool = False  # words say that an address follows
    new_phone: bool = False  # the phone is the new one, and no proof whose order it is


def read_delivery(turn: Turn) -> Delivery:
    rest = " ".join(turn.without("order_id", "ticket_id", "phone", "phone_tail", "email").split())
    values: dict[str, str] = {}
    if phone := turn.first("phone"):
        values["phone"] = str(phone)
    if name := _name(rest):
        values["recipient_name"] = rest[slice(*name.span("name"))].strip()
        rest = f"{rest[: name.start()]} {rest[name.end() :]}"
    led = _SAID["lead"].search(plain(rest))
    rest = cut(_SAID["trail"], cut(_SAID["lead"], rest, most=1).strip())
    address, outside = _address(cut(_SAID["label"], rest, " "))
    if address and "recipient_name" not in values:
        others = [part for part in outside if _may_be_name(plain(part), beside_phone="phone" in values)]
        if len(others) == 1:
            values["recipient_name"] = others[0]
    lacking = lacks(address)
    if address and not lacking:
        values["address"] = address
    new = "address" in values or bool(_SAID["new_phone"].search(plain(turn.text)))
    return Delivery(
        values, address if lacking else "", lacking if address else (), bool(led), "phone" in values and new
    )


def _name(text: str) -> re.Match[str] | None:
    """The recipient, in the group "name": beside the word for it, before what they are called or what they do."""
    for way in ("name", "called", "receives"):
        for found in _SAID[way].finditer(plain(text)):
            if not _SAID["no_name"].search(found["name"]):
                return found
    return None


def _may_be_name(part: str, beside_phone: bool) -> bool:
    """Whether a part beside an address is a name: without a phone it has to begin like one."""
    if not _SAID["bare_name"].fullmatch(part) or _SAID["no_name"].search(part):
        return False
    return beside_phone or bool(_SAID["surname"].search(part))


def _address(text: str) -> tuple[str, list[str]]:
    """What of ``text`` is an address, from the first place to the last with the numbers between them ("漕溪路 250 号 5
    楼"), and the parts around it. What is said before it, beside it or behind it is none of it."""
    if not _CHINESE.search(text):
        return (text.strip(" ,.;"), []) if _SAID["street"].search(plain(text)) else ("", [])
    parts = [part for part in _SEPARATORS.split(text) if part and not _talks(part)]
    places = [number for number, part in enumerate(parts) if _SAID["place"].search(plain(part))]
    if not places:
        return "", parts
    end = places[-1] + 1
    while end < len(parts) and _ROOM.fullmatch(parts[end]):  # 2 栋 1101
        end += 1
    parts[places[0]] = _from_where_it_begins(parts[places[0]])
    return " ".join(parts[places[0] : end]), parts[: places[0]] + parts[end:]


def _talks(part: str) -> bool:
    """Whether a part is a question or a remark ("那到底哪天发", "电话不变") and neither place nor name."""
    said = plain(part)
    return bool(_SAID["talk"].search(said)) and not (_SAID["street"].search(said) and _SAID["number"].search(said))


def _from_where_it_begins(part: str) -> str:
    """Without the words that run into it: "我说的是浙江省杭州市…"."""
    begins = _SAID["begins"].search(plain(part))
    return part[begins.start() :] if begins and not _SAID["place"].search(plain(part[: begins.start()])) else part


def subject_of(text: str) -> str | None:
    """``phone`` or ``person`` where that alone is what is to be another one; None where the place may be."""
    said = plain(text)
    if _SAID["of_place"].search(said):
        return None
    return next((name for name in ("phone", "person") if _SAID[f"of_{name}"].search(said)), None)


def lacks(address: str) -> tuple[str, ...]:
    missing = tuple(level for level in LEVELS if not _SAID[level].search(plain(address)))
    return missing or (("number",) if len(address) < SHORTEST_ADDRESS else ())


class ChangeAddressValidation(OrderValidation):
    """Whoever sends a parcel elsewhere has to be bound, or to know the whole phone on it: four digits are too few."""

    flow = "change_address"
    order = ("phone_tail", "order_id", "order_phone")
    of_order = ("order_phone",)

    async def validate_order_phone(self, value: Any, request: Request) -> None:
        phones = request.turn.entities.get("phone", ())
        if not isinstance(value, dict) and not phones:  # its last digits
            request.set(**problem("order_phone", "order_phone_short", value))
        elif not isinstance(value, dict):
            only_new = len(phones) == 1 and _SAID["new_phone"].search(plain(request.turn.text))
            request.set(order_phone=None if only_new else str(value))
        elif number := _A_NUMBER.search(request.turn.without("order_id")):
            request.set(**problem("order_phone", "order_phone_short", number[0].strip()))
        elif not read_delivery(request.turn).values:  # an address that is told meanwhile is kept
            request.set(**problem("order_phone", "unusable"))

    async def validate_order_id(self, value: Any, request: Request) -> None:
        """An address that is sent while the order is asked for is no order that cannot be found."""
        await super().validate_order_id(value, request)
        said = read_delivery(request.turn)
        if not request.get("order_id") and ("address" in said.values or said.begun):
            request.clear("problem")

    async def validate_delivery(self, value: Any, request: Request) -> None:
        """In the customer's own words, like everything that the message says of it: see ``complete``."""
        if not (isinstance(value, dict) and "words" in value):
            request.set(delivery=value)

    async def accept(self, order: Order, request: Request) -> None:
        if open_to(order, Wish.CHANGE_DELIVERY):
            return
        arrived = order.status in (OrderStatus.DELIVERED, OrderStatus.COMPLETED)
        cancelled = order.status is OrderStatus.CANCELLED
        request.set(refusal={"name": "cancelled" if cancelled else "delivered" if arrived else "too_late"})

    async def complete(self, request: Request) -> None:
        said = read_delivery(request.turn)
        phone, proved_before = said.values.get("phone"), bool(request.tracker.get_slot("proved"))
        proof = request.get("order_phone") if "order_phone" in request.heard else None
        if said.new_phone and phone and request.get("phone_tail") == phone[-4:] and not _names_tail(request.turn):
            request.clear("phone_tail")  # where the parcel is to go proves nothing
        await super().complete(request)
        if request.get("refusal"):
            return
        if proof and phone == proof:  # "原来的是138…，换成139…"
            others = [str(other) for other in request.turn.entities.get("phone", ()) if str(other) != proof]
            said.values.pop("phone")
            said.values.update({"phone": other} if (other := next(iter(others), None)) else {})
        elif phone and not said.new_phone and not proved_before and not await self._bound(request):
            said.values.pop("phone")
        self._take_over(said, request)

    async def _prove(self, request: Request) -> None:
        """A tail that was told lets the order be seen, and so whether there is anything to change; not more."""
        mall, order_id = await get_mall(), request.slots["order_id"]
        if not (phone := request.get("order_phone")):
            trouble = request.get("problem")
            await super()._prove(request)
            if (request.get("problem") or {}).get("slot") == "phone_tail":
                request.set(problem=trouble)  # the whole phone is asked for in its place
            shown = request.get("proved") and not request.get("refusal")
            if shown and await mall.proved(request.sender, order_id) is not Proof.PHONE:
                request.clear("proved")
            return
        request.clear("phone_tail")
        try:
            proof = proof_key(request.tracker, order_id, phone)
            order = await mall.prove_phone(request.sender, order_id, phone, proof, address_of(request.tracker))
        except WrongProof as error:
            request.clear("order_phone")
            request.set(**problem("order_phone", "wrong_order_phone", error.tries_left))
        except BindingLocked as error:
            request.clear("order_id", "order_phone")
            request.set(**no_order(request.tracker, error, order_id))
        else:
            request.set(order_id=order.id, proved=order.id, order_phone=None)
            request.focus.on("order", order.id)
            await self.accept(order, request)

    @staticmethod
    async def _bound(request: Request) -> bool:
        return await (await get_mall()).customer_of(request.sender) is not None

    @staticmethod
    def _take_over(said: Delivery, request: Request) -> None:
        asked = isinstance(request.heard.get("delivery"), dict)
        if asked and not request.get("delivery"):
            said = _with_what_was_begun(said, request)
        known = str((request.get("delivery") or {}).get("address") or "")
        if asked and known and set(said.lacking) == {"region", "street"}:  # "5号楼前台" belongs behind the rest
            request.set(delivery={**request.get("delivery"), **said.values, "address": f"{known} {said.begun}"})
        elif len(said.begun) >= SHORTEST_BEGINNING and (asked or said.led):
            detail = f"{said.begun}|{','.join(said.lacking)}"
            request.set(**problem("delivery", "delivery_incomplete", detail))
        elif said.values:
            request.set(delivery={**(request.get("delivery") or {}), **said.values})
        elif asked:
            a_number = _NO_MOBILE.search(request.turn.text)
            request.set(**problem("delivery", "delivery_phone" if a_number else "unusable"))


def _names_tail(turn: Turn) -> bool:
    """Whether the message tells a tail beside the whole number."""
    phones = [(one["start"], one["end"]) for one in turn.spans if one["entity"] == "phone"]
    tails = [one for one in turn.spans if one["entity"] == "phone_tail"]
    return any(not any(start <= one["start"] and one["end"] <= end for start, end in phones) for one in tails)


def _with_what_was_begun(said: Delivery, request: Request) -> Delivery:
    """The message together with those before it that gave a part: "杭州市西湖区", then "湖滨路18号"."""
    if "address" in said.values:
        return said
    address, values = said.begun, dict(said.values)
    for turn in islice(Turn.earlier(request.tracker), LOOKED_BACK):
        before = read_delivery(turn)
        if not before.begun or before.begun in address:
            continue
        address = f"{before.begun}{address}"
        kept = {name: value for name, value in before.values.items() if name != "phone" or before.new_phone}
        values = {**kept, **values}
        if not lacks(address):
            return Delivery({**values, "address": address})
    return Delivery(values, address, lacks(address) if address else (), said.led)


class AskOrderPhone(Action):
    def name(self) -> str:
        return "action_ask_order_phone"

    async def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain) -> list[EventType]:
        asking, shown = await asked_of_member(tracker, "utter_ask_order_phone")
        order_id = tracker.get_slot("order_id")
        ask(dispatcher, tracker, domain, "order_phone", asking, order_id=order_id, **shown)
        return Focus(tracker).on("order", order_id).events() if isinstance(order_id, str) else []


class AskDelivery(Action):
    def name(self) -> str:
        return "action_ask_delivery"

    async def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain) -> list[EventType]:
        trouble = tracker.get_slot("problem") or {}
        begun, _, lacking = str(trouble.get("detail") or "").partition("|")
        words = [word(tracker, domain, f"place_{level}") for level in lacking.split(",") if level]
        began = Turn.that_began(tracker)
        subject = subject_of(began.text) if began and Conversation.of(tracker).attempt == 1 else None
        ask(
            dispatcher,
            tracker,
            domain,
            "delivery",
            f"utter_ask_delivery_{subject}" if subject else None,
            begun=begun,
            lacking=word(tracker, domain, "and").join(words),
        )
        return []


def _values(tracker: Tracker) -> dict[str, Any]:
    return {"order_id": tracker.get_slot("order_id"), "delivery": tracker.get_slot("delivery")}


def _lines(tracker: Tracker, domain: Domain) -> list[str]:
    delivery: dict[str, str] = tracker.get_slot("delivery") or {}
    return [f"{word(tracker, domain, f'delivery_{name}')} {value}" for name, value in delivery.items()]


def _short(tracker: Tracker) -> str:
    return " ".join((tracker.get_slot("delivery") or {}).values())


class AskConfirmAddress(Action):
    def name(self) -> str:
        return "action_ask_confirm_address"

    async def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain) -> list[EventType]:
        order = await (await get_mall()).order(tracker.sender_id, tracker.slots["order_id"])
        return sum_up(
            dispatcher,
            tracker,
            "utter_ask_confirm_address",
            _values(tracker),
            order_id=order.id,
            goods=goods(order.lines),
            delivery="\n".join(_lines(tracker, domain)),
            short=_short(tracker),
        )


class RefuseChangeAddress(Action):
    def name(self) -> str:
        return "action_refuse_change_address"

    async def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain) -> list[EventType]:
        refusal: dict[str, str] = tracker.get_slot("refusal") or {}
        return await _refuse(dispatcher, tracker, domain, refusal.get("name") or "too_late")


async def _refuse(dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain, name: str) -> list[EventType]:
    order = await (await get_mall()).order(tracker.sender_id, tracker.slots["order_id"])
    buttons = await other_orders(tracker, domain, "change_address", order.id)
    began = Turn.that_began(tracker)
    if name == "delivered" and began and subject_of(began.text):
        name, buttons = "delivered_contact", []
    dispatcher.utter_message(response=f"utter_address_{name}", buttons=buttons, **facts(tracker, domain, order))
    return Focus(tracker).on("order", order.id).events()


class ChangeAddress(Action):
    refused: ClassVar[dict[str, str]] = {"phone": "utter_delivery_invalid_phone"}

    def name(self) -> str:
        return "action_change_address"

    async def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain) -> list[EventType]:
        values = _values(tracker)
        if not confirmed(tracker, values):
            return []
        order_id = str(values["order_id"])
        try:
            await (await get_mall()).change_delivery(
                tracker.sender_id,
                order_id,
                DeliveryChange(**values["delivery"]),
                idempotency_key=key(tracker, values),
            )
        except InvalidTransition:  # it was shipped meanwhile
            return await _refuse(dispatcher, tracker, domain, "too_late")
        except InvalidDelivery as error:
            response = self.refused.get(error.field, "utter_delivery_invalid")
            dispatcher.utter_message(response=response, order_id=order_id)
            return []
        except MallError:
            dispatcher.utter_message(response="utter_write_failed")
            return []
        dispatcher.utter_message(response="utter_address_changed", order_id=order_id, short=_short(tracker))
        return Focus(tracker).wrote("change_address", None, order_id).on("order", order_id).events()
