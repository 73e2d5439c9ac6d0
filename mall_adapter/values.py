"""Plain values that go to the mall and come back.

Times are timezone-aware UTC ``datetime``; money is integer cents of CNY; a ``sender`` is ``"<channel>:<external id>"``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum
from typing import Generic, TypeVar

Item = TypeVar("Item")


class OrderStatus(StrEnum):
    PENDING_PAYMENT = "pending_payment"
    PAID = "paid"  # waiting to be shipped
    PRESALE = "presale"  # paid, ships on a promised later date
    SHIPPED = "shipped"
    DELIVERED = "delivered"
    COMPLETED = "completed"
    CANCELLED = "cancelled"


class ParcelStatus(StrEnum):
    """How far a parcel is, in the order of its way."""

    CREATED = "created"
    IN_TRANSIT = "in_transit"
    DELAYED = "delayed"
    OUT_FOR_DELIVERY = "out_for_delivery"
    LOST = "lost"
    DELIVERED = "delivered"


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


UNSETTLED = (TicketStatus.OPEN, TicketStatus.APPROVED, TicketStatus.GOODS_RECEIVED)
"""What somebody still waits for."""


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
    free: int  # pieces that no ticket is about; those that were exchanged are free again
    ticket_ids: tuple[str, ...]  # that pieces of it are in, oldest first; none rejected, cancelled or exchanged
    unsent: int = 0  # pieces that have still to leave the shop
    discount_cents: int = 0  # of the order's, for all pieces
    ships_by: datetime | None = None  # of what is sold before it is there, or made to order

    @property
    def open_ticket_id(self) -> str | None:
        """The newest of them."""
        return self.ticket_ids[-1] if self.ticket_ids else None


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
    status: str  # a ParcelStatus
    promised_by: datetime | None  # by the shop; a right to a refund counts from it
    shipped_at: datetime | None
    delivered_at: datetime | None
    events: tuple[TrackingEvent, ...]  # oldest first
    lines: Mapping[str, int] = field(default_factory=dict)  # pieces by order line; empty where nobody wrote it down
    expected_by: datetime | None = None  # as the carrier says now, of a delayed one


@dataclass(frozen=True, slots=True)
class ParcelStep:
    """What a carrier tells of a parcel. ``text`` and ``place`` are for the customer; a step without words gets some."""

    status: ParcelStatus  # any but created
    at: datetime
    place: str = ""
    text: str = ""
    expected_by: datetime | None = None  # of a delay, and of nothing else


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
    discount_cents: int = 0  # that the lines share
    freight_cents: int = 0
    paid_at: datetime | None = None
    pay_by: datetime | None = None  # till then an unpaid order keeps its goods


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
    freight_cents: int = 0  # of what would be paid back, for the freight that was paid


@dataclass(frozen=True, slots=True)
class TicketEvent:
    time: datetime
    status: TicketStatus
    actor: str  # "customer" | "rule" | "operator" | "supplier"
    note: str


@dataclass(frozen=True, slots=True)
class TicketLine:
    """Pieces of an order's line that a ticket is about."""

    line_id: str
    title: str  # product name and spec
    quantity: int
    received: int | None  # of them came back; None: nobody has counted
    paid_cents: int  # what was paid for those that count


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
    lines: tuple[TicketLine, ...]
    refunded_cents: int  # paid back so far

    @property
    def cents(self) -> int:
        """The money of it: what was paid back where that is done, else what would be; 0 for an exchange."""
        return self.refunded_cents or self.decision.refund_cents


@dataclass(frozen=True, slots=True)
class TicketRequest:
    order_id: str
    kind: TicketKind
    reason: Reason
    line_ids: tuple[str, ...] = ()  # empty: every line of the order
    opened: bool | None = None  # has the customer opened or used the goods? None: not asked
    note: str = ""  # the customer's own words, stored encrypted
    quantities: Mapping[str, int] | None = None  # pieces of a line; of one that is left out all that are free


@dataclass(frozen=True, slots=True)
class Coupon:
    id: str
    title: str
    off_cents: int
    min_spend_cents: int
    valid_until: datetime
    status: str  # unused | used | expired


class Feeling(StrEnum):
    """Why an offer is thought of."""

    WORRY = "worry"
    ANGER = "anger"
    URGE = "urge"
    UNASKED = "unasked"  # nobody has said anything: something happened to the order


class Standing(StrEnum):
    """Where an order stands, as far as somebody may worry about it."""

    PRESALE = "presale"
    WAITING = "waiting"  # to be sent, or on its way, and in time
    LATE = "late"  # was to be sent, or to arrive, before now
    LOST = "lost"
    DELIVERED = "delivered"


