"""What was paid for pieces of an order, and how much of it goes back: to the cent, and never more than was paid.

A line was paid with its share of the discount; a piece of it with a share of that. Floors are promised, and the last
pieces take what is left, so the shares of a line always add up to what was paid for it. The database keeps what went
back of a line and of an order within what was paid.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mall_adapter import models
from mall_adapter.values import TicketStatus

PAID_BACK = frozenset({TicketStatus.REFUNDED, TicketStatus.CLOSED})
"""States of a ticket whose money has gone back."""


def free_pieces(line: models.OrderLine) -> int:
    """Pieces that no live ticket is about."""
    return line.quantity - line.in_tickets


def paid_for(line: models.OrderLine, pieces: int) -> int:
    """What was paid for so many of its free pieces."""
    if pieces == free_pieces(line):
        return line.paid_cents - sum(case.paid_cents for case in line.live_tickets)
    return line.paid_cents * pieces // line.quantity


def share(cents: int, among: Sequence[int]) -> list[int]:
    """``cents`` in proportion to these amounts, to the cent (largest remainders); none gets more than its amount where
    they are enough for all of it."""
    total = sum(among)
    if total == 0:
        return [0] * len(among)
    shares = [cents * amount // total for amount in among]
    remainders = sorted(range(len(among)), key=lambda place: (-(cents * among[place] % total), place))
    for place in remainders[: cents - sum(shares)]:
        shares[place] += 1
    return shares


def freight_left(order: models.Order) -> int:
    """What was paid for freight and has not gone back."""
    return order.freight_cents - (order.refunded_cents - sum(line.refunded_cents for line in order.lines))


def freight_free(order: models.Order) -> int:
    """The same, without what is promised to tickets that wait for their money."""
    waiting = {case.ticket for line in order.lines for case in line.live_tickets if case.ticket.settled_at is None}
    return max(0, freight_left(order) - sum(ticket.freight_cents for ticket in waiting))


def takes_the_rest(order: models.Order, asked: Mapping[str, int]) -> bool:
    """Whether nothing stays of the order once so many pieces of these lines are gone too."""
    return all(free_pieces(line) == asked.get(line.id, 0) for line in order.lines)


def nothing_is_kept(order: models.Order, ticket: models.Ticket) -> bool:
    """Whether the money of every piece has gone back, once that of the ticket has."""
    return all(
        free_pieces(line) == 0
        and all(case.ticket.status in PAID_BACK or case.ticket_id == ticket.id for case in line.live_tickets)
        for line in order.lines
    )


def pay_back_order(order: models.Order) -> int:
    """Notes all that was paid, and has not gone back yet, as paid back; how much that is."""
    cents = order.total_cents - order.refunded_cents
    for line in order.lines:
        line.refunded_cents = line.paid_cents
    order.refunded_cents = order.total_cents
    return cents
