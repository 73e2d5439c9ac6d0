"""The port to the mall: what the house may ask of any mall, and the plain values that come back.

Times are timezone-aware UTC ``datetime``; money is integer cents of CNY; a ``sender`` is ``"<channel>:<external id>"``.
Every command that writes takes an ``idempotency_key``: the same key with the same request gives the same result and
writes once; the same key with another request raises :class:`IdempotencyConflict`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import Protocol

from mall_adapter.proof_limits import Proof


class OrderStatus(StrEnum):
    PENDING_PAYMENT = "pending_payment"
    PAID = "paid"  # waiting to be shipped
    PRESALE = "presale"  # paid, ships on a promised later date
    SHIPPED = "shipped"
    DELIVERED = "delivered"
    COMPLETED = "completed"
    CANCELLED = "cancelled"


class TicketKind(StrEnum):
    RETURN = "return"
    EXCHANGE = "exchange"
    REFUND = "refund"  # money back without goods coming back (not shipped, lost, missing items)


class TicketStatus(StrEnum):
    OPEN = "open"
    APPROVED = "approved"
    GOODS_RECEIVED = "goods_received"
    REFUNDED = "refunded"
    EXCHANGED = "exchanged"
    CLOSED = "closed"
    REJECTED = "rejected"
    CANCELLED = "cancelled"


class Reason(StrEnum):
    """Why goods come back; the decision table and the bot's buttons use these names."""

    DISLIKE = "dislike"  # 颜色/款式不喜欢
    WRONG_SIZE = "wrong_size"  # 尺码不合适
    CHANGED_MIND = "changed_mind"  # 不想要了
    QUALITY = "quality"  # 质量问题
    DAMAGED = "damaged"  # 收到破损
    WRONG_ITEM = "wrong_item"  # 发错货
    MISSING_ITEM = "missing_item"  # 少件漏发
    NOT_AS_DESCRIBED = "not_as_described"  # 与描述不符
    LATE_DELIVERY = "late_delivery"  # 太久没到
    OTHER = "other"


class FreightPayer(StrEnum):
    CUSTOMER = "customer"
    SHOP = "shop"
    NOBODY = "nobody"  # no goods travel


@dataclass(frozen=True, slots=True)
class Customer:
    id: str
    name: str
    region: str


@dataclass(frozen=True, slots=True)
class OrderLine:
    id: str
    sku_id: str
    product_id: str
    product_name: str
    spec: str  # "黑色 42 码"
    category: str
    quantity: int
    unit_price_cents: int
    open_ticket_id: str | None  # a ticket on this line that is neither rejected nor cancelled


@dataclass(frozen=True, slots=True)
class TrackingEvent:
    time: datetime
    place: str
    text: str


@dataclass(frozen=True, slots=True)
class Shipment:
    id: str
    carrier: str
    tracking_number: str
    status: str  # created | in_transit | out_for_delivery | delivered | delayed | lost
    promised_by: datetime | None
    shipped_at: datetime | None
    delivered_at: datetime | None
    events: tuple[TrackingEvent, ...]  # oldest first


@dataclass(frozen=True, slots=True)
class Order:
    id: str
    status: OrderStatus
    placed_at: datetime
    total_cents: int
    ships_by: datetime | None  # promise for paid and presale orders
    delivered_at: datetime | None
    lines: tuple[OrderLine, ...]
    shipments: tuple[Shipment, ...]


@dataclass(frozen=True, slots=True)
class Decision:
    """What the decision table says about one request."""

    allowed: bool
    rule: str  # stable name of the row that decided: "seven_days_no_reason", "opened_cosmetics", …
    freight_payer: FreightPayer
    auto_approve: bool
    handling_days: int  # working days
    refund_cents: int  # what would be paid back, 0 for an exchange
    missing_facts: tuple[str, ...] = ()  # facts the table must know before it can decide: ("opened",)


@dataclass(frozen=True, slots=True)
class TicketEvent:
    time: datetime
    status: TicketStatus
    actor: str  # "customer" | "rule" | "operator" | "supplier"
    note: str


