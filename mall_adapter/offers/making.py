"""An offer, from the case to what becomes of it: made once for an order and reason, within budgets, settled once."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

from sqlalchemy import exists, select
from sqlalchemy.ext.asyncio import AsyncSession

from mall_adapter import complaints, coupons, energy, models, people
from mall_adapter.actors import RULES
from mall_adapter.errors import InvalidTransition
from mall_adapter.handoff import ComplaintKind
from mall_adapter.offers import budgets, claims, standing
from mall_adapter.offers.experiment import variant_of
from mall_adapter.offers.rules import OfferLimits, OfferTable, Outcome
from mall_adapter.rules import COSTS
from mall_adapter.values import Feeling, Offer, OfferKind, OfferState, Standing
from privacy.columns import exact_index
from storage import Actor, Event, insert_numbered, record

AT_ONCE = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class OfferAssigned(Event):
    """``subject`` is the offer: "offer:OF251130123456". With a variant that gives nothing it was withheld."""

    kind: ClassVar[str] = "offer_assigned"
    order_id: str
    reason: str
    feeling: Feeling
    rule: str
    offer: OfferKind
    experiment: str
    variant: str
    value_cents: int
    presale: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class OfferRefused(Event):
    """None was made, as there is a pattern of claims."""

    kind: ClassVar[str] = "offer_refused"
    order_id: str
    score: int
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OfferSettled(Event):
    """Accepted, declined, or expired; with what it costs."""

    kind: ClassVar[str] = "offer_settled"
    state: OfferState
    value_cents: int


@dataclass(frozen=True, slots=True)
class Rules:
    table: OfferTable
    limits: OfferLimits


async def propose(
    session: AsyncSession,
    rules: Rules,
    order: models.Order,
    feeling: Feeling,
    now: datetime,
    *,
    demands: bool = False,
    costly: bool = True,
) -> models.Offer | None:
    """What the order's customer is offered, in the caller's transaction, which holds the order; None where the facts
    have to do.

    ``demands``: money was asked for in so many words just now. Not ``costly``: nothing that costs something.
    """
    customer_id, limits = order.customer_id, rules.limits
    await people.lock_customers(session, customer_id, sharing=True)  # before the budgets, as whoever merges them
    # whatever else is offered to this customer waits for it
    await budgets.hold(session, budgets.customer_scope(customer_id, budgets.today(now)))
    case = await standing.look_at(session, order, feeling, now)
    if case is None or await _made_before(session, order.id, case.reason):
        return None
    outcome = rules.table.decide(case.facts)
    if outcome.kind is OfferKind.NONE or (outcome.kind in COSTS and not costly):
        return None
    value, variant = outcome.value_cents, ""
    if outcome.kind in COSTS:
        if await _lately(session, customer_id, now - limits.cool_down):
            return None
        counts = await claims.count(session, customer_id, now)
        score, why = claims.weigh(limits.claims, counts | {"demands": counts["demands"] + demands})
        if score >= limits.claims.refuse_from:
            refused = await _write(session, rules, order, case, outcome, OfferState.REFUSED, now, why=f"{score}: {why}")
            event = OfferRefused(subject=f"offer:{refused.id}", order_id=order.id, score=score, why=why)
            record(session, event, RULES, now)
            return None
        variant, percent = variant_of(limits.experiment, customer_id)
        value = value * percent // 100
        of_whom = customer_id, case.supplier_id
        if not await budgets.reserve(session, limits, outcome.kind, *of_whom, value, budgets.today(now)):
            return None
    withheld = outcome.kind in COSTS and not value
    state = OfferState.WITHHELD if withheld else OfferState.OFFERED
    made = await _write(session, rules, order, case, outcome, state, now, value=value, variant=variant)
    assigned = OfferAssigned(
        subject=f"offer:{made.id}",
        region=order.region,
        order_id=order.id,
        reason=case.reason,
        feeling=feeling,
        rule=outcome.rule,
        offer=outcome.kind,
        experiment=limits.experiment.name,
        variant=variant,
        value_cents=value,
        presale=case.reason.startswith(Standing.PRESALE),
    )
    record(session, assigned, RULES, now)
    return None if withheld else made


async def _made_before(session: AsyncSession, order_id: str, reason: str) -> bool:
    offer = models.Offer
    return bool(await session.scalar(select(exists().where(offer.order_id == order_id, offer.reason == reason))))


async def _lately(session: AsyncSession, customer_id: str, since: datetime) -> bool:
    """Whether the customer was offered something that costs, or would have been."""
    offer = models.Offer
    theirs = exists().where(offer.customer_id == customer_id, offer.made_at > since, offer.kind.in_(COSTS))
    return bool(await session.scalar(select(theirs)))


async def _write(
    session: AsyncSession,
    rules: Rules,
    order: models.Order,
    case: standing.Case,
    outcome: Outcome,
    state: OfferState,
    now: datetime,
    *,
    value: int = 0,
    variant: str = "",
    why: str = "",
) -> models.Offer:
    def row(_: str) -> dict[str, object]:
        return {
            "customer_id": order.customer_id,
            "order_id": order.id,
            "supplier_id": case.supplier_id,
            "reason": case.reason,
            "feeling": case.facts.feeling,
            "rule": outcome.rule,
            "kind": outcome.kind,
            "value_cents": value,
            "min_spend_cents": outcome.min_spend_cents,
            "valid_days": outcome.valid_days,
            "points": energy.energy_rules().worth(value) if outcome.kind is OfferKind.POINTS else 0,
            "experiment": rules.limits.experiment.name,
            "variant": variant,
            "state": state,
            "why": why,
            "made_at": now,
            "charged_on": budgets.today(now),
            "good_until": now + rules.limits.good_for,
        }

    return await session.get_one(models.Offer, await insert_numbered(session, models.Offer, "OF", now, row))


async def accept(
    session: AsyncSession, rules: Rules, offer: models.Offer, conversation: str, by: Actor, now: datetime
) -> None:
    """What is offered is the customer's, in the caller's transaction, which holds the offer's row; again it changes
    nothing. ``conversation``: in which it was accepted. Raises InvalidTransition for one that is over."""
    if offer.state is OfferState.ACCEPTED:
        return
    if offer.state is not OfferState.OFFERED or offer.good_until <= now:
        raise InvalidTransition(f"an offer that is {offer.state} cannot be accepted")
    if offer.kind is OfferKind.COUPON:
        gift = coupons.Gift(
            title=rules.limits.coupon_title,
            off_cents=offer.value_cents,
            min_spend_cents=offer.min_spend_cents,
            days=offer.valid_days,
        )
        offer.coupon_id = await coupons.give(session, offer.customer_id, gift, f"offer:{offer.id}", now)
    elif offer.kind is OfferKind.POINTS:
        given = offer.points, offer.valid_days, offer.rule
        await energy.give(session, offer.customer_id, *given, f"offer:{offer.id}", now)
    elif offer.kind is OfferKind.FASTER:
        await ask_colleagues(session, offer, conversation, now)
    _settle(session, offer, OfferState.ACCEPTED, by, now)


async def end(session: AsyncSession, offer: models.Offer, state: OfferState, by: Actor, now: datetime) -> None:
    """Declined, or expired: what was kept for it is free again. In the caller's transaction, which holds the offer's
    row; one that is settled stays as it is."""
    if offer.state is OfferState.OFFERED:
        await budgets.give_back(session, offer)
        _settle(session, offer, state, by, now)


def _settle(session: AsyncSession, offer: models.Offer, state: OfferState, by: Actor, now: datetime) -> None:
    offer.state, offer.settled_at = state, now
    cents = offer.value_cents if state is OfferState.ACCEPTED else 0
    record(session, OfferSettled(subject=f"offer:{offer.id}", state=state, value_cents=cents), by, now)


async def ask_colleagues(session: AsyncSession, offer: models.Offer, conversation: str, now: datetime) -> None:
    """Operators find it among what is to be asked of couriers and suppliers."""
    kind = ComplaintKind.NOT_RECEIVED
    message = exact_index(f"offer {offer.id}", "complaint.message")
    await complaints.note(session, conversation, kind, "", message, now, order_id=offer.order_id, enquiry=True)


async def expire(session: AsyncSession, now: datetime) -> bool:
    """Ends some of those that nobody has accepted in time, in the caller's transaction; whether there may be more."""
    offer = models.Offer
    over = select(offer).where(offer.state == OfferState.OFFERED, offer.good_until <= now).order_by(offer.id)
    found = (await session.scalars(over.limit(AT_ONCE).with_for_update(skip_locked=True))).all()
    for each in found:
        await end(session, each, OfferState.EXPIRED, RULES, now)
    return len(found) == AT_ONCE


def to_offer(row: models.Offer) -> Offer:
    return Offer(
        row.id,
        row.order_id,
        row.kind,
        row.value_cents,
        row.min_spend_cents,
        row.valid_days,
        row.state,
        row.good_until,
        row.points,
    )
