"""The back office on our own tables."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from mall_adapter import (
    binding,
    merging,
    orders,
    parcels,
    permissions,
    placing,
    presale,
    prices,
    stocktaking,
    ticket_steps,
    tickets,
    worklists,
)
from mall_adapter import delivery as delivery_of
from mall_adapter.stock import Cause
from mall_adapter.transactions import Clock, Transactions, utc_now
from mall_adapter.values import (
    DeliveryChange,
    Merging,
    NewPrice,
    Order,
    OrderCase,
    OrderFilter,
    Page,
    ParcelStep,
    PriceEntry,
    StockLevel,
    StockSync,
    Supplier,
    Ticket,
    TicketCase,
    TicketFilter,
    TicketStatus,
    Waiting,
)
from storage import Actor

_AT_ONCE = 100


class SqlBackOffice:
    """Implements :class:`mall_adapter.ports.BackOffice` on SQLite and PostgreSQL; safe to share between tasks."""

    def __init__(self, engine: AsyncEngine, clock: Clock = utc_now) -> None:
        self.database = Transactions(engine, clock)

    async def bind(self, actor: Actor, sender: str, customer_id: str, idempotency_key: str) -> None:
        """Coupons that the sender held go along."""
        permissions.check(actor, "bind")

        async def bind(session: AsyncSession, now: datetime) -> None:
            await binding.bind(session, sender, customer_id, actor, now)

        request: Mapping[str, Any] = {"sender": sender, "customer_id": customer_id}
        await self.database.once(_caller(actor), idempotency_key, "bind", request, type(None), bind)

    async def merging(self, actor: Actor, kept_id: str, gone_id: str) -> Merging:
        permissions.check(actor, "merging")
        async with self.database.reading() as session:
            return await merging.preview(session, actor, kept_id, gone_id)

    async def merge_customers(self, actor: Actor, kept_id: str, gone_id: str, idempotency_key: str) -> Merging:
        permissions.check(actor, "merge_customers")

        async def merge(session: AsyncSession, now: datetime) -> Merging:
            return await merging.merge(session, actor, kept_id, gone_id, now)

        request = {"kept_id": kept_id, "gone_id": gone_id}
        return await self.database.once(_caller(actor), idempotency_key, "merge_customers", request, Merging, merge)

    # ---- orders ----

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
        permissions.check(actor, "place_order")
        if delivery is not None:
            delivery_of.check(delivery)
        basket = placing.Basket(customer_id, dict(items), coupon_id, card_token, delivery, paid)

        async def place(session: AsyncSession, now: datetime) -> Order:
            return await placing.place(session, basket, actor, now)

        request = {"basket": basket}
        return await self.database.once(_caller(actor), idempotency_key, "place_order", request, Order, place)

    async def pay_order(self, actor: Actor, order_id: str, idempotency_key: str) -> Order:
        permissions.check(actor, "pay_order")

        async def pay(session: AsyncSession, now: datetime) -> Order:
            await placing.pay(session, order_id, actor, now)
            return orders.to_order(await orders.read(session, order_id))

        request = {"order_id": order_id}
        return await self.database.once(_caller(actor), idempotency_key, "pay_order", request, Order, pay)

    async def expire_reservations(self) -> int:
        """Cancels the orders whose time to pay is over, one by one; how many."""
        async with self.database.reading() as session:
            due = await placing.unpaid(session, self.database.clock(), _AT_ONCE)
        expired = 0
        for order_id in due:
            async with self.database.writing() as session:
                expired += await placing.expire(session, order_id, self.database.clock())
        return expired

    # ---- stock and prices ----

    async def stock(self, actor: Actor, sku_id: str) -> Sequence[StockLevel]:
        permissions.check(actor, "stock")
        async with self.database.reading() as session:
            return await stocktaking.levels(session, actor, sku_id)

    async def receive_stock(
        self, actor: Actor, warehouse_id: str, sku_id: str, quantity: int, idempotency_key: str
    ) -> StockLevel:
        permissions.check(actor, "receive_stock")

        async def receive(session: AsyncSession, now: datetime) -> StockLevel:
            cause = Cause(f"{_caller(actor)}:{idempotency_key}", actor, now)
            return await stocktaking.receive(session, cause, warehouse_id, sku_id, quantity)

        request = {"warehouse_id": warehouse_id, "sku_id": sku_id, "quantity": quantity}
        return await self.database.once(_caller(actor), idempotency_key, "receive_stock", request, StockLevel, receive)

    async def count_stock(
        self,
        actor: Actor,
        warehouse_id: str,
        sku_id: str,
        quantity: int,
        idempotency_key: str,
        if_version: int | None = None,
    ) -> StockLevel:
        permissions.check(actor, "count_stock")

        async def count(session: AsyncSession, now: datetime) -> StockLevel:
            cause = Cause(f"{_caller(actor)}:{idempotency_key}", actor, now)
            return await stocktaking.count(session, cause, warehouse_id, sku_id, quantity, if_version)

        request = {"warehouse_id": warehouse_id, "sku_id": sku_id, "quantity": quantity, "if_version": if_version}
        return await self.database.once(_caller(actor), idempotency_key, "count_stock", request, StockLevel, count)

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
        permissions.check(actor, "adjust_stock")

        async def adjust(session: AsyncSession, now: datetime) -> StockLevel:
            cause = Cause(f"{_caller(actor)}:{idempotency_key}", actor, now)
            return await stocktaking.adjust(session, cause, warehouse_id, sku_id, by, reason, if_version)

        where = {"warehouse_id": warehouse_id, "sku_id": sku_id}
        request = where | {"by": by, "reason": reason, "if_version": if_version}
        return await self.database.once(_caller(actor), idempotency_key, "adjust_stock", request, StockLevel, adjust)

    async def sync_stock(
        self, actor: Actor, warehouse_id: str, quantities: Mapping[str, int], idempotency_key: str
    ) -> StockSync:
        permissions.check(actor, "sync_stock")

        async def sync(session: AsyncSession, now: datetime) -> StockSync:
            cause = Cause(f"{_caller(actor)}:{idempotency_key}", actor, now)
            return await stocktaking.sync(session, cause, warehouse_id, quantities)

        request = {"warehouse_id": warehouse_id, "quantities": quantities}
        return await self.database.once(_caller(actor), idempotency_key, "sync_stock", request, StockSync, sync)

    async def prices(self, actor: Actor, sku_id: str) -> Sequence[PriceEntry]:
        permissions.check(actor, "prices")
        async with self.database.reading() as session:
            return await prices.entries(session, actor, sku_id)

    async def set_price(
        self, actor: Actor, price: NewPrice, idempotency_key: str, if_version: int | None = None
    ) -> PriceEntry:
        permissions.check(actor, "set_price")

        async def change(session: AsyncSession, now: datetime) -> PriceEntry:
            return await prices.change(session, price, if_version, actor, now)

        request = {"price": price, "if_version": if_version}
        return await self.database.once(_caller(actor), idempotency_key, "set_price", request, PriceEntry, change)

    # ---- parcels ----

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
        permissions.check(actor, "ship")
        waybill = parcels.Waybill(carrier, tracking_number)

        async def ship(session: AsyncSession, now: datetime) -> Order:
            await parcels.ship(session, actor, order_id, waybill, lines, fulfilment_id, now)
            return orders.to_order(await orders.read(session, order_id))

        request = {"order_id": order_id, "waybill": waybill, "lines": lines, "fulfilment_id": fulfilment_id}
        return await self.database.once(_caller(actor), idempotency_key, "ship", request, Order, ship)

    async def parcel_moved(self, actor: Actor, shipment_id: str, step: ParcelStep, idempotency_key: str) -> Order:
        permissions.check(actor, "parcel_moved")

        async def move(session: AsyncSession, now: datetime) -> Order:
            order_id = await parcels.move(session, actor, shipment_id, step, now)
            return orders.to_order(await orders.read(session, order_id))

        request = {"shipment_id": shipment_id, "step": step}
        return await self.database.once(_caller(actor), idempotency_key, "parcel_moved", request, Order, move)

    async def presale_moved(
        self, actor: Actor, product_id: str, ships_by: datetime, idempotency_key: str, sku_id: str | None = None
    ) -> Sequence[str]:
        permissions.check(actor, "presale_moved")

        async def move(session: AsyncSession, now: datetime) -> list[str]:
            await permissions.check_own(session, actor, "product", product_id)
            return await presale.move(session, actor, product_id, sku_id, ships_by, now)

        request = {"product_id": product_id, "sku_id": sku_id, "ships_by": ships_by}
        return await self.database.once(_caller(actor), idempotency_key, "presale_moved", request, list[str], move)

    # ---- after-sales ----

    async def advance_ticket(
        self, actor: Actor, ticket_id: str, to: TicketStatus, note: str, idempotency_key: str
    ) -> Ticket:
        """Paid back before shipping, the goods stay in the shop's stock."""
        permissions.check(actor, "advance_ticket")
        permissions.check_step(actor, to)

        async def advance(session: AsyncSession, now: datetime) -> None:
            await ticket_steps.advance(session, ticket_id, to, actor, note, now)

        request = {"to": to, "note": note}
        return await self._ticket_step(actor, "advance_ticket", ticket_id, request, idempotency_key, advance)

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
        async def receive(session: AsyncSession, now: datetime) -> None:
            await ticket_steps.receive(session, ticket_id, received, sellable, actor, note, now)

        request = {"received": received, "sellable": sellable, "note": note}
        return await self._ticket_step(actor, "receive_goods", ticket_id, request, idempotency_key, receive)

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
        async def refund(session: AsyncSession, now: datetime) -> None:
            await ticket_steps.refund(session, ticket_id, cents, actor, note, now, if_refunded)

        request = {"cents": cents, "note": note, "if_refunded": if_refunded}
        return await self._ticket_step(actor, "refund", ticket_id, request, idempotency_key, refund)

    async def _ticket_step(
        self,
        actor: Actor,
        command: str,
        ticket_id: str,
        request: Mapping[str, Any],
        idempotency_key: str,
        step: Callable[[AsyncSession, datetime], Awaitable[None]],
    ) -> Ticket:
        permissions.check(actor, command)

        async def do(session: AsyncSession, now: datetime) -> Ticket:
            await permissions.check_own(session, actor, "ticket", ticket_id)
            await step(session, now)
            return tickets.to_ticket(await tickets.read(session, ticket_id))

        asked = {"ticket_id": ticket_id, **request}
        return await self.database.once(_caller(actor), idempotency_key, command, asked, Ticket, do)

    # ---- what there is to do ----

    async def waiting(self, actor: Actor) -> Waiting:
        permissions.check(actor, "waiting")
        async with self.database.reading() as session:
            return await worklists.waiting(session, actor, self.database.clock())

    async def tickets(
        self, actor: Actor, wanted: TicketFilter, cursor: str | None = None, limit: int = 50
    ) -> Page[Ticket]:
        permissions.check(actor, "tickets")
        async with self.database.reading() as session:
            return await worklists.find_tickets(session, actor, wanted, cursor, limit, self.database.clock())

    async def ticket(self, actor: Actor, ticket_id: str) -> TicketCase:
        permissions.check(actor, "ticket")
        async with self.database.reading() as session:
            return await worklists.ticket_case(session, actor, ticket_id)

    async def orders(
        self, actor: Actor, wanted: OrderFilter, cursor: str | None = None, limit: int = 50
    ) -> Page[Order]:
        permissions.check(actor, "orders")
        async with self.database.reading() as session:
            return await worklists.find_orders(session, actor, wanted, cursor, limit, self.database.clock())

    async def order(self, actor: Actor, order_id: str) -> OrderCase:
        permissions.check(actor, "order")
        async with self.database.reading() as session:
            return await worklists.order_case(session, actor, order_id)

    async def suppliers(self, actor: Actor) -> Sequence[Supplier]:
        permissions.check(actor, "suppliers")
        async with self.database.reading() as session:
            return await worklists.suppliers(session)


def _caller(actor: Actor) -> str:
    """To whom a key belongs."""
    return f"{actor.role}:{actor.principal_id or actor.channel or ''}"
