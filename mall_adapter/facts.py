"""What the tables of rules may ask: about one line of an order that is to go back, about somebody who worries."""

from __future__ import annotations

from datetime import timedelta
from enum import StrEnum

from pydantic import NonNegativeInt
from pydantic.dataclasses import dataclass

from mall_adapter.values import Feeling, OrderStatus, Reason, Standing, TicketKind

WINDOW = timedelta(days=90)
"""How long a request counts for what is asked about its customer (``tickets_last_90_days``)."""


class Trade(StrEnum):
    BEAUTY = "beauty"
    DIGITAL = "digital"
    APPLIANCE = "appliance"
    CLOTHING = "clothing"
    FOOD = "food"
    COURSE = "course"


@dataclass(frozen=True, slots=True, kw_only=True)
class AfterSalesFacts:
    """What the rules may ask about one line of an order. Checked: a misspelt trade is an error, not another rule."""

    kind: TicketKind
    reason: Reason
    order_status: OrderStatus
    days_since_delivery: int | None  # calendar days in Asia/Shanghai, 0 on the day itself; None: not delivered
    hours_since_delivery: float | None
    parcel_lost: bool
    parcel_late: bool  # arrived, or still travelling, after the promised time
    trade: Trade
    fresh: bool  # perishable food
    custom_made: bool
    opened: bool | None  # opened, activated or used; None: not asked
    amount_cents: NonNegativeInt  # what the customer paid for these pieces
    tickets_last_90_days: NonNegativeInt  # of this customer, this request not counted
    rejected_before: bool = False  # somebody has looked at a request for this line, and said no
    # what was paid for pieces that other tickets are about, without those that were rejected or taken back
    order_cents_before: NonNegativeInt = 0  # of this order
    customer_cents_before: NonNegativeInt = 0  # of this customer, in the last 90 days


@dataclass(frozen=True, slots=True, kw_only=True)
class OfferFacts:
    """What the table of offers may ask about an order and about those who bought and sent it."""

    feeling: Feeling
    standing: Standing
    promise_moved: bool  # of a presale: to a later day than was promised first
    paid_cents: NonNegativeInt  # for the order, without what has gone back
    tickets_last_90_days: NonNegativeInt  # of the customer
    offers_last_90_days: NonNegativeInt  # that the customer has accepted
    supplier_late_percent: NonNegativeInt  # of the supplier's parcels of the last 90 days
