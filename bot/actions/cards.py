"""Smart cards in the chat: a salesperson makes theirs and changes it by talking; whoever holds one passes it on."""

from __future__ import annotations

from typing import Any

from rasa_sdk import Action, Tracker
from rasa_sdk.events import EventType
from rasa_sdk.executor import CollectingDispatcher

import settings
from bot import patterns
from bot.actions.answers import find_answers
from bot.actions.focus import Focus
from bot.actions.knowledge import say_answer
from bot.actions.malls import get_cards, get_goods
from bot.actions.product_words import SAID as OF_GOODS
from bot.actions.questions import answer_question
from bot.actions.turn import Turn
from bot.actions.wording import Domain, word
from bot.spelling import plain
from knowledge_graph import sure
from mall_adapter.cards import LONGEST, MOST_PRODUCTS, Cards, Changes, Copy, clean
from mall_adapter.errors import NotPermitted

_SAID = patterns.load("cards", "value", "asks_only")


class MyCard(Action):
    """Shows it, made where there is none, and changes what the message names. A question about cards is answered."""

    def name(self) -> str:
        return "action_my_card"

    async def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain) -> list[EventType]:
        turn, focus, cards = Turn.of(tracker), Focus(tracker), await get_cards()
        part = turn.first("card")
        if part is None and turn.asks and not turn.sure and await _answered(dispatcher, tracker, domain, turn, focus):
            return focus.events()
        try:
            if (response := await self._changed(cards, tracker.sender_id, turn, focus, part)) is not None:
                dispatcher.utter_message(response=response, most=LONGEST.get(str(part), MOST_PRODUCTS))
                return focus.events()
            copy = await cards.make(tracker.sender_id)
        except NotPermitted:
            dispatcher.utter_message(response="utter_card_only_sales")
            return focus.events()
        _show(dispatcher, tracker, domain, copy, "utter_card_mine")
        return focus.events()

    async def _changed(self, cards: Cards, sender: str, turn: Turn, focus: Focus, part: Any) -> str | None:
        """The response that says what is missing; None where all is done."""
        match part:
            case "portrait":
                await cards.want_portrait(sender)
                return "utter_card_portrait"
            case "products":
                return await self._feature(cards, sender, turn, focus)
            case "no_phone":
                await cards.change(sender, Changes(phone=""))
            case "phone":
                await cards.make(sender)  # whoever is not in sales is asked for nothing
                if not (phone := turn.first("phone")):
                    return "utter_card_phone_which"
                await cards.change(sender, Changes(phone=str(phone)))
            case "title" | "greeting" | "name":
                await cards.make(sender)
                value = _value(turn)
                if not value:
                    return f"utter_card_{part}_which"
                if len(value) > LONGEST[part]:
                    return "utter_card_too_long"
                await cards.change(sender, Changes(**{part: value}))
        return None

    async def _feature(self, cards: Cards, sender: str, turn: Turn, focus: Focus) -> str | None:
        await cards.make(sender)
        goods, found = await get_goods(), []
        for named in turn.entities.get("product", ())[:MOST_PRODUCTS]:
            found += [one.id for one in await goods.find(str(named), 1)]
        if not found and turn.names_goods:  # "那款面霜" is of the kind that was talked of, or the likeliest
            found = [one.id for one in await goods.find(turn.text, 1)]
        if not found and (at_hand := focus.at_hand("product")):
            found = [at_hand]
        if not found:
            return "utter_card_products_which"
        await cards.change(sender, Changes(product_ids=found))
        return None


class ShareCard(Action):
    """The sender's own link and picture: of their own card, or of the one that they came to last."""

    def name(self) -> str:
        return "action_share_card"

    async def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain) -> list[EventType]:
        turn, focus, cards = Turn.of(tracker), Focus(tracker), await get_cards()
        if OF_GOODS["link"].search(plain(turn.text)):
            outcome = await answer_question(dispatcher, tracker, domain, turn, focus, leaning="goods")
            if outcome.said:
                return [*outcome.events, *focus.events()]
        held = await cards.held(tracker.sender_id)
        try:
            copy = held[0] if held else await cards.make(tracker.sender_id)
        except NotPermitted:
            if not (turn.asks and await _answered(dispatcher, tracker, domain, turn, focus)):
                dispatcher.utter_message(response="utter_card_none")
            return focus.events()
        _show(dispatcher, tracker, domain, copy, "utter_card_share_own" if copy.own else "utter_card_share")
        return focus.events()


async def _answered(
    dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain, turn: Turn, focus: Focus
) -> bool:
    """Whether the shop's knowledge has an answer to it, which is said."""
    found = (await find_answers(tracker, turn)).best
    if not sure(found) or found[0].answer.topic != turn.topic:
        return False
    await say_answer(dispatcher, tracker, domain, found[0], focus)
    return True


def _value(turn: Turn) -> str:
    """What is to stand there, as it was typed."""
    found = None if turn.tapped else _SAID["value"].search(plain(turn.text))
    value = clean(turn.text[slice(*found.span("value"))]) if found else ""
    return "" if _SAID["asks_only"].search(plain(value)) else value


def _show(dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain, copy: Copy, response: str) -> None:
    """The link and the picture, which a gateway draws when it is looked at."""
    face = copy.face
    dispatcher.utter_message(
        response=response,
        link=f"{settings.public_url()}/c/{copy.token}",
        name=face.name,
        title=face.title or word(tracker, domain, "card_title"),
        image=f"/c/{copy.token}.png?v={face.changed_at:%y%m%d%H%M%S}",
    )
