"""What the shop sells, as far as the mall itself can say, and the customer's coupons."""

from __future__ import annotations

from collections.abc import Sequence

from rasa_sdk import Action, Tracker
from rasa_sdk.events import EventType, SlotSet
from rasa_sdk.executor import CollectingDispatcher

from bot.actions.malls import get_mall
from bot.actions.turn import Turn
from bot.actions.wording import Domain, day, word, yuan
from mall_adapter import NotFound, Product

PRODUCTS_SHOWN = 3
ATTRIBUTES_SHOWN = 4
FEW = 5


def price_range(product: Product) -> str:
    prices = sorted({sku.price_cents for sku in product.skus})
    return yuan(prices[0]) if len(prices) == 1 else f"{yuan(prices[0])}–{yuan(prices[-1])}"


def stock_word(tracker: Tracker, domain: Domain, product: Product) -> str:
    available = sum(sku.available for sku in product.skus)
    if available <= 0:
        return word(tracker, domain, "out_of_stock")
    return word(tracker, domain, "few_left" if available <= FEW else "in_stock")


def attributes_for(product: Product, question: str) -> str:
    """The attributes that the question names; the first few where it names none."""
    asked = {name: value for name, value in product.attributes.items() if name in question}
    shown = list((asked or product.attributes).items())[:ATTRIBUTES_SHOWN]
    return "，".join(f"{name}：{value}" for name, value in shown)


async def products_in_question(tracker: Tracker, turn: Turn, limit: int = PRODUCTS_SHOWN) -> Sequence[Product]:
    """The products that the message names, points at ("第二个", "刚才那款"), or leaves out: those talked of."""
    mall = await get_mall()
    if pointed := turn.pointed_at(listed(tracker)):
        return await _known(pointed[:1])
    if named := turn.entities.get("product"):
        found = [product for name in named for product in await mall.find_products(str(name), limit=1)]
        return found[:limit]
    if turn.first("mention") is None and (found_by_words := await mall.find_products(turn.text, limit=limit)):
        return found_by_words
    return await _known([tracker.get_slot("product_id")] if tracker.get_slot("product_id") else [])


def listed(tracker: Tracker) -> list[str]:
    """The products shown last, by their ids."""
    return [thing["id"] for thing in tracker.get_slot("listed") or [] if thing["kind"] == "product"]


async def _known(ids: Sequence[str]) -> Sequence[Product]:
    mall, found = await get_mall(), []
    for product_id in ids:
        try:
            found.append(await mall.product(product_id))
        except NotFound:
            continue
    return found


def say_product(
    dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain, product: Product, question: str
) -> None:
    dispatcher.utter_message(
        response="utter_product",
        name=product.name,
        brand=product.brand,
        price=price_range(product),
        stock=stock_word(tracker, domain, product),
        attributes=attributes_for(product, question),
    )


def talked_of(tracker: Tracker, products: Sequence[Product]) -> list[EventType]:
    """Events that remember what was shown, so that "第二个" and "刚才那款" are understood. A list stays while one talks
    of what is in it."""
    in_hand = SlotSet("product_id", products[0].id if len(products) == 1 else None)
    if {product.id for product in products} <= set(listed(tracker)):
        return [in_hand]
    shown = [{"kind": "product", "id": product.id, "title": product.name} for product in products]
    return [SlotSet("listed", shown), in_hand]


class ProductInfo(Action):
    def name(self) -> str:
        return "action_product_info"

    async def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain) -> list[EventType]:
        turn = Turn.of(tracker)
        products = await products_in_question(tracker, turn)
        if not products:
            dispatcher.utter_message(response="utter_product_unknown")
            return []
        for product in products:
            say_product(dispatcher, tracker, domain, product, turn.text)
        return talked_of(tracker, products)


class CompareProducts(Action):
    """Side by side: what is named or pointed at, with what was talked of; "这两款" are the first two of the list."""

    def name(self) -> str:
        return "action_compare_products"

    async def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain) -> list[EventType]:
        turn, mall = Turn.of(tracker), await get_mall()
        named = [*turn.entities.get("product", ()), *turn.entities.get("category", ())]
        found = [product for name in named for product in await mall.find_products(str(name), limit=1)]
        meant = [*(product.id for product in found), *turn.pointed_at(listed(tracker))]
        if len(meant) == 1 and (in_hand := tracker.get_slot("product_id")):
            meant.insert(0, in_hand)
        if not meant:
            meant = listed(tracker)[:2]
        products = await _known(list(dict.fromkeys(meant))[:2])
        if len(products) < 2:
            dispatcher.utter_message(response="utter_compare_what")
            return talked_of(tracker, products) if products else []
        for product in products:
            say_product(dispatcher, tracker, domain, product, turn.text)
        return talked_of(tracker, products)


class Recommend(Action):
    """What fits the words and is in stock; an honest question when the words fit nothing."""

    def name(self) -> str:
        return "action_recommend"

    async def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain) -> list[EventType]:
        turn = Turn.of(tracker)
        found = await (await get_mall()).find_products(turn.text, limit=PRODUCTS_SHOWN * 2)
        products = [product for product in found if any(sku.available > 0 for sku in product.skus)][:PRODUCTS_SHOWN]
        if not products:
            dispatcher.utter_message(response="utter_recommend_what")
            return []
        dispatcher.utter_message(response="utter_recommended")
        for product in products:
            say_product(dispatcher, tracker, domain, product, turn.text)
        return talked_of(tracker, products)


class MyCoupons(Action):
    def name(self) -> str:
        return "action_my_coupons"

    async def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain) -> list[EventType]:
        mall = await get_mall()
        if await mall.customer_of(tracker.sender_id) is None:
            dispatcher.utter_message(response="utter_account_not_bound")
            return []
        coupons = [coupon for coupon in await mall.coupons_of(tracker.sender_id) if coupon.status == "unused"]
        lines = [
            word(tracker, domain, "coupon_line").format(title=coupon.title, until=day(tracker, coupon.valid_until))
            for coupon in coupons
        ]
        if lines:
            dispatcher.utter_message(response="utter_coupons", coupons="\n".join(lines))
        else:
            dispatcher.utter_message(response="utter_no_coupons")
        return []
