"""The ports to a mall: what the house may ask of any, for a customer and for those who work in it.

Every command that writes takes an ``idempotency_key`` of the caller's: the same key with the same request has its
effect once and gives the first answer again; with another request it raises :class:`storage.IdempotencyConflict`.
One conformance suite (tests/mall_adapter) runs against every implementation.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol

from mall_adapter.values import (
    BindingCode,
    Carrier,
    Coupon,
    Customer,
    Decision,
    Delivery,
    DeliveryChange,
    Energy,
    EnergyEntry,
    EnergyRedemption,
    Invoice,
    InvoiceRequest,
    Listing,
    Masked,
    Merging,
    NewPrice,
    Order,
    OrderCase,
    OrderFilter,
    Page,
    ParcelStep,
    PriceDrop,
    PriceEntry,
    Product,
    Proof,
    StockLevel,
    StockSync,
    Supplier,
    Ticket,
    TicketCase,
    TicketFilter,
    TicketRequest,
    TicketStatus,
    Waiting,
)
from storage import Actor


class CustomerMall(Protocol):
    """What the house asks for a sender. Whose an order is, the mall decides."""

    # who is speaking
    async def customer_of(self, sender: str) -> Customer | None: ...
    async def bind_with_proof(
        self, sender: str, phone: str, order_id: str, idempotency_key: str, address: str | None = None
    ) -> Customer:
        """Binds to the customer with this whole phone number (digits) who placed this order.

        Wrong tries are counted for the sender, the order and the caller's ``address`` (where the channel knows one;
        any name for it); a try that comes again under its key is one. Raises WrongProof, or BindingLocked; as all
        proofs do, InPublic for a sender who is in a group.
        """

    async def unbind(self, sender: str, idempotency_key: str) -> None:
        """A visitor from now on, who has proved nothing; whoever is one already stays one."""

    async def make_binding_code(self, sender: str, idempotency_key: str) -> BindingCode:
        """Binds one other account to the sender's customer, within a few minutes; an earlier code is over. Raises
        NotBound."""

    async def whose_code(self, sender: str, code: str, idempotency_key: str, address: str | None = None) -> Masked:
        """To whom the code would bind; it stays good. Wrong codes are counted, together with those of
        :meth:`bind_with_code`, as wrong tries of binding are, and apart from them. Raises WrongProof, CodeOver, or
        BindingLocked."""

    async def bind_with_code(
        self, sender: str, code: str, idempotency_key: str, address: str | None = None
    ) -> Customer:
        """Binds to the customer who got the code, and uses it up. Raises what :meth:`whose_code` raises."""

    # orders; each raises OwnershipRequired or OrderLocked, also for a number that no order has
    async def order(self, sender: str, order_id: str) -> Order: ...
    async def prove_ownership(
        self, sender: str, order_id: str, phone_tail: str, idempotency_key: str, address: str | None = None
    ) -> Order:
        """The proof holds until the order has another phone. Tries are counted as those of binding, and apart from
        them. Raises WrongPhoneTail, or OrderLocked."""

    async def prove_phone(
        self, sender: str, order_id: str, phone: str, idempotency_key: str, address: str | None = None
    ) -> Order:
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

    async def price_drops(self, sender: str, order_id: str) -> Sequence[PriceDrop]:
        """What each line of the order costs now where it goes, beside what was paid, and how long that matters."""

    async def invoice_of(self, sender: str, order_id: str) -> Invoice | None:
        """The order's newest invoice that was not rejected."""

    # after-sales
    async def assess(self, sender: str, request: TicketRequest) -> Decision:
        """What would be decided; writes nothing. Raises InvalidQuantity, and TicketExists where no piece of a line is
        free."""

    async def terms(self) -> dict[str, int]:
        """What the mall keeps to, for telling it: days, hours, cents and tries by name (``no_reason_days``, …)."""

    async def create_ticket(self, sender: str, request: TicketRequest, idempotency_key: str) -> Ticket:
        """For pieces that are free alone: not in another ticket, or exchanged. Raises NotAllowed, TicketExists,
        InvalidQuantity and what ``order`` raises."""

    async def ticket(self, sender: str, ticket_id: str) -> Ticket: ...
    async def tickets_of(self, sender: str, limit: int = 5) -> Sequence[Ticket]: ...
    async def cancel_ticket(self, sender: str, ticket_id: str, idempotency_key: str) -> Ticket: ...
    # goods
    async def catalogue(self) -> Sequence[Listing]:
        """Every product that is sold in at least one kind, by id."""

    async def products(self, ids: Sequence[str]) -> Sequence[Product]:
        """In the order of ``ids``; one that there is not is left out."""

    async def product(self, product_id: str) -> Product:
        """Raises NotFound."""

    # coupons
    async def coupons_of(self, sender: str) -> Sequence[Coupon]: ...
    async def grant_coupon(
        self, sender: str, title: str, off_cents: int, min_spend_cents: int, days: int, idempotency_key: str
    ) -> Coupon: ...

    # energy; each but the last raises NotBound
    async def energy_of(self, sender: str) -> Energy: ...
    async def energy_history(self, sender: str, limit: int = 10) -> Sequence[EnergyEntry]:
        """What came and went, the newest first."""

    async def settle_energy(self, sender: str, idempotency_key: str) -> int:
        """Lets the customer spend what is due already; how many points that is. The house does so by itself, too."""

    async def redeem_energy(self, sender: str, coupons: int, idempotency_key: str) -> EnergyRedemption:
        """Energy becomes so many coupons at once, the oldest of it first. Raises EnergyShort, or ValueError for a
        number that cannot be."""

    async def energy_carriers(self, sender: str, limit: int = 10) -> Sequence[Carrier]:
        """Who passes on the cards of this salesperson, and brings most. Raises NotPermitted to anybody else."""