@dataclass(frozen=True, slots=True)
class Ticket:
    id: str  # "RT" + digits
    order_id: str
    kind: TicketKind
    status: TicketStatus
    reason: Reason
    line_ids: tuple[str, ...]
    summary: str  # product names and specs, for people
    categories: tuple[str, ...]  # of its goods
    in_transit: bool  # the parcel is still on its way to the customer
    decision: Decision
    due_on: date  # last working day of the promise, Asia/Shanghai
    created_at: datetime
    history: tuple[TicketEvent, ...]


@dataclass(frozen=True, slots=True)
class TicketRequest:
    order_id: str
    kind: TicketKind
    reason: Reason
    line_ids: tuple[str, ...] = ()  # empty: every line of the order
    opened: bool | None = None  # has the customer opened or used the goods? None: not asked
    note: str = ""  # the customer's own words, stored encrypted


@dataclass(frozen=True, slots=True)
class Coupon:
    id: str
    title: str
    off_cents: int
    min_spend_cents: int
    valid_until: datetime
    status: str  # unused | used | expired


@dataclass(frozen=True, slots=True)
class Sku:
    id: str
    spec: str
    price_cents: int
    available: int  # quantity - allocated - reserved


@dataclass(frozen=True, slots=True)
class Product:
    id: str
    name: str
    brand: str
    category: str
    supplier: str
    attributes: dict[str, str]
    skus: tuple[Sku, ...]


class Wish(StrEnum):
    """What a sender may want done to an order; see :func:`mall_adapter.eligibility.open_to`."""

    RETURN = "return"
    CANCEL = "cancel"
    CHANGE_DELIVERY = "change_delivery"
    INVOICE = "invoice"


@dataclass(frozen=True, slots=True)
class DeliveryChange:
    """What is to be changed before an order is shipped; None stays as it is."""

    recipient_name: str | None = None
    phone: str | None = None  # a mobile number of 11 digits
    address: str | None = None


@dataclass(frozen=True, slots=True)
class Delivery:
    """Where an order goes, and to whom."""

    recipient_name: str
    phone: str
    address: str


class InvoiceKind(StrEnum):
    PERSONAL = "personal"
    COMPANY = "company"


class InvoiceStatus(StrEnum):
    REQUESTED = "requested"
    ISSUED = "issued"
    REJECTED = "rejected"


@dataclass(frozen=True, slots=True)
class InvoiceRequest:
    order_id: str
    kind: InvoiceKind
    title: str
    tax_number: str | None = None  # a company's
    email: str | None = None  # where it is sent


@dataclass(frozen=True, slots=True)
class Invoice:
    id: str  # "FP" + digits
    order_id: str
    kind: InvoiceKind
    title: str
    tax_number: str | None
    email: str | None
    amount_cents: int
    status: InvoiceStatus
    created_at: datetime


class MallError(Exception):
    """A request that the mall refuses; the subclasses say why. Messages hold no personal data."""


class OrderNotFound(MallError):
    pass


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
    """A line of the request already has a live ticket."""

    def __init__(self, ticket: Ticket) -> None:
        super().__init__(f"ticket {ticket.id} is already open")
        self.ticket = ticket


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
    """Phone and order do not belong together; which of them is wrong is not told."""

    def __init__(self, tries_left: int) -> None:
        super().__init__(f"wrong proof, {tries_left} tries left")
        self.tries_left = tries_left


class BindingLocked(MallError):
    """Too many wrong numbers: for a while a whole phone proves nothing to this sender, at this order or from this
    address."""

    def __init__(self, until: datetime) -> None:
        super().__init__("locked for proofs by a whole phone")
        self.until = until


class InvalidTransition(MallError):
    """The state machine has no such step."""


class OutOfStock(MallError):
    pass


class IdempotencyConflict(MallError):
    pass


