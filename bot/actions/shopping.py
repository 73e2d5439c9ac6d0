"""What the shop sells, as the graph knows it and the mall has it now."""

from __future__ import annotations

from typing import ClassVar

from rasa_sdk import Action, Tracker
from rasa_sdk.events import EventType
from rasa_sdk.executor import CollectingDispatcher

from bot.actions.focus import Focus
from bot.actions.questions import answer_question
from bot.actions.shop_product import shop_products
from bot.actions.turn import Turn
from bot.actions.weighing import Leaning
from bot.actions.wording import Domain, yuan


class ProductInfo(Action):
    leaning: ClassVar[Leaning] = "goods"

    def name(self) -> str:
        return "action_product_info"

    async def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain) -> list[EventType]:
        focus = Focus(tracker)
        outcome = await answer_question(dispatcher, tracker, domain, Turn.of(tracker), focus, leaning=self.leaning)
        return [*outcome.events, *focus.events()]


class HowToOrder(Action):
    """ "要了": of the goods that are talked of, the price, and where they are ordered."""

    def name(self) -> str:
        return "action_how_to_order"

    async def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain) -> list[EventType]:
        focus = Focus(tracker)
        found = await shop_products([str(focus.at_hand("product"))])
        if not found:
            dispatcher.utter_message(response="utter_product_unknown")
            return []
        response = "utter_order_goods" if found[0].available else "utter_order_sold_out"
        dispatcher.utter_message(response=response, name=found[0].name, price=yuan(found[0].price_cents))
        return focus.on("product", found[0].id).events()


class Recommend(ProductInfo):
    """What fits the words and is in stock; an honest question when the words fit nothing."""

    leaning = "recommendation"

    def name(self) -> str:
        return "action_recommend"


class CompareProducts(ProductInfo):
    leaning = "comparison"

    def name(self) -> str:
        return "action_compare_products"