class OfferKind(StrEnum):
    COUPON = "coupon"
    POINTS = "points"  # energy
    FREIGHT = "freight"  # what goes back of the order goes back at the shop's cost
    FASTER = "faster"  # colleagues are to see that it goes faster
    PERSON = "person"  # money is not the answer
    NONE = "none"


class OfferState(StrEnum):
    OFFERED = "offered"
    ACCEPTED = "accepted"
    DECLINED = "declined"
    EXPIRED = "expired"
    WITHHELD = "withheld"  # the experiment's: this customer gets none
    REFUSED = "refused"  # a pattern of claims


@dataclass(frozen=True, slots=True)
class Offer:
    """What somebody who worries is offered for an order; ``good_until`` then it is over."""

    id: str
    order_id: str
    kind: OfferKind
    value_cents: int
    min_spend_cents: int
    valid_days: int  # of its coupon or its points
    state: OfferState
    good_until: datetime
    points: int  # of energy


@dataclass(frozen=True, slots=True)
class Sku:
    id: str
    spec: str
    price_cents: int
    available: int  # pieces that are free to sell


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


@dataclass(frozen=True, slots=True)
class Listing:
    """A product as the whole catalogue shows it: its kinds only by what the cheapest and the dearest cost."""

    id: str
    name: str
    brand: str
    category: str
    supplier_id: str
    supplier: str
    price_min_cents: int
    price_max_cents: int
    in_stock: bool
    image: str | None
    attributes: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class PriceDrop:
    """What a line's goods cost now where the order goes, beside what was paid for them; cents of one piece."""

    line_id: str
    quantity: int
    paid_cents: int
    now_cents: int | None  # None: not sold any more
    until: date  # last day, in Asia/Shanghai, on which a lower price is made good

    @property
    def difference_cents(self) -> int:
        """For all pieces of the line."""
        return 0 if self.now_cents is None else max(0, self.paid_cents - self.now_cents) * self.quantity


@dataclass(frozen=True, slots=True)
class StockLevel:
    """Pieces of a SKU in a warehouse; ``version`` grows with every change of what lies there or is held back."""

    warehouse_id: str
    sku_id: str
    on_hand: int
    allocated: int
    held: int
    version: int


@dataclass(frozen=True, slots=True)
class StockSync:
    """What a whole warehouse's stock, told at once, has changed."""

    changed: int  # SKUs
    short: tuple[str, ...]  # SKUs of which orders wait for more than were told: so many are kept
    unknown: tuple[str, ...]  # SKUs that the warehouse's supplier has not


class PriceKind(StrEnum):
    LIST = "list"  # always one at a time
    CAMPAIGN = "campaign"  # counts where it is lower; several may overlap
    MEMBER = "member"  # for members only


@dataclass(frozen=True, slots=True)
class NewPrice:
    """A list price lasts until the next one; a campaign's and a member's until its end."""

    sku_id: str
    cents: int
    kind: PriceKind = PriceKind.LIST
    region: str | None = None  # None: everywhere
    valid_from: datetime | None = None  # None: now
    valid_until: datetime | None = None


@dataclass(frozen=True, slots=True)
class PriceEntry:
    """A row of the price list; ``region`` None: everywhere, ``valid_until`` None: until it is followed by another."""

    id: int
    sku_id: str
    region: str | None
    kind: PriceKind
    cents: int
    valid_from: datetime
    valid_until: datetime | None
    version: int


# ---- the back office ----


@dataclass(frozen=True, slots=True)
class Page(Generic[Item]):
    """A part of a list; ``next`` is the cursor of what follows it, None at the end."""

    items: tuple[Item, ...]
    next: str | None


class TicketQueue(StrEnum):
    """What a ticket waits for."""

    APPROVAL = "approval"  # whether the request is granted
    GOODS = "goods"  # the goods to come back
    SETTLEMENT = "settlement"  # money to be paid back, or the exchanged goods to be sent


class OrderQueue(StrEnum):
    """Why somebody has to look at an order."""

    TO_SHIP = "to_ship"
    LATE = "late"  # not shipped, or a parcel not arrived, by the time that was promised
    LOST = "lost"  # a parcel that is lost, and has not been made good yet


@dataclass(frozen=True, slots=True)
class TicketFilter:
    """Tickets that fit all that is named. ``text`` is the beginning of a ticket's or an order's number, with or without
    its letters, or a customer's whole phone number."""

    queue: TicketQueue | None = None
    kind: TicketKind | None = None
    reason: Reason | None = None
    supplier_id: str | None = None
    overdue: bool = False  # not settled, though the promised day is over
    waiting_days: int = 0  # asked for at least so many days ago
    text: str = ""
    newest_first: bool = False


