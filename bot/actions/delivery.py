"""Changing where, or to whom, an order goes before it is shipped."""

from __future__ import annotations

import re

from rasa_sdk import Action, Tracker
from rasa_sdk.events import EventType
from rasa_sdk.executor import CollectingDispatcher

from bot.actions.forms import Slots, finish
from bot.actions.malls import get_mall
from bot.actions.order_choice import OrderForm
from bot.actions.turn import MOBILE, Turn
from bot.actions.wording import Domain, goods, word
from mall_adapter import DeliveryChange, InvalidDelivery, InvalidTransition, Order, OrderStatus, Wish, open_to

_PLACE = re.compile(
    r"[省市区县镇乡村路街道巷弄号栋幢楼室苑园庄寨屯湾里座层]|road|street|rd\b|st\b|room|building|apt", re.IGNORECASE
)
_NAME = re.compile(
    r"(?:收[件货]人|姓名|名字|联系人|name)(?:改成|改为|换成|是|叫|为|写|[:： ])*\s*"
    r"(?P<name>[\u4e00-\u9fff·]{2,8}?(?=[,，。;；\s\d电手地]|$)|[A-Za-z][A-Za-z .]{1,30})"
)
_LEAD = re.compile(
    r"^.*?(?:地址(?:帮我|给我)?(?:改成|改为|改到|换成|换到|是|为|写|[:：])|(?:改|换|送|寄|发)(?:成|到|去|至)"
    r"|新地址(?:是|[:： ])?|address(?: is| to|:)?)\s*",
    re.IGNORECASE,
)
_LABEL = re.compile(
    r"(?:收[件货]人|姓名|联系人|联系电话|收货电话|手机号?码?|电话|收货地址|地址|改成|改为|换成)[:： 是为]*"
)
SHORTEST_ADDRESS = 6


def read_delivery(text: str) -> Slots:
    """Phone, name and address of a message, as ``{"phone"?, "recipient_name"?, "address"?}``."""
    found: Slots = {}
    rest = text.strip()
    if phone := MOBILE.search(rest):
        found["phone"] = re.sub(r"\D", "", phone[1])
        rest = rest.replace(phone[0], " ")
    if name := _NAME.search(rest):
        found["recipient_name"] = name["name"].strip()
        rest = rest.replace(name[0], " ")
    rest = re.sub(r"(?i)ord\s*\d+", " ", _LEAD.sub("", rest, count=1))
    parts = [part for part in re.split(r"[,，。;；\s]+", _LABEL.sub(" ", rest)) if part]
    places = [number for number, part in enumerate(parts) if _PLACE.search(part)]
    # from the first place to the last, with the numbers between them ("漕溪路 250 号 5 楼")
    address = " ".join(parts[places[0] : places[-1] + 1]) if places else ""
    if len(address) >= SHORTEST_ADDRESS and len(set(_PLACE.findall(address.lower()))) >= 2:
        found["address"] = address
        if "recipient_name" not in found and "phone" in found:
            outside = parts[: places[0]] + parts[places[-1] + 1 :]
            others = [part for part in outside if re.fullmatch(r"[\u4e00-\u9fff·]{2,4}", part)]
            if len(others) == 1:
                found["recipient_name"] = others[0]
    return found


class ChangeAddressForm(OrderForm):
    form = "address_form"
    submit = "action_change_address"
    starts = {"change_address": {}}  # noqa: RUF012
    wish = Wish.CHANGE_DELIVERY
    of_order = ("too_late",)
    holds = (*OrderForm.holds, *of_order, "delivery")
    changeable = ("delivery", "order_id")

    def needs(self, slots: Slots) -> list[str]:
        known = ["order_id", "phone_tail"]
        return known if slots.get("too_late") else [*known, "delivery", "confirm"]

    def mentions(self, turn: Turn, slots: Slots) -> Slots:
        found = super().mentions(turn, slots)
        if delivery := read_delivery(turn.text):
            found["delivery"] = (slots.get("delivery") or {}) | delivery
            if "phone" in delivery:
                found.pop("phone_tail", None)
        return found

    def answer(self, asked: str, turn: Turn, slots: Slots) -> Slots:
        if asked == "delivery" and (delivery := read_delivery(turn.text)):
            return {"delivery": delivery}
        return super().answer(asked, turn, slots)

    async def accept(self, order: Order, slots: Slots, tracker: Tracker) -> None:
        slots["too_late"] = not open_to(order, Wish.CHANGE_DELIVERY)


class AskConfirmAddress(Action):
    def name(self) -> str:
        return "action_ask_address_form_confirm"

    async def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain) -> list[EventType]:
        order = await (await get_mall()).order(tracker.sender_id, tracker.slots["order_id"])
        lines = [
            f"{word(tracker, domain, f'delivery_{field}')} {value}"
            for field, value in tracker.slots["delivery"].items()
        ]
        dispatcher.utter_message(
            response="utter_ask_confirm_address", order_id=order.id, goods=goods(order.lines), delivery="\n".join(lines)
        )
        return []


class ChangeAddress(Action):
    def name(self) -> str:
        return "action_change_address"

    async def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain) -> list[EventType]:
        mall, order_id = await get_mall(), tracker.slots["order_id"]
        too_late = bool(tracker.get_slot("too_late"))
        if not too_late:
            try:
                await mall.change_delivery(
                    tracker.sender_id,
                    order_id,
                    DeliveryChange(**tracker.slots["delivery"]),
                    idempotency_key=tracker.slots["request_key"],
                )
            except InvalidTransition:
                too_late = True
            except InvalidDelivery:
                dispatcher.utter_message(response="utter_delivery_invalid")
            else:
                dispatcher.utter_message(response="utter_address_changed", order_id=order_id)
        if too_late:
            order = await mall.order(tracker.sender_id, order_id)
            on_its_way = order.status in (OrderStatus.SHIPPED, OrderStatus.DELIVERED, OrderStatus.COMPLETED)
            dispatcher.utter_message(
                response="utter_address_too_late" if on_its_way else "utter_address_not_now",
                order_id=order_id,
                status=word(tracker, domain, f"status_{order.status}"),
            )
        return finish(ChangeAddressForm(), dispatcher, tracker, domain)
