"""Why the mall refuses a request."""

from __future__ import annotations

from datetime import datetime

from mall_adapter.values import Decision, Invoice, PriceEntry, StockLevel, Ticket


class MallError(Exception):
    """A request that the mall refuses; the subclasses say why. Messages hold no personal data."""


class MallUnavailable(Exception):
    """A mall that runs elsewhere does not answer, or not in a way that makes sense: nobody knows whether it has done
    what it was asked. It has refused nothing, so this is no MallError."""


class OrderNotFound(MallError):
    pass


class InPublic(MallError):
    """Others read along in this conversation: nobody proves in it who they are, and it is never bound to anybody."""


class OwnershipRequired(MallError):
    """This sender has not shown that the order, if there is one, is theirs: ask for the last four digits of its
    phone."""


class PhoneRequired(MallError):
    """The last four digits are not enough for this: ask for the whole phone on the order."""


class WrongPhoneTail(MallError):
    """Order number and tail do not belong together; which of them is wrong, or whether there is the order, is not
    told."""

    def __init__(self, tries_left: int) -> None:
        super().__init__(f"wrong phone tail, {tries_left} tries left")
        self.tries_left = tries_left


class OrderLocked(MallError):
    """Too many wrong tails: for a while a tail proves nothing to this sender, at this order or from this address."""

    def __init__(self, until: datetime) -> None:
        super().__init__("order locked for proofs by its phone's tail")
        self.until = until


class TicketExists(MallError):
    """Every piece of a line of the request is in a ticket already; ``ticket`` is the newest."""

    def __init__(self, ticket: Ticket) -> None:
        super().__init__(f"ticket {ticket.id} is already open")
        self.ticket = ticket


class InvalidQuantity(MallError):
    """So many pieces of the line there are not: there are ``most``, and one at least is needed."""

    def __init__(self, line_id: str, most: int) -> None:
        super().__init__(f"between 1 and {most} pieces of line {line_id}")
        self.line_id = line_id
        self.most = most


class InvalidRefund(MallError):
    """More than ``most`` cents, or nothing, cannot be paid back for the ticket."""

    def __init__(self, most: int) -> None:
        super().__init__(f"between 1 and {most} cents can be paid back")
        self.most = most


class EraseRefused(MallError):
    """The customer cannot be forgotten now: ``obstacle`` names what is under way, ``about`` which one."""

    def __init__(self, obstacle: str, about: str) -> None:
        super().__init__(f"not forgotten: {obstacle}")
        self.obstacle = obstacle
        self.about = about


class NotAllowed(MallError):
    def __init__(self, decision: Decision) -> None:
        super().__init__(f"refused by rule {decision.rule}")
        self.decision = decision


class NotFound(MallError):
    """No such ticket, product or customer for this sender."""


class InvalidDelivery(MallError):
    """``field`` of a DeliveryChange cannot be right."""

    def __init__(self, field: str) -> None:
        super().__init__(f"invalid {field}")
        self.field = field


class InvalidInvoice(MallError):
    """``field`` of an InvoiceRequest cannot be right."""

    def __init__(self, field: str) -> None:
        super().__init__(f"invalid {field}")
        self.field = field


class InvoiceExists(MallError):
    """The order has an invoice that was not rejected."""

    def __init__(self, invoice: Invoice) -> None:
        super().__init__(f"invoice {invoice.id} exists")
        self.invoice = invoice


class WrongProof(MallError):
    """Phone and order do not belong together, or nobody has such a code; what is wrong is not told."""

    def __init__(self, tries_left: int) -> None:
        super().__init__(f"wrong proof, {tries_left} tries left")
        self.tries_left = tries_left


class BindingLocked(MallError):
    """Too many wrong numbers, or codes: for a while they prove nothing to this sender, at this order or from this
    address."""

    def __init__(self, until: datetime) -> None:
        super().__init__("locked for proofs by a whole phone or a code")
        self.until = until


class NotBound(MallError):
    """The sender belongs to no customer yet."""


class CodeOver(MallError):
    """The code was used, has been replaced by a newer one, or is too old."""


class MergeRefused(MallError):
    """``why`` these two customers cannot become one: "same", "merged_already" (into somebody else), "demo" (one of them
    is invented), "role" (the one who goes works here), "own" (the operator is one of them)."""

    def __init__(self, why: str) -> None:
        super().__init__(f"cannot be merged: {why}")
        self.why = why


class NotPermitted(MallError):
    """The actor's role does not allow this command."""


class InvalidTransition(MallError):
    """The state machine has no such step."""


class InvalidCursor(MallError):
    """No page of a list ends there."""


class OutOfStock(MallError):
    pass


class StaleVersion(MallError):
    """Somebody has changed it since the caller looked; ``current`` is how it is now."""

    def __init__(self, current: StockLevel | PriceEntry | None) -> None:
        super().__init__("changed by somebody else meanwhile")
        self.current = current


class StillAllocated(MallError):
    """Fewer pieces than orders wait for cannot be there: settle some of them first. ``current`` is what is known."""

    def __init__(self, current: StockLevel) -> None:
        super().__init__("orders wait for more pieces")
        self.current = current


class CouponRefused(MallError):
    """``why`` it takes nothing off this order: "used", "expired" or "minimum"."""

    def __init__(self, why: str) -> None:
        super().__init__(f"coupon refused: {why}")
        self.why = why


class EnergyShort(MallError):
    """There is not enough energy for it: the customer's ``balance``, below zero where they owe some, and the ``price``
    of one coupon."""

    def __init__(self, balance: int, price: int) -> None:
        super().__init__(f"{balance} points, and one coupon takes {price}")
        self.balance = balance
        self.price = price
