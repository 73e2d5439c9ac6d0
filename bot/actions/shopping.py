"""What the shop sells, as far as the mall itself can say, and the customer's coupons."""

from __future__ import annotations

from rasa_sdk import Action, Tracker
from rasa_sdk.events import EventType
from rasa_sdk.executor import CollectingDispatcher

from bot.actions.malls import get_mall
from bot.actions.wording import Domain, day, word, yuan
from mall_adapter import Product

PRODUCTS_SHOWN = 2
ATTRIBUTES_SHOWN = 4
FEW = 5


def price_range(product: Product) -> str:
    prices = sorted({sku.price_cents for sku in product.skus})
    return yuan(prices[0]) if len(prices) == 1 else f"{yuan(prices[0])}–{yuan(prices[-1])}"


def stock_word(product: Product, domain: Domain) -> str:
    available = sum(sku.available for sku in product.skus)
    if available <= 0:
        return word(domain, "out_of_stock")
    return word(domain, "few_left" if available <= FEW else "in_stock")


def attributes_for(product: Product, question: str) -> str:
    """The attributes that the question names; the first few where it names none."""
    asked = {name: value for name, value in product.attributes.items() if name in question}
    shown = list((asked or product.attributes).items())[:ATTRIBUTES_SHOWN]
    return "，".join(f"{name}：{value}" for name, value in shown)


class ProductInfo(Action):
    def name(self) -> str:
        return "action_product_info"

    async def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain) -> list[EventType]:
        question = tracker.latest_message.get("text") or ""
        products = await (await get_mall()).find_products(question, limit=PRODUCTS_SHOWN)
        for product in products:
            dispatcher.utter_message(
                response="utter_product",
                name=product.name,
                brand=product.brand,
                price=price_range(product),
                stock=stock_word(product, domain),
                attributes=attributes_for(product, question),
            )
        if not products:
            dispatcher.utter_message(response="utter_product_unknown")
        return []


class MyCoupons(Action):
    def name(self) -> str:
        return "action_my_coupons"

    async def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain) -> list[EventType]:
        mall = await get_mall()
        if await mall.customer_of(tracker.sender_id) is None:
            dispatcher.utter_message(response="utter_account_not_bound")
            return []
        coupons = [coupon for coupon in await mall.coupons_of(tracker.sender_id) if coupon.status == "unused"]
        lines = [f"· {coupon.title}（{day(coupon.valid_until)}前有效）" for coupon in coupons]
        if lines:
            dispatcher.utter_message(response="utter_coupons", coupons="\n".join(lines))
        else:
            dispatcher.utter_message(response="utter_no_coupons")
        return []
