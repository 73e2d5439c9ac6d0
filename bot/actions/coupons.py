"""The member's coupons that can still be used."""

from __future__ import annotations

from rasa_sdk import Action, Tracker
from rasa_sdk.events import EventType, SlotSet
from rasa_sdk.executor import CollectingDispatcher

from bot.actions.malls import get_mall
from bot.actions.wording import Domain, day, word, yuan


class MyCoupons(Action):
    def name(self) -> str:
        return "action_my_coupons"

    async def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain) -> list[EventType]:
        mall = await get_mall()
        if await mall.customer_of(tracker.sender_id) is None:
            return [SlotSet("missing", "binding")]
        coupons = [coupon for coupon in await mall.coupons_of(tracker.sender_id) if coupon.status == "unused"]
        lines = [
            word(tracker, domain, "coupon_line" if coupon.min_spend_cents else "coupon_line_any").format(
                title=coupon.title,
                off=yuan(coupon.off_cents),
                minimum=yuan(coupon.min_spend_cents),
                until=day(tracker, coupon.valid_until),
            )
            for coupon in coupons
        ]
        if lines:
            dispatcher.utter_message(response="utter_coupons", coupons="\n".join(lines), count=len(lines))
        else:
            dispatcher.utter_message(response="utter_no_coupons")
        return []