class BackOffice(Protocol):
    """What those may do who work in the mall; each command checks the actor's role and raises NotPermitted."""

    async def bind(self, actor: Actor, sender: str, customer_id: str, idempotency_key: str) -> None:
        """In place of an earlier customer. Raises NotFound."""

    async def merging(self, actor: Actor, kept_id: str, gone_id: str) -> Merging:
        """What :meth:`merge_customers` would do, and what is in its way; writes nothing. Raises NotFound."""

    async def merge_customers(self, actor: Actor, kept_id: str, gone_id: str, idempotency_key: str) -> Merging:
        """Two customers are one person: orders with their tickets and invoices, coupons and channel accounts of the one
        become the other's, whose name, phone and address stay. The id and the phone of who is gone lead to who is kept
        from then on. Again it changes nothing. Raises NotFound, MergeRefused."""

    # orders
    async def place_order(
        self,
        actor: Actor,
        customer_id: str,
        items: Mapping[str, int],
        idempotency_key: str,
        *,
        coupon_id: str | None = None,
        card_token: str | None = None,
        delivery: DeliveryChange | None = None,
        paid: bool = True,
    ) -> Order:
        """``items`` maps SKU ids to quantities; allocates stock or raises OutOfStock and changes nothing.

        A SKU that no warehouse has all pieces of comes as several lines. ``delivery``: where it goes, other than to the
        customer's address. Not ``paid`` it waits for :meth:`pay_order`, for a while. Raises CouponRefused,
        InvalidDelivery, NotFound.
        """

    async def pay_order(self, actor: Actor, order_id: str, idempotency_key: str) -> Order:
        """Raises InvalidTransition for an order that waits for no payment."""

    # stock and prices; a supplier sees and changes what is theirs, and nothing else
    async def stock(self, actor: Actor, sku_id: str) -> Sequence[StockLevel]:
        """By warehouse. Raises NotFound."""

    async def receive_stock(
        self, actor: Actor, warehouse_id: str, sku_id: str, quantity: int, idempotency_key: str
    ) -> StockLevel:
        """More pieces from the supplier. Raises NotFound, ValueError."""

    async def count_stock(
        self,
        actor: Actor,
        warehouse_id: str,
        sku_id: str,
        quantity: int,
        idempotency_key: str,
        if_version: int | None = None,
    ) -> StockLevel:
        """So many pieces lie there, those of orders among them. ``if_version``: as it was when they were counted, 0
        where there was none; None: as it is now.

        Raises NotFound, StaleVersion, and StillAllocated where orders wait for more.
        """

    async def adjust_stock(
        self,
        actor: Actor,
        warehouse_id: str,
        sku_id: str,
        by: int,
        reason: str,
        idempotency_key: str,
        if_version: int | None = None,
    ) -> StockLevel:
        """So many pieces more, or fewer, for a reason; else like :meth:`count_stock`."""

    async def sync_stock(
        self, actor: Actor, warehouse_id: str, quantities: Mapping[str, int], idempotency_key: str
    ) -> StockSync:
        """What lies in the warehouse by SKU, as another system has it; what is not named stays. Raises NotFound."""

    async def prices(self, actor: Actor, sku_id: str) -> Sequence[PriceEntry]:
        """All that there ever were or will be. Raises NotFound."""

    async def set_price(
        self, actor: Actor, price: NewPrice, idempotency_key: str, if_version: int | None = None
    ) -> PriceEntry:
        """A list price closes the one before, whose version ``if_version`` is (0: there was none; None: whichever).

        Raises NotFound, StaleVersion, ValueError.
        """

    # parcels; a supplier sends and follows what is theirs, and nothing else
    async def ship(
        self,
        actor: Actor,
        order_id: str,
        carrier: str,
        tracking_number: str,
        idempotency_key: str,
        lines: Mapping[str, int] | None = None,
        fulfilment_id: str | None = None,
    ) -> Order:
        """Hands a parcel to a carrier: ``lines`` (pieces by order line), or all that waits, of one fulfilment or of the
        whole order. The order is shipped with the last piece that is to be sent.

        Raises OrderNotFound, NotFound (line or fulfilment), and InvalidTransition where so many pieces do not wait, or
        a ticket on one of the lines is being handled.
        """

    async def parcel_moved(self, actor: Actor, shipment_id: str, step: ParcelStep, idempotency_key: str) -> Order:
        """What the carrier tells. A step that comes late, twice or out of order is kept among the events by its time,
        and does not turn the parcel back; the order is delivered with its last parcel.

        Raises NotFound, or ValueError for a step that cannot be (in the future, a delay without a date).
        """

    async def presale_moved(
        self, actor: Actor, product_id: str, ships_by: datetime, idempotency_key: str, sku_id: str | None = None
    ) -> Sequence[str]:
        """The new promise of all that still waits of a presale, or of one of its kinds; the orders whose promise moved.

        Raises NotFound, or ValueError for a date that is over.
        """

    # after-sales
    async def advance_ticket(
        self, actor: Actor, ticket_id: str, to: TicketStatus, note: str, idempotency_key: str
    ) -> Ticket:
        """One step of the state machine; to goods_received and refunded with everything that was announced and
        promised. Raises InvalidTransition."""

    async def receive_goods(
        self,
        actor: Actor,
        ticket_id: str,
        received: Mapping[str, int] | None,
        note: str,
        idempotency_key: str,
        *,
        sellable: Mapping[str, int] | None = None,
    ) -> Ticket:
        """So many pieces came back, by order line; None: all that were announced, and a line that is left out: none.

        Where fewer came, less is paid back, and the others may have another ticket. ``sellable`` of them go into stock
        once the ticket is settled. Raises InvalidQuantity, InvalidTransition.
        """

    async def refund(
        self,
        actor: Actor,
        ticket_id: str,
        cents: int | None,
        note: str,
        idempotency_key: str,
        *,
        if_refunded: int | None = None,
    ) -> Ticket:
        """Pays back what is promised (None), or another sum up to what was paid for its pieces and for freight and has
        not gone back yet. Again for more of a ticket that is refunded. ``if_refunded``: the cents that had gone back
        when it was decided; None: whatever has. Raises InvalidRefund, InvalidTransition."""

    # what there is to do; a supplier is shown what their own goods are in
    async def waiting(self, actor: Actor) -> Waiting: ...
    async def tickets(
        self, actor: Actor, wanted: TicketFilter, cursor: str | None = None, limit: int = 50
    ) -> Page[Ticket]:
        """The oldest first, unless ``wanted`` says otherwise. Raises InvalidCursor."""

    async def ticket(self, actor: Actor, ticket_id: str) -> TicketCase:
        """Raises NotFound."""

    async def orders(
        self, actor: Actor, wanted: OrderFilter, cursor: str | None = None, limit: int = 50
    ) -> Page[Order]:
        """The oldest first, unless ``wanted`` says otherwise. Raises InvalidCursor."""

    async def order(self, actor: Actor, order_id: str) -> OrderCase:
        """Raises NotFound."""

    async def suppliers(self, actor: Actor) -> Sequence[Supplier]:
        """By name."""