class Mall(Protocol):
    """One conformance suite (tests/mall_adapter) runs against every implementation."""

    # who is speaking
    async def customer_of(self, sender: str) -> Customer | None: ...
    async def bind(self, sender: str, customer_id: str) -> None: ...
    async def bind_with_proof(self, sender: str, phone: str, order_id: str, address: str | None = None) -> Customer:
        """Binds to the customer with this whole phone number (digits) who placed this order.

        Wrong tries are counted for the sender, the order and the caller's ``address`` (where the channel knows one;
        any name for it). Raises WrongProof, or BindingLocked.
        """

    # orders; each raises OwnershipRequired or OrderLocked, also for a number that no order has
    async def order(self, sender: str, order_id: str) -> Order: ...
    async def prove_ownership(self, sender: str, order_id: str, phone_tail: str, address: str | None = None) -> Order:
        """The proof holds until the order has another phone. Tries are counted as those of binding, and apart from
        them. Raises WrongPhoneTail, or OrderLocked."""

    async def prove_phone(self, sender: str, order_id: str, phone: str, address: str | None = None) -> Order:
        """By the whole phone (digits) on the order, which proves more than its tail, and opens what is locked for
        tails. Counted together with binding. Raises WrongProof, or BindingLocked."""

    async def proved(self, sender: str, order_id: str) -> Proof | None:
        """By what the sender has shown that the order is theirs; Proof.PHONE also for whoever is bound."""

    async def orders_of(self, sender: str, limit: int = 5) -> Sequence[Order]:
        """Newest first: orders of the bound customer and those whose ownership this sender has proved."""

    async def cancel_order(self, sender: str, order_id: str, idempotency_key: str) -> Order:
        """Before shipping and without a live ticket only; gives the stock back. Else raises InvalidTransition."""

    async def change_delivery(self, sender: str, order_id: str, change: DeliveryChange, idempotency_key: str) -> Order:
        """Before shipping only, else InvalidTransition; raises InvalidDelivery, and PhoneRequired to whom only the
        tail was proved.

        A new phone proves ownership from then on; who has proved it by the old one has to prove it anew.
        """

    async def delivery_of(self, sender: str, order_id: str) -> Delivery | None:
        """What is on the parcel; None for whoever has shown no more than the last four digits of the phone on it."""

    async def request_invoice(self, sender: str, request: InvoiceRequest, idempotency_key: str) -> Invoice:
        """For an order that is paid and not cancelled, else InvalidTransition; raises InvalidInvoice, InvoiceExists."""

    async def invoice_of(self, sender: str, order_id: str) -> Invoice | None:
        """The order's newest invoice that was not rejected."""

    async def place_order(self, customer_id: str, items: dict[str, int], idempotency_key: str) -> Order:
        """``items`` maps SKU ids to quantities; allocates stock or raises OutOfStock and changes nothing."""

    async def ship_order(self, order_id: str, carrier: str, tracking_number: str, idempotency_key: str) -> Order:
        """Raises InvalidTransition unless the order waits to be shipped and no ticket on it is being handled."""

    # after-sales
    async def assess(self, sender: str, request: TicketRequest) -> Decision:
        """What would be decided; writes nothing. Raises TicketExists where a line already has a live ticket."""

    async def after_sales_limits(self) -> dict[str, int]:
        """The days, hours and amounts that the rules compare with (``no_reason_days``, …), for telling them."""

    async def create_ticket(self, sender: str, request: TicketRequest, idempotency_key: str) -> Ticket:
        """Raises NotAllowed, TicketExists and what ``order`` raises."""

    async def ticket(self, sender: str, ticket_id: str) -> Ticket: ...
    async def tickets_of(self, sender: str, limit: int = 5) -> Sequence[Ticket]: ...
    async def cancel_ticket(self, sender: str, ticket_id: str, idempotency_key: str) -> Ticket: ...
    async def advance_ticket(
        self, ticket_id: str, to: TicketStatus, actor: str, note: str, idempotency_key: str
    ) -> Ticket:
        """The operator's and supplier's side of the state machine. Raises InvalidTransition."""

    # goods
    async def find_products(self, text: str, limit: int = 5) -> Sequence[Product]:
        """Products whose name, brand or category appears in ``text`` or the reverse, best first."""

    async def product(self, product_id: str) -> Product:
        """Raises NotFound."""

    # coupons
    async def coupons_of(self, sender: str) -> Sequence[Coupon]: ...
    async def grant_coupon(
        self, sender: str, title: str, off_cents: int, min_spend_cents: int, days: int, idempotency_key: str
    ) -> Coupon: ...
