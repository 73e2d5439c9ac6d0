"""The customers' mall on our own tables; what happens in a request is each capability's matter."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import partial

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from mall_adapter import (
    binding,
    binding_codes,
    catalogue,
    coupons,
    delivery,
    energy,
    invoices,
    models,
    orders,
    ownership,
    people,
    prices,
    proofs,
    regions,
    ticket_steps,
    tickets,
)
from mall_adapter.errors import BindingLocked, NotBound, OwnershipRequired, PhoneRequired
from mall_adapter.policy import AfterSalesPolicy
from mall_adapter.promises import promises
from mall_adapter.proof_limits import ProofLimits
from mall_adapter.terms import terms
from mall_adapter.transactions import Clock, Transactions, utc_now
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
    Order,
    PriceDrop,
    Product,
    Proof,
    Ticket,
    TicketRequest,
    TicketStatus,
)
from storage import Command, Role, once, recall


class SqlMall:
    """Implements :class:`mall_adapter.ports.CustomerMall` on SQLite and PostgreSQL; safe to share between tasks.

    ``policy`` are the after-sales rules and ``limits`` those of wrong proofs (default: those of the house), ``clock``
    gives the aware present.
    """

    def __init__(
        self,
        engine: AsyncEngine,
        policy: AfterSalesPolicy | None = None,
        clock: Clock = utc_now,
        limits: ProofLimits | None = None,
    ) -> None:
        self.database = Transactions(engine, clock)
        self._policy = policy or AfterSalesPolicy.load()
        self._limits = limits or ProofLimits.load()

    # ---- who is speaking ----

    async def customer_of(self, sender: str) -> Customer | None:
        query = select(models.Customer).where(models.Customer.id == people.customer_id_of(sender))
        async with self.database.reading() as session:
            customer = await session.scalar(query)
            return Customer(customer.id, customer.name, regions.name_of(customer.region)) if customer else None

    async def bind_with_proof(
        self, sender: str, phone: str, order_id: str, idempotency_key: str, address: str | None = None
    ) -> Customer:
        people.keep_private(sender)
        attempt = proofs.Attempt(Proof.PHONE, sender, order_id, address)

        async def prove(session: AsyncSession, now: datetime) -> proofs.Verdict:
            verdict = await binding.prove(session, self._limits, attempt, phone, now)
            if verdict.proved is not None:
                await binding.bind(session, sender, verdict.proved, None, now)
            return verdict

        # not the address: the same try may come again from another
        command = Command(sender, idempotency_key, "bind_with_proof", {"order_id": order_id, "phone": phone})
        await self._refuse_locked(command, attempt)
        async with self.database.writing() as session:
            now = self.database.clock()
            verdict = await once(session, command, proofs.Verdict, now, partial(prove, session, now))
        if refusal := verdict.refusal(Proof.PHONE):
            raise refusal
        return await self._customer(verdict.proved)

    async def _customer(self, customer_id: str | None) -> Customer:
        async with self.database.reading() as session:
            customer = await session.get_one(models.Customer, customer_id)
            return Customer(customer.id, customer.name, regions.name_of(customer.region))

    async def unbind(self, sender: str, idempotency_key: str) -> None:
        async def unbind(session: AsyncSession, now: datetime) -> None:
            await binding.unbind(session, sender, now)

        await self.database.once(sender, idempotency_key, "unbind", {}, type(None), unbind)

    async def make_binding_code(self, sender: str, idempotency_key: str) -> BindingCode:
        async def make(session: AsyncSession, now: datetime) -> binding_codes.Made:
            return await binding_codes.make(session, sender, idempotency_key, now)

        kind = binding_codes.Made
        made = await self.database.once(sender, idempotency_key, "make_binding_code", {}, kind, make)
        return BindingCode(binding_codes.derive(sender, idempotency_key, made.candidate), made.good_until)

    async def whose_code(self, sender: str, code: str, idempotency_key: str, address: str | None = None) -> Masked:
        owner = await self._of_code(
            sender, code, Command(sender, idempotency_key, "whose_code", {"code": code}), address
        )
        return binding_codes.mask(owner.name)

    async def bind_with_code(
        self, sender: str, code: str, idempotency_key: str, address: str | None = None
    ) -> Customer:
        command = Command(sender, idempotency_key, "bind_with_code", {"code": code})
        return await self._of_code(sender, code, command, address, bind=True)

    async def _of_code(
        self, sender: str, code: str, command: Command, address: str | None, *, bind: bool = False
    ) -> Customer:
        people.keep_private(sender)
        attempt = proofs.Attempt(Proof.CODE, sender, address=address)

        async def look_up(session: AsyncSession, now: datetime) -> proofs.Verdict:
            verdict = await binding_codes.look_up(session, self._limits, attempt, code, now, use=bind)
            if bind and verdict.proved is not None:
                await binding.bind(session, sender, verdict.proved, None, now)
            return verdict

        await self._refuse_locked(command, attempt)
        async with self.database.writing() as session:
            now = self.database.clock()
            verdict = await once(session, command, proofs.Verdict, now, partial(look_up, session, now))
        if refusal := verdict.refusal(Proof.CODE):
            raise refusal
        return await self._customer(verdict.proved)

    # ---- orders ----

    async def order(self, sender: str, order_id: str) -> Order:
        async with self.database.reading() as session:
            return orders.to_order(await self._owned(session, sender, order_id))

    async def _owned(self, session: AsyncSession, sender: str, order_id: str) -> models.Order:
        return await ownership.owned(session, self._limits, sender, order_id, self.database.clock())

    async def _locked(self, session: AsyncSession, sender: str, order_id: str) -> models.Order:
        """The sender's order, which nobody else writes to now."""
        await orders.lock(session, order_id)
        return await self._owned(session, sender, order_id)

    async def prove_ownership(
        self, sender: str, order_id: str, phone_tail: str, idempotency_key: str, address: str | None = None
    ) -> Order:
        """Proving twice is one proof. What is locked is refused without a write: guessers hold up nobody."""
        people.keep_private(sender)
        attempt = proofs.Attempt(Proof.TAIL, sender, order_id, address)
        command = Command(sender, idempotency_key, "prove_ownership", {"order_id": order_id, "told": phone_tail})
        try:
            async with self.database.reading() as session:
                now = self.database.clock()
                if await recall(session, command, proofs.Verdict, now) is None:
                    return orders.to_order(await ownership.owned(session, self._limits, sender, order_id, now, address))
        except OwnershipRequired:
            pass
        return await self._prove(attempt, phone_tail, command)

    async def prove_phone(
        self, sender: str, order_id: str, phone: str, idempotency_key: str, address: str | None = None
    ) -> Order:
        people.keep_private(sender)
        attempt = proofs.Attempt(Proof.PHONE, sender, order_id, address)
        command = Command(sender, idempotency_key, "prove_phone", {"order_id": order_id, "told": phone})
        if await self.proved(sender, order_id) is not Proof.PHONE:
            await self._refuse_locked(command, attempt)
        return await self._prove(attempt, phone, command)

    async def _refuse_locked(self, command: Command, attempt: proofs.Attempt) -> None:
        """Without a write, unless the command is known: guessers hold up nobody, and fill no table."""
        async with self.database.reading() as session:
            now = self.database.clock()
            if await recall(session, command, proofs.Verdict, now) is not None:
                return
            if until := await proofs.locked_until(session, self._limits, attempt, now):
                raise BindingLocked(until)

    async def _prove(self, attempt: proofs.Attempt, told: str, command: Command) -> Order:
        async with self.database.writing() as session:
            now = self.database.clock()
            prove = partial(ownership.prove, session, self._limits, attempt, told, now)
            verdict = await once(session, command, proofs.Verdict, now, prove)
        if refusal := verdict.refusal(attempt.way):
            raise refusal
        return await self.order(attempt.sender, attempt.order_id)

    async def proved(self, sender: str, order_id: str) -> Proof | None:
        async with self.database.reading() as session:
            return await ownership.proved(session, sender, order_id)

    async def orders_of(self, sender: str, limit: int = 5) -> Sequence[Order]:
        async with self.database.reading() as session:
            return [orders.to_order(row) for row in await orders.newest(session, ownership.owned_ids(sender), limit)]

    async def cancel_order(self, sender: str, order_id: str, idempotency_key: str) -> Order:
        """The cashier pays back what was paid when it sees the cancelled order; no ticket is made."""

        async def cancel(session: AsyncSession, now: datetime) -> Order:
            order = await self._locked(session, sender, order_id)
            await orders.cancel(session, order, await people.actor_of(session, sender), now)
            return orders.to_order(await orders.read(session, order_id))

        request = {"order_id": order_id}
        return await self.database.once(sender, idempotency_key, "cancel_order", request, Order, cancel)

    async def change_delivery(self, sender: str, order_id: str, change: DeliveryChange, idempotency_key: str) -> Order:
        delivery.check(change)

        async def change_it(session: AsyncSession, now: datetime) -> Order:
            order = await self._locked(session, sender, order_id)
            if await ownership.proved(session, sender, order_id) is not Proof.PHONE:
                raise PhoneRequired(order_id)
            if await delivery.change(session, order, change):
                await ownership.forget_proofs(session, order_id, but=sender)
            return orders.to_order(await orders.read(session, order_id))

        request = {"order_id": order_id, "change": change}
        return await self.database.once(sender, idempotency_key, "change_delivery", request, Order, change_it)

    async def delivery_of(self, sender: str, order_id: str) -> Delivery | None:
        async with self.database.reading() as session:
            order = await self._owned(session, sender, order_id)
            if await ownership.proved(session, sender, order_id) is not Proof.PHONE:
                return None
            return await delivery.read(session, order)

    async def price_drops(self, sender: str, order_id: str) -> Sequence[PriceDrop]:
        async with self.database.reading() as session:
            return await prices.drops(session, await self._owned(session, sender, order_id), self.database.clock())

    async def request_invoice(self, sender: str, request: InvoiceRequest, idempotency_key: str) -> Invoice:
        invoices.check(request)

        async def write(session: AsyncSession, now: datetime) -> Invoice:
            order = await self._locked(session, sender, request.order_id)
            invoice_id = await invoices.request(session, order, request, now)
            return invoices.to_invoice(await invoices.read(session, invoice_id))

        asked = {"request": request}
        return await self.database.once(sender, idempotency_key, "request_invoice", asked, Invoice, write)

    async def invoice_of(self, sender: str, order_id: str) -> Invoice | None:
        async with self.database.reading() as session:
            await self._owned(session, sender, order_id)
            found = await invoices.live(session, order_id)
            return invoices.to_invoice(found) if found else None

    # ---- after-sales ----

    async def assess(self, sender: str, request: TicketRequest) -> Decision:
        async with self.database.reading() as session:
            order = await self._owned(session, sender, request.order_id)
            _, decision = await tickets.assess(session, self._policy, order, request, self.database.clock())
            return decision

    async def terms(self) -> dict[str, int]:
        return terms(self._policy, self._limits, promises(), energy.energy_rules())

    async def create_ticket(self, sender: str, request: TicketRequest, idempotency_key: str) -> Ticket:
        async def create(session: AsyncSession, now: datetime) -> Ticket:
            order = await self._locked(session, sender, request.order_id)
            actor = await people.actor_of(session, sender)
            ticket_id = await tickets.create(session, self._policy, order, request, actor, now)
            return tickets.to_ticket(await tickets.read(session, ticket_id))

        asked = {"request": request}
        return await self.database.once(sender, idempotency_key, "create_ticket", asked, Ticket, create)

    async def ticket(self, sender: str, ticket_id: str) -> Ticket:
        async with self.database.reading() as session:
            return tickets.to_ticket(await tickets.read(session, ticket_id, tickets.owned_by(sender)))

    async def tickets_of(self, sender: str, limit: int = 5) -> Sequence[Ticket]:
        async with self.database.reading() as session:
            return [tickets.to_ticket(row) for row in await tickets.newest_owned(session, sender, limit)]

    async def cancel_ticket(self, sender: str, ticket_id: str, idempotency_key: str) -> Ticket:
        """Until the goods are back in the shop."""

        async def cancel(session: AsyncSession, now: datetime) -> Ticket:
            await tickets.read(session, ticket_id, tickets.owned_by(sender))
            actor = await people.actor_of(session, sender)
            await ticket_steps.advance(session, ticket_id, TicketStatus.CANCELLED, actor, "", now)
            return tickets.to_ticket(await tickets.read(session, ticket_id))

        request = {"ticket_id": ticket_id}
        return await self.database.once(sender, idempotency_key, "cancel_ticket", request, Ticket, cancel)

    # ---- goods and coupons ----

    async def catalogue(self) -> Sequence[Listing]:
        async with self.database.reading() as session:
            return await catalogue.listings(session, self.database.clock())

    async def products(self, ids: Sequence[str]) -> Sequence[Product]:
        async with self.database.reading() as session:
            return await catalogue.products(session, ids, self.database.clock())

    async def product(self, product_id: str) -> Product:
        async with self.database.reading() as session:
            return await catalogue.product(session, product_id, self.database.clock())

    async def coupons_of(self, sender: str) -> Sequence[Coupon]:
        async with self.database.reading() as session:
            now = self.database.clock()
            return [coupons.to_coupon(row, now) for row in await coupons.held_by(session, sender)]

    async def grant_coupon(
        self, sender: str, title: str, off_cents: int, min_spend_cents: int, days: int, idempotency_key: str
    ) -> Coupon:
        async def grant(session: AsyncSession, now: datetime) -> Coupon:
            coupon_id = await coupons.grant(session, sender, title, off_cents, min_spend_cents, days, now)
            return coupons.to_coupon(await coupons.read(session, coupon_id), now)

        request = {"title": title, "off_cents": off_cents, "min_spend_cents": min_spend_cents, "days": days}
        return await self.database.once(sender, idempotency_key, "grant_coupon", request, Coupon, grant)

    # ---- energy ----

    async def energy_of(self, sender: str) -> Energy:
        async with self.database.reading() as session:
            customer_id = await _bound(session, sender)
            return await energy.balance(session, energy.energy_rules(), customer_id, self.database.clock())

    async def energy_history(self, sender: str, limit: int = 10) -> Sequence[EnergyEntry]:
        async with self.database.reading() as session:
            return await energy.history(session, await _bound(session, sender), limit)

    async def settle_energy(self, sender: str, idempotency_key: str) -> int:
        return_days = self._policy.limits["no_reason_days"]

        async def settle(session: AsyncSession, now: datetime) -> int:
            customer_id = await people.held_id(session, await _bound(session, sender))
            return await energy.arrived(session, customer_id, return_days, now)

        return await self.database.once(sender, idempotency_key, "settle_energy", {}, int, settle)

    async def redeem_energy(self, sender: str, coupons: int, idempotency_key: str) -> EnergyRedemption:
        redeem, kind = partial(_redeem, sender, coupons), EnergyRedemption
        return await self.database.once(sender, idempotency_key, "redeem_energy", {"coupons": coupons}, kind, redeem)

    async def energy_carriers(self, sender: str, limit: int = 10) -> Sequence[Carrier]:
        async with self.database.reading() as session:
            actor = await people.actor_of(session, sender, Role.SALES)
            return await energy.carriers(session, str(actor.principal_id), limit)


async def _bound(session: AsyncSession, sender: str) -> str:
    """The id of the sender's customer. Raises NotBound."""
    customer_id: str | None = await session.scalar(select(people.customer_id_of(sender)))
    if customer_id is None:
        raise NotBound("a visitor has no energy")
    return customer_id


async def _redeem(sender: str, number: int, session: AsyncSession, now: datetime) -> EnergyRedemption:
    rules = energy.energy_rules()
    customer_id = await people.held_id(session, await _bound(session, sender))
    made = await energy.redeem(session, rules, sender, customer_id, number, now)
    left = await energy.balance(session, rules, customer_id, now)
    told = tuple(coupons.to_coupon(each, now) for each in made)
    return EnergyRedemption(told, number * rules.coupon.points, left.balance)