@dataclass(frozen=True, slots=True)
class OrderFilter:
    """Orders that fit all that is named. ``text`` is the beginning of an order's number, with or without its letters, a
    parcel's whole number, or a customer's whole phone number."""

    queue: OrderQueue | None = None
    supplier_id: str | None = None
    waiting_days: int = 0
    text: str = ""
    newest_first: bool = False


@dataclass(frozen=True, slots=True)
class Waiting:
    """How many are in each queue."""

    tickets: Mapping[TicketQueue, int]
    orders: Mapping[OrderQueue, int]


@dataclass(frozen=True, slots=True)
class TicketCase:
    """A ticket with what is needed to decide on it. ``order`` holds of other suppliers' lines none for a supplier."""

    ticket: Ticket
    note: str  # the customer's own words
    order: Order
    customer: Customer
    steps: tuple[TicketStatus, ...]  # where it may go from here
    due_cents: int  # to be paid back now
    most_cents: int  # that may be paid back; with what was paid for freight
    hands: tuple[str | None, ...]  # who took each step of its history, by name; None: the house, or a customer
    conversations: tuple[str, ...]  # keyed hashes: the customer's, and of who proved the order; newest first


@dataclass(frozen=True, slots=True)
class OrderCase:
    order: Order
    customer: Customer
    delivery: Delivery
    tickets: tuple[Ticket, ...]  # newest first
    conversations: tuple[str, ...]  # as those of a ticket


@dataclass(frozen=True, slots=True)
class Supplier:
    id: str
    name: str


class Proof(StrEnum):
    """What is named to prove that an order, or an account, is one's own."""

    TAIL = "tail"  # the last four digits of the order's phone
    PHONE = "phone"  # the whole number
    CODE = "code"  # a one-time code from another account of one's own; it proves no single order


@dataclass(frozen=True, slots=True)
class BindingCode:
    """Six digits, which bind the next account that tells them."""

    code: str = field(repr=False)
    good_until: datetime


@dataclass(frozen=True, slots=True)
class Masked:
    """Somebody, as whoever has not proved to be them may be told."""

    name: str  # "周*"


@dataclass(frozen=True, slots=True)
class Holdings:
    """What belongs to a customer, in numbers."""

    orders: int
    total_cents: int  # of the orders
    refunded_cents: int
    tickets: int
    open_tickets: int
    coupons: int  # that can still be used, or were
    accounts: tuple[str, ...]  # channels of the bound accounts, one each


@dataclass(frozen=True, slots=True)
class Mergeable:
    customer: Customer
    since: datetime
    holdings: Holdings


@dataclass(frozen=True, slots=True)
class Merging:
    """Two customers who are one person: everything of ``gone`` becomes, or became (``done``), that of ``kept``."""

    kept: Mergeable
    gone: Mergeable
    done: bool
    obstacle: str | None = None  # why it cannot be: MergeRefused.why


@dataclass(frozen=True, slots=True)
class Energy:
    """A customer's energy, in points. What is owed is paid by the next that comes; then nothing is ``active``."""

    active: int  # can be spent
    owed: int  # spent before what earned it came back
    pending: int  # earned, but what earned it may still come back
    held: int  # a colleague looks at it first
    expiring: int  # of what can be spent, ends within days
    expires_at: datetime | None  # the first of that: the moment from which on it is gone

    @property
    def balance(self) -> int:
        return self.active - self.owed


class EnergyChange(StrEnum):
    EARNED = "earned"
    REDEEMED = "redeemed"
    EXPIRED = "expired"
    TAKEN_BACK = "taken_back"  # what had earned it came back


@dataclass(frozen=True, slots=True)
class EnergyEntry:
    """What has come or gone at once, and what for."""

    at: datetime
    change: EnergyChange
    points: int  # negative where they went
    event: str | None = None  # what a friend did: opening, bind, order; or offer: the shop gave them
    level: int | None = None  # of a friend: 1, of a friend's friend: 2
    waits: str | None = None  # held or pending: of what was earned and cannot be spent yet
    until: datetime | None = None  # of what is pending, where that is known


@dataclass(frozen=True, slots=True)
class EnergyRedemption:
    """Energy that has become coupons."""

    coupons: tuple[Coupon, ...]
    points: int
    balance: int  # what is left


@dataclass(frozen=True, slots=True)
class Carrier:
    """Somebody who passes a salesperson's cards on."""

    name: str | None  # masked; None: nobody knows who they are
    people: int  # who came by them
    points: int  # that they have earned by it
