"""What goods that were bought cost now, beside what was paid for them, and what the rule says to the difference."""

from __future__ import annotations

from datetime import datetime, timedelta

from rasa_sdk import Tracker
from rasa_sdk.executor import CollectingDispatcher

from bot import patterns
from bot.actions.graphs import get_answering
from bot.actions.malls import get_mall
from bot.actions.tickets import wish_button
from bot.actions.turn import Turn
from bot.actions.wording import Domain, day, goods, line_title, word, yuan
from bot.spelling import plain
from mall_adapter import MallError, Order, OrderLine, OrderStatus
from settings import SHANGHAI

RULE = "price_protection"
"""The answer of the graph that tells for how many days a price holds."""

_SAID = patterns.load("price", "by_coupon", "verdict")


async def say_prices(
    dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain, turn: Turn, order: Order
) -> None:
    """Each of the goods in a line, then what the rule says to it; the verdict first where it is asked for."""
    lines, lower = list[str](), 0
    named = [line for line in order.lines if turn.names_goods and _names(turn, line)] or order.lines
    for line in named:
        now = await _price_now(line)
        lower += max(0, line.unit_price_cents - now) * line.quantity if now is not None else 0
        name = "price_gone" if now is None else "price_line"
        told = {"paid": yuan(line.unit_price_cents), "now": yuan(now or 0), "goods": line_title(line)}
        lines.append(word(tracker, domain, name).format_map(told))
    rule = (await get_answering()).answer(RULE)
    if rule is None or rule.days is None:
        dispatcher.utter_message(response="utter_price_only", lines="\n".join(lines))
        return
    until = order.placed_at.astimezone(SHANGHAI).date() + timedelta(days=rule.days)
    held = datetime.now(SHANGHAI).date() <= until and order.status is not OrderStatus.CANCELLED
    said = plain(turn.text)
    asked = "verdict" if _SAID["verdict"].search(said) else "price"
    dispatcher.utter_message(
        response=f"utter_{asked}_{'lower' if lower else 'same'}_{'in_time' if held else 'too_late'}",
        lines="\n".join(lines),
        goods=goods(order.lines),
        difference=yuan(lower),
        until=day(tracker, until),
        days=rule.days,
        coupons=word(tracker, domain, "coupons_do_not_count") if _SAID["by_coupon"].search(said) else "",
        buttons=[wish_button(tracker, domain, "human_handoff")] if lower and held else [],
    )


async def _price_now(line: OrderLine) -> int | None:
    """Cents for one piece of this very kind today; None where it is not sold any more."""
    try:
        product = await (await get_mall()).product(line.product_id)
    except MallError:
        return None
    return next((sku.price_cents for sku in product.skus if sku.id == line.sku_id), None)


def _names(turn: Turn, line: OrderLine) -> bool:
    named = {str(value) for kind in ("product", "category") for value in turn.entities.get(kind, ())}
    return line.product_name in named or line.category in named
