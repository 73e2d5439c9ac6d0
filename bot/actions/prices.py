"""What goods that were bought cost now, beside what was paid for them, and what the rule says to the difference."""

from __future__ import annotations

from datetime import datetime

from rasa_sdk import Tracker
from rasa_sdk.executor import CollectingDispatcher

from bot import patterns
from bot.actions.malls import get_mall
from bot.actions.tickets import wish_button
from bot.actions.turn import Turn
from bot.actions.wording import Domain, day, goods, line_title, word, yuan
from bot.spelling import plain
from mall_adapter.values import Order, OrderLine, OrderStatus
from settings import SHANGHAI

RULE = "price_protection"
"""The answer of the graph that tells the rule in words."""

_SAID = patterns.load("price", "by_coupon", "verdict")


async def say_prices(
    dispatcher: CollectingDispatcher, tracker: Tracker, domain: Domain, turn: Turn, order: Order
) -> None:
    """Each of the goods in a line, then what the rule says to it; the verdict first where it is asked for."""
    drops = {drop.line_id: drop for drop in await (await get_mall()).price_drops(tracker.sender_id, order.id)}
    lines, lower = list[str](), 0
    named = [line for line in order.lines if turn.names_goods and _names(turn, line)] or order.lines
    for drop, line in ((drops[line.id], line) for line in named):
        lower += drop.difference_cents
        name = "price_gone" if drop.now_cents is None else "price_line"
        told = {"paid": yuan(drop.paid_cents), "now": yuan(drop.now_cents or 0), "goods": line_title(line)}
        lines.append(word(tracker, domain, name).format_map(told))
    until = next(iter(drops.values())).until
    days = (until - (order.paid_at or order.placed_at).astimezone(SHANGHAI).date()).days
    held = datetime.now(SHANGHAI).date() <= until and order.status is not OrderStatus.CANCELLED
    said = plain(turn.text)
    asked = "verdict" if _SAID["verdict"].search(said) else "price"
    dispatcher.utter_message(
        response=f"utter_{asked}_{'lower' if lower else 'same'}_{'in_time' if held else 'too_late'}",
        lines="\n".join(lines),
        goods=goods(order.lines),
        difference=yuan(lower),
        until=day(tracker, until),
        days=days,
        coupons=word(tracker, domain, "coupons_do_not_count") if _SAID["by_coupon"].search(said) else "",
        buttons=[wish_button(tracker, domain, "human_handoff")] if lower and held else [],
    )


def _names(turn: Turn, line: OrderLine) -> bool:
    named = {str(value) for kind in ("product", "category") for value in turn.entities.get(kind, ())}
    return line.product_name in named or line.category in named
