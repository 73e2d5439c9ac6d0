"""By when the money of a cancelled order is back at the latest. The mall keeps no day of cancelling."""

from __future__ import annotations

from datetime import date, datetime

from rasa_sdk import Tracker

from bot.actions.focus import Focus
from bot.actions.graphs import fact
from bot.actions.wording import Domain, day, word
from mall_adapter.values import Order
from mall_adapter.working_days import working_day_after
from settings import SHANGHAI


def when_back(tracker: Tracker, domain: Domain, order: Order) -> str:
    """A sentence: the last day, where the order was cancelled in this conversation; that it cannot be over yet, where
    it was placed too lately for that; else how to count. How many working days a bank takes, the shop's answers say."""
    days = fact("bank_days")
    if not isinstance(days, int):
        return word(tracker, domain, "back_unknown")
    today = datetime.now(SHANGHAI).date()
    if cancelled := _cancelled_here(tracker, order):
        last = working_day_after(cancelled, days)
        name = "back_by" if last >= today else "back_over"
    else:
        last = working_day_after(order.placed_at.astimezone(SHANGHAI).date(), days)
        name = "back_not_yet" if last >= today else "back_counted"
    told = {"days": days, "last": day(tracker, last), "placed": day(tracker, order.placed_at)}
    return word(tracker, domain, name).format_map(told)


def _cancelled_here(tracker: Tracker, order: Order) -> date | None:
    written = Focus(tracker).written
    if written.get("flow") != "cancel_order" or written.get("order") != order.id:
        return None
    done = (one for one in reversed(tracker.events) if one.get("name") == "action_cancel_order")
    event = next(done, None)
    return datetime.fromtimestamp(event["timestamp"], SHANGHAI).date() if event else datetime.now(SHANGHAI).date()
