"""What the shop sells, as the graph knows it and the mall has it now."""

from __future__ import annotations

from typing import ClassVar

from rasa_sdk import Action, Tracker
from rasa_sdk.events import EventType
from rasa_sdk.executor import CollectingDispatcher

from bot.actions.focus import Focus
from bot.actions.questions import answer_question
from bot.actions.turn import Turn
from bot.actions.weighing import Leaning
from bot.actions.wording import Domain


class ProductInfo(Action):
    leaning: ClassVar[Leaning] = "goods"

    def name(self) -> str:
        return "action_product_info"

    async def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain) -> list[EventType]:
        focus = Focus(tracker)
        outcome = await answer_question(dispatcher, tracker, domain, Turn.of(tracker), focus, leaning=self.leaning)
        return [*outcome.events, *focus.events()]


class Recommend(ProductInfo):
    """What fits the words and is in stock; an honest question when the words fit nothing."""

    leaning = "recommendation"

    def name(self) -> str:
        return "action_recommend"


class CompareProducts(ProductInfo):
    leaning = "comparison"

    def name(self) -> str:
        return "action_compare_products"
