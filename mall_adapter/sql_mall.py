"""The mall on our own tables: one transaction around each request; what happens in it is each capability's matter."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker

from mall_adapter import binding, coupons, delivery, invoices, models, orders, ownership, proofs, tickets
from mall_adapter.catalogue import Catalogue
from mall_adapter.database import WRITES
from mall_adapter.idempotency import claim
from mall_adapter.mall import (
    Coupon,
    Customer,
    Decision,
    Delivery,
    DeliveryChange,
    Invoice,
    InvoiceRequest,
    NotFound,
    Order,
    OwnershipRequired,
    PhoneRequired,
    Product,
    Ticket,
    TicketRequest,
    TicketStatus,
)
from mall_adapter.policy import AfterSalesPolicy
from mall_adapter.proof_limits import Proof, ProofLimits
from privacy import damaged_as

UNREADABLE = "（暂时无法显示）"
"""What customers see in place of words that do not open."""


class SqlMall:
    """Implements :class:`mall_adapter.mall.Mall` on SQLite and PostgreSQL; safe to share between tasks.

    ``policy`` are the after-sales rules and ``limits`` those of wrong proofs (default: those of the house), ``clock``
    gives the aware present.
    """

    def __init__(
        self,
        engine: AsyncEngine,
        policy: AfterSalesPolicy | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        limits: ProofLimits | None = None,
    ) -> None:
        self._sessions = async_sessionmaker(engine)
        self._writing_sessions = async_sessionmaker(engine.execution_options(**WRITES))
        self._policy = policy or AfterSalesPolicy.load()
        self._limits = limits or ProofLimits.load()
        self._clock = clock
        self._catalogue = Catalogue()

    # In both, a name or a note that does not open is told as such: a customer goes on without it.

    @asynccontextmanager
    async def _reading(self) -> AsyncIterator[AsyncSession]:
        with damaged_as(UNREADABLE):
            async with self._sessions() as session:
                yield session

    @asynccontextmanager
    async def _transaction(self) -> AsyncIterator[AsyncSession]:
        with damaged_as(UNREADABLE):
            async with self._writing_sessions.begin() as session:
                yield session

    # ---- who is speaking ----

    async def customer_of(self, sender: str) -> Customer | None:
        account = models.ChannelAccount
        query = (
            select(models.Customer)
            .join(account, account.customer_id == models.Customer.id)
            .where(account.sender_index == models.sender_index(sender))
        )
        async with self._reading() as session:
            customer = await session.scalar(query)
            return Customer(customer.id, customer.name, customer.region) if customer else None

    async def bind(self, sender: str, customer_id: str) -> None:
        """In place of an earlier customer; coupons that the sender held go along."""
        async with self._transaction() as session:
            if await session.get(models.Customer, customer_id) is None:
                raise NotFound(customer_id)
            await binding.bind(session, sender, customer_id, self._clock())

    async def bind_with_proof(self, sender: str, phone: str, order_id: str, address: str | None = None) -> Customer:
        attempt = proofs.Attempt(Proof.PHONE, sender, order_id, address)
        async with self._transaction() as session:
            proved = await binding.prove(session, self._limits, attempt, phone, self._clock())
            if isinstance(proved, str):
                await binding.bind(session, sender, proved, self._clock())
                customer = await session.get_one(models.Customer, proved)
                return Customer(customer.id, customer.name, customer.region)
        raise proved

    # ---- orders ----

    async def order(self, sender: str, order_id: str) -> Order:
        async with self._reading() as session:
            return orders.to_order(await self._owned(session, sender, order_id))

    async def _owned(self, session: AsyncSession, sender: str, order_id: str) -> models.Order:
        return await ownership.owned(session, self._limits, sender, order_id, self._clock())

    async def prove_ownership(self, sender: str, order_id: str, phone_tail: str, address: str | None = None) -> Order:
        """Proving twice is one proof. What is locked is refused without a write: guessers hold up nobody."""
        attempt = proofs.Attempt(Proof.TAIL, sender, order_id, address)
        try:
            async with self._reading() as session:
                found = await ownership.owned(session, self._limits, sender, order_id, self._clock(), address)
                return orders.to_order(found)
        except OwnershipRequired:
            return await self._prove(attempt, phone_tail)

    async def prove_phone(self, sender: str, order_id: str, phone: str, address: str | None = None) -> Order:
        return await self._prove(proofs.Attempt(Proof.PHONE, sender, order_id, address), phone)

    async def _prove(self, attempt: proofs.Attempt, told: str) -> Order:
        async with self._transaction() as session:
            refusal = await ownership.prove(session, self._limits, attempt, told, self._clock())
        if refusal:
            raise refusal
        return await self.order(attempt.sender, attempt.order_id)

    async def proved(self, sender: str, order_id: str) -> Proof | None:
        async with self._reading() as session:
            return await ownership.proved(session, sender, order_id)

    async def orders_of(self, sender: str, limit: int = 5) -> Sequence[Order]:
        async with self._reading() as session:
            return [orders.to_order(row) for row in await orders.newest(session, ownership.owned_ids(sender), limit)]

    async def cancel_order(self, sender: str, order_id: str, idempotency_key: str) -> Order:
        """The cashier pays back what was paid when it sees the cancelled order; no ticket is made."""
        async with self._transaction() as session:
            now = self._clock()
            done = await claim(session, idempotency_key, now, "cancel_order", sender, order_id)
            if not done.result_id:
                await orders.lock(session, order_id)
                await orders.cancel(session, await self._owned(session, sender, order_id))
                done.result_id = order_id
            return orders.to_order(await orders.read(session, order_id))

    async def change_delivery(self, sender: str, order_id: str, change: DeliveryChange, idempotency_key: str) -> Order:
        delivery.check(change)
        async with self._transaction() as session:
            now = self._clock()
            done = await claim(session, idempotency_key, now, "change_delivery", sender, order_id, change)
            if not done.result_id:
                await orders.lock(session, order_id)
                order = await self._owned(session, sender, order_id)
                if await ownership.proved(session, sender, order_id) is not Proof.PHONE:
                    raise PhoneRequired(order_id)
                if await delivery.change(session, order, change):
                    await ownership.forget_proofs(session, order_id, but=sender)
                done.result_id = order_id
            return orders.to_order(await orders.read(session, order_id))

    async def delivery_of(self, sender: str, order_id: str) -> Delivery | None:
        async with self._reading() as session:
            order = await self._owned(session, sender, order_id)
            if await ownership.proved(session, sender, order_id) is not Proof.PHONE:
                return None
            return await delivery.read(session, order)

    async def request_invoice(self, sender: str, request: InvoiceRequest, idempotency_key: str) -> Invoice:
        invoices.check(request)
        async with self._transaction() as session:
            now = self._clock()
            done = await claim(session, idempotency_key, now, "request_invoice", sender, request)
            if not done.result_id:
                await orders.lock(session, request.order_id)
                order = await self._owned(session, sender, request.order_id)
                done.result_id = await invoices.request(session, order, request, now)
            return invoices.to_invoice(await invoices.read(session, done.result_id))

    async def invoice_of(self, sender: str, order_id: str) -> Invoice | None:
        async with self._reading() as session:
            await self._owned(session, sender, order_id)
            found = await invoices.live(session, order_id)
            return invoices.to_invoice(found) if found else None

    async def place_order(self, customer_id: str, items: dict[str, int], idempotency_key: str) -> Order:
        """The order is paid: the till stands before this command. It ships within two days."""
        async with self._transaction() as session:
            now = self._clock()
            done = await claim(session, idempotency_key, now, "place_order", customer_id, sorted(items.items()))
            if not done.result_id:
                done.result_id = await orders.place(session, customer_id, items, now)
            return orders.to_order(await orders.read(session, done.result_id))

    async def ship_order(self, order_id: str, carrier: str, tracking_number: str, idempotency_key: str) -> Order:
        async with self._transaction() as session:
            now = self._clock()
            done = await claim(session, idempotency_key, now, "ship_order", order_id, carrier, tracking_number)
            if not done.result_id:
                await orders.ship(session, order_id, carrier, tracking_number, now)
                done.result_id = order_id
            return orders.to_order(await orders.read(session, order_id))

    # ---- after-sales ----

    async def assess(self, sender: str, request: TicketRequest) -> Decision:
        async with self._reading() as session:
            now = self._clock()
            order = await self._owned(session, sender, request.order_id)
            _, decision = await tickets.assess(session, self._policy, order, request, now)
            return decision

    async def after_sales_limits(self) -> dict[str, int]:
        return self._policy.limits

    async def create_ticket(self, sender: str, request: TicketRequest, idempotency_key: str) -> Ticket:
        async with self._transaction() as session:
            now = self._clock()
            done = await claim(session, idempotency_key, now, "create_ticket", sender, request)
            if not done.result_id:
                await orders.lock(session, request.order_id)
                order = await self._owned(session, sender, request.order_id)
                done.result_id = await tickets.create(session, self._policy, order, request, now)
            return tickets.to_ticket(await tickets.read(session, done.result_id))

    async def ticket(self, sender: str, ticket_id: str) -> Ticket:
        async with self._reading() as session:
            return tickets.to_ticket(await tickets.read(session, ticket_id, tickets.owned_by(sender)))

    async def tickets_of(self, sender: str, limit: int = 5) -> Sequence[Ticket]:
        async with self._reading() as session:
            return [tickets.to_ticket(row) for row in await tickets.newest_owned(session, sender, limit)]

    async def cancel_ticket(self, sender: str, ticket_id: str, idempotency_key: str) -> Ticket:
        """Until the goods are back in the shop."""
        async with self._transaction() as session:
            now = self._clock()
            done = await claim(session, idempotency_key, now, "cancel_ticket", sender, ticket_id)
            if not done.result_id:
                await tickets.read(session, ticket_id, tickets.owned_by(sender))
                await tickets.advance(session, ticket_id, TicketStatus.CANCELLED, "customer", "", now)
                done.result_id = ticket_id
            return tickets.to_ticket(await tickets.read(session, ticket_id))

    async def advance_ticket(
        self, ticket_id: str, to: TicketStatus, actor: str, note: str, idempotency_key: str
    ) -> Ticket:
        """``actor`` is "operator" or "supplier". Paid back before shipping, the goods stay in the shop's stock."""
        async with self._transaction() as session:
            now = self._clock()
            done = await claim(session, idempotency_key, now, "advance_ticket", ticket_id, to, actor, note)
            if not done.result_id:
                await tickets.advance(session, ticket_id, to, actor, note, now)
                done.result_id = ticket_id
            return tickets.to_ticket(await tickets.read(session, ticket_id))

    # ---- goods and coupons ----

    async def find_products(self, text: str, limit: int = 5) -> Sequence[Product]:
        async with self._reading() as session:
            return await self._catalogue.find(session, text, limit)

    async def product(self, product_id: str) -> Product:
        async with self._reading() as session:
            return await self._catalogue.product(session, product_id)

    async def coupons_of(self, sender: str) -> Sequence[Coupon]:
        async with self._reading() as session:
            now = self._clock()
            return [coupons.to_coupon(row, now) for row in await coupons.held_by(session, sender)]

    async def grant_coupon(
        self, sender: str, title: str, off_cents: int, min_spend_cents: int, days: int, idempotency_key: str
    ) -> Coupon:
        async with self._transaction() as session:
            now = self._clock()
            request = (sender, title, off_cents, min_spend_cents, days)
            done = await claim(session, idempotency_key, now, "grant_coupon", *request)
            if not done.result_id:
                done.result_id = await coupons.grant(session, *request, now)
            return coupons.to_coupon(await coupons.read(session, done.result_id), now)
