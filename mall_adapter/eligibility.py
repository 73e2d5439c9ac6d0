"""What may still be done to an order, judged by the order alone: enough to propose it; the rules decide."""

from __future__ import annotations

from mall_adapter.values import Order, OrderStatus, Wish

_UNSHIPPED = frozenset({OrderStatus.PENDING_PAYMENT, OrderStatus.PAID, OrderStatus.PRESALE})
_UNPAID_OR_OFF = frozenset({OrderStatus.PENDING_PAYMENT, OrderStatus.CANCELLED})


def open_to(order: Order, wish: Wish) -> bool:
    """Whether asking for ``wish`` makes sense: nothing shipped, something paid, a piece that no ticket is about."""
    waits = order.status in _UNSHIPPED and not order.shipments
    tickets = [bool(line.ticket_ids) for line in order.lines]
    match wish:
        case Wish.RETURN:
            return order.status not in _UNPAID_OR_OFF and any(line.free for line in order.lines)
        case Wish.CANCEL:
            return waits and not any(tickets)
        case Wish.CHANGE_DELIVERY:
            return waits
        case Wish.INVOICE:
            return order.status not in _UNPAID_OR_OFF
