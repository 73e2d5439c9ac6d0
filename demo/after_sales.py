"""After-sales cases: what customers ask for, what the rules decide, and how far each case has come."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import yaml

from demo.history import Line, Sale
from mall_adapter.facts import WINDOW
from mall_adapter.policy import AfterSalesFacts, AfterSalesPolicy, Trade
from mall_adapter.ticket_steps import state_machine
from mall_adapter.tickets import since_delivery
from mall_adapter.values import Decision, OrderStatus, Reason, TicketKind, TicketStatus
from mall_adapter.working_days import working_day_after
from settings import SHANGHAI

_SETTLED = frozenset({TicketStatus.REFUNDED, TicketStatus.EXCHANGED})
_PAID_BACK = {TicketKind.EXCHANGE: TicketStatus.EXCHANGED}
_SHARE, _RECENT_SHARE = 0.03, 0.2
"""Of delivered orders, how many lead to a request; of the last days more, so that a case lies on every desk."""
_RECENT = timedelta(days=12)


@dataclass(frozen=True, slots=True)
class Step:
    time: datetime
    status: TicketStatus
    actor: str
    note: str


@dataclass(frozen=True, slots=True)
class Case:
    id: str
    sale: Sale
    lines: list[Line]
    kind: TicketKind
    reason: Reason
    note: str
    decision: Decision
    due_on: date
    steps: list[Step]

    @property
    def created_at(self) -> datetime:
        return self.steps[0].time

    @property
    def status(self) -> TicketStatus:
        return self.steps[-1].status

    @property
    def settled_at(self) -> datetime | None:
        """The money went back, or the new goods went out."""
        return next((step.time for step in self.steps if step.status in _SETTLED), None)

    @property
    def came_back(self) -> bool:
        return any(step.status is TicketStatus.GOODS_RECEIVED for step in self.steps)

    @property
    def paid_back(self) -> bool:
        return self.settled_at is not None and self.kind is not TicketKind.EXCHANGE

    @property
    def live(self) -> bool:
        """Whether its pieces are in it still, or have gone with it."""
        exchanged = self.settled_at is not None and self.kind is TicketKind.EXCHANGE
        return not exchanged and self.status not in {TicketStatus.REJECTED, TicketStatus.CANCELLED}


@cache
def _words() -> dict[str, Any]:
    words: dict[str, Any] = yaml.safe_load(Path(__file__).with_suffix(".yml").read_text(encoding="utf-8"))
    return words


def invent_cases(rng: Random, policy: AfterSalesPolicy, sales: list[Sale], now: datetime) -> list[Case]:
    """Cases of delivered and lost orders, oldest first."""
    requests: list[tuple[datetime, Sale]] = []
    for sale in sales:
        if sale.delivered_at:
            if rng.random() > (_RECENT_SHARE if now - sale.delivered_at < _RECENT else _SHARE):
                continue
            asked_at = sale.delivered_at + timedelta(minutes=rng.expovariate(1 / (36 * 60)) + 20)
        elif sale.parcel and sale.parcel.status == "lost":
            asked_at = sale.parcel.scans[-1].time + timedelta(hours=rng.uniform(2, 30))
        else:
            continue
        if asked_at < now:
            requests.append((asked_at.replace(microsecond=0), sale))
    cases: list[Case] = []
    earlier: dict[str, list[datetime]] = defaultdict(list)  # by customer
    taken: set[str] = set()
    for asked_at, sale in sorted(requests, key=lambda request: request[0]):
        case_id = f"RT{asked_at:%y%m%d}{rng.randrange(10**6):06}"
        lines = [rng.choice(sale.lines)] if sale.delivered_at else sale.lines
        kind, reason, note = wish(rng, lines[0].article.supplier.trade if sale.delivered_at else None)
        recent = sum(asked_at - other < WINDOW for other in earlier[sale.person.id])
        case = open_case(rng, policy, case_id, sale, lines, kind, reason, note, asked_at, recent, now)
        if case and case_id not in taken:
            taken.add(case_id)
            earlier[sale.person.id].append(asked_at)
            cases.append(case)
    return cases


def open_case(
    rng: Random,
    policy: AfterSalesPolicy,
    case_id: str,
    sale: Sale,
    lines: list[Line],
    kind: TicketKind,
    reason: Reason,
    note: str,
    asked_at: datetime,
    recent: int,
    now: datetime,
) -> Case | None:
    """The case as it stands at ``now``; None where the rules refuse it. ``recent``: requests in the last 90 days."""
    parcel = sale.parcel
    days, hours = since_delivery(sale.delivered_at, asked_at)
    decision = policy.decide(
        *(
            AfterSalesFacts(
                kind=kind,
                reason=reason,
                order_status=OrderStatus.DELIVERED if sale.delivered_at else sale.status,
                days_since_delivery=days,
                hours_since_delivery=hours,
                parcel_lost=parcel is not None and parcel.status == "lost",
                parcel_late=parcel is not None and (parcel.delivered_at or asked_at) > parcel.promised_by,
                trade=line.article.supplier.trade,
                fresh=line.article.fresh,
                custom_made=line.article.custom_made,
                opened=line.activated_at is not None,
                amount_cents=line.paid_cents,
                tickets_last_90_days=recent,
            )
            for line in lines
        )
    )
    if not decision.allowed:
        return None
    steps = [step for step in _steps(rng, kind, decision, asked_at) if step.time < now]
    due_on = working_day_after(asked_at.astimezone(SHANGHAI).date(), decision.handling_days)
    return Case(case_id, sale, lines, kind, reason, note, decision, due_on, steps)


def wish(rng: Random, trade: Trade | None) -> tuple[TicketKind, Reason, str]:
    """What a customer wants, why, and in what words; ``trade`` is None where nothing arrived."""
    if trade is None:
        return TicketKind.REFUND, Reason.LATE_DELIVERY, rng.choice(_words()["lost"]["notes"])
    fitting = [entry for entry in _words()["reasons"] if trade in entry["trades"]]
    entry = rng.choices(fitting, [entry["weight"] for entry in fitting])[0]
    return TicketKind(entry["kind"]), Reason(entry["reason"]), rng.choice(entry["notes"])


def words_of_step(rng: Random, status: TicketStatus) -> str:
    """What the one who makes the step writes down."""
    said: str = rng.choice(_words()["steps"][status])
    return said


def _steps(rng: Random, kind: TicketKind, decision: Decision, asked_at: datetime) -> list[Step]:
    """The whole way of a case through the state machine, including what still lies in the future."""
    steps = [Step(asked_at, TicketStatus.OPEN, "customer", "")]

    def step(status: TicketStatus, actor: str, hours_from: float, hours_to: float) -> None:
        later = timedelta(minutes=round(60 * rng.uniform(hours_from, hours_to)))
        steps.append(Step(steps[-1].time + later, status, actor, words_of_step(rng, status)))

    fate = rng.random()
    if decision.auto_approve:
        steps.append(Step(asked_at, TicketStatus.APPROVED, "rule", decision.rule))
    elif fate < 0.15:
        step(TicketStatus.REJECTED, "operator", 24, 140)
        return steps
    elif fate < 0.2:
        step(TicketStatus.CANCELLED, "customer", 1, 20)
        return steps
    else:
        step(TicketStatus.APPROVED, "operator", 24, 140)
    if fate > 0.93:
        step(TicketStatus.CANCELLED, "customer", 2, 30)
        return steps
    if TicketStatus.GOODS_RECEIVED in state_machine(kind, decision.freight_payer):
        step(TicketStatus.GOODS_RECEIVED, "supplier", 40, 150)
        if fate > 0.9:
            step(TicketStatus.REJECTED, "operator", 3, 30)
            return steps
    step(_PAID_BACK.get(kind, TicketStatus.REFUNDED), "operator", 2, 30)
    step(TicketStatus.CLOSED, "rule", 150, 180)
    return steps
