"""Who is who: the senders that write, the people behind them, and the roles that those have.

A sender is known from its first message on, and is a visitor until it is bound to a customer. What a channel or a
sender calls itself proves nothing: roles are granted, and stand in ``membership``.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import ClassVar

from sqlalchemy import ColumnElement, ScalarSelect, SQLColumnExpression, delete, func, literal, select, update
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker
from sqlalchemy.orm import selectinload

from mall_adapter import models, permissions
from mall_adapter.errors import InPublic, NotFound, NotPermitted
from mall_adapter.handoff import Speaker
from mall_adapter.transactions import Clock, utc_now
from privacy import KeyRingError, current_ring
from privacy.conversations import conversation_of
from storage import WRITES, Actor, Event, Role, insert, record

log = logging.getLogger(__name__)

REMEMBERED = timedelta(hours=1)
MOST_REMEMBERED = 50_000
"""Senders."""

GRANTED = (Role.SALES, Role.SUPPLIER, Role.OPERATOR, Role.TRAINER)
"""Roles that people are given; customers are those of the mall, services programs with a key of their own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountBound(Event):
    """``subject`` is the principal to whom a channel account belongs from now on."""

    kind: ClassVar[str] = "account_bound"
    channel: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountUnbound(Event):
    """``subject`` is the principal to whom a channel account belonged."""

    kind: ClassVar[str] = "account_unbound"
    channel: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RoleGranted(Event):
    kind: ClassVar[str] = "role_granted"
    role: Role
    supplier_id: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RoleRevoked(Event):
    kind: ClassVar[str] = "role_revoked"
    role: Role
    supplier_id: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ManagerAppointed(Event):
    """``subject`` is the principal who is managed from now on; by nobody: None."""

    kind: ClassVar[str] = "manager_appointed"
    manager_id: str | None


@dataclass(frozen=True, slots=True)
class Colleague:
    """Somebody who works in the mall, or for one of its suppliers."""

    principal_id: str
    name: str
    customer_id: str | None
    roles: tuple[tuple[Role, str | None], ...]  # with the supplier
    since: datetime
    manager_id: str | None


# ---- senders ----


def channel_of(sender: str) -> str:
    return sender.partition(":")[0]


def in_public(sender: str) -> bool:
    """Whether others read along: somebody in a group is ``<channel>:<account>@<group>``, and nobody's own account."""
    return "@" in sender


def keep_private(sender: str) -> None:
    """Raises InPublic."""
    if in_public(sender):
        raise InPublic("others read along here")


async def meet(session: AsyncSession, sender: str, now: datetime) -> None:
    """Keeps that there is such a sender, and when it was heard. Of one that was known only by its hash the rest is
    kept, too."""
    await _keep(session, sender, {"first_seen_at": now}, {"heard_at": now})


async def lose(session: AsyncSession, sender: str) -> None:
    """The sender cannot be written to until it is heard again: it has left, or blocked the house."""
    account = models.ChannelAccount
    gone = update(account).where(account.sender_index == models.sender_index(sender)).values(heard_at=None)
    await session.execute(gone, execution_options={"synchronize_session": False})


async def heard(session: AsyncSession, customer_id: str) -> Sequence[tuple[str, datetime]]:
    """The senders by which the customer can be written to, and when each wrote last, the latest first."""
    account = models.ChannelAccount
    query = (
        select(account.sender, account.heard_at)
        .join(models.Principal)
        .where(models.Principal.customer_id == customer_id, account.sender.is_not(None), account.heard_at.is_not(None))
        .order_by(account.heard_at.desc(), account.sender_index)
    )
    return [(str(sender), at) for sender, at in await session.execute(query) if at is not None]


class Accounts:
    """Keeps the account of every sender that writes, and asks the database about each once an hour; safe to share."""

    def __init__(self, engine: AsyncEngine, clock: Clock = utc_now) -> None:
        self._writing = async_sessionmaker(engine.execution_options(**WRITES))
        self._clock = clock
        self._met: set[str] = set()
        self._forgotten_at = clock() + REMEMBERED

    async def meet(self, sender: str) -> None:
        """A fault of the database is logged and not raised: what somebody says is answered all the same."""
        now = self._clock()
        if now >= self._forgotten_at or len(self._met) >= MOST_REMEMBERED:
            self._met.clear()
            self._forgotten_at = now + REMEMBERED
        if sender in self._met:
            return
        try:
            async with self._writing.begin() as session:
                await meet(session, sender, now)
        except (SQLAlchemyError, OSError, KeyRingError) as error:
            log.warning("an account was not kept, and will be with its next message: %s", type(error).__name__)
        else:
            self._met.add(sender)

    async def lose(self, sender: str) -> None:
        """It has left: nothing is sent to it until it is met again. Raises what the database raises."""
        self._met.discard(sender)
        async with self._writing.begin() as session:
            await lose(session, sender)


async def bind(session: AsyncSession, sender: str, customer_id: str, by: Actor | None, now: datetime) -> None:
    """The sender belongs to this customer from now on, in place of an earlier one; ``by``: None if they have proved it
    themselves. Raises InPublic, NotFound."""
    keep_private(sender)
    principal_id = await principal_for(session, customer_id)
    await _keep(session, sender, {"first_seen_at": now}, {"principal_id": principal_id, "bound_at": now})
    bound = AccountBound(subject=f"principal:{principal_id}", channel=channel_of(sender))
    record(session, bound, by or await actor_of(session, sender), now)


async def unbind(session: AsyncSession, sender: str, now: datetime) -> None:
    """The sender, who wants it so, belongs to nobody from now on. Whoever belongs to nobody stays so."""
    account = models.ChannelAccount
    query = select(account).where(account.sender_index == models.sender_index(sender)).with_for_update()
    found = await session.scalar(query)
    if found is None or found.principal_id is None:
        return
    unbound = AccountUnbound(subject=f"principal:{found.principal_id}", channel=channel_of(sender))
    record(session, unbound, await actor_of(session, sender), now)
    found.principal_id = found.bound_at = None


async def _keep(session: AsyncSession, sender: str, first: dict[str, object], later: dict[str, object]) -> None:
    """Writes the account with what is ``first`` and ``later``; one that is there without what is ``first``."""
    told: dict[str, object] = {
        "sender": sender,
        "channel": channel_of(sender),
        "conversation": conversation_of(current_ring(), sender),
        **later,
    }
    new = insert(session, models.ChannelAccount).values(sender_index=models.sender_index(sender), **told, **first)
    changed = {name: new.excluded[name] for name in told}
    await session.execute(new.on_conflict_do_update(index_elements=["sender_index"], set_=changed))


async def senders_of(session: AsyncSession, customer_id: str) -> Sequence[str]:
    """Those by which the customer can be written to, the latest bound first."""
    account = models.ChannelAccount
    query = (
        select(account)
        .join(models.Principal)
        .where(models.Principal.customer_id == customer_id, account.sender.is_not(None))
        .order_by(account.bound_at.desc(), account.sender_index)
    )
    return [each.sender for each in await session.scalars(query) if each.sender is not None]


def customer_id_of(sender: str) -> ScalarSelect[str | None]:
    """The id of the customer to whom the sender is bound, as part of a statement."""
    account = models.ChannelAccount
    return (
        select(models.Principal.customer_id)
        .join(account, account.principal_id == models.Principal.id)
        .where(account.sender_index == models.sender_index(sender))
        .scalar_subquery()
    )


async def speaker(session: AsyncSession, conversation: str) -> Speaker | None:
    """Who speaks in a conversation (``privacy.conversations.conversation_of``); None where no account is known."""
    account = models.ChannelAccount
    who = selectinload(account.principal)
    query = select(account).where(account.conversation == conversation)
    options = (who.joinedload(models.Principal.customer), who.selectinload(models.Principal.memberships))
    found = await session.scalar(query.options(*options))
    if found is None:
        return None
    person = found.principal
    if person is None:
        return Speaker(found.channel or "", None, None, ())
    roles = tuple(dict.fromkeys(each.role for each in person.memberships))
    return Speaker(found.channel or "", person.customer_id, _name(person), roles)


def _name(person: models.Principal) -> str | None:
    return person.name or (person.customer.name if person.customer else None)


# ---- who acts ----


async def actor_of(session: AsyncSession, sender: str, role: Role = Role.CUSTOMER) -> Actor:
    """The sender, acting in this role. Whom the house does not know acts as a customer, too.

    Raises NotPermitted for a role that nobody has given them.
    """
    account, channel = models.ChannelAccount, channel_of(sender)
    query = select(account.principal_id).where(account.sender_index == models.sender_index(sender))
    principal_id = await session.scalar(query)
    if role is Role.CUSTOMER:
        return Actor(role, principal_id, channel=channel)
    if principal_id is None:
        raise NotPermitted(f"a visitor is no {role}")
    return await acting(session, principal_id, role, channel)


async def acting(session: AsyncSession, principal_id: str, role: Role, channel: str) -> Actor:
    """This principal in one of their roles; raises NotPermitted if it is none of theirs. Whoever works for several
    suppliers acts for the first of them."""
    held = models.Membership
    query = select(held).where(held.principal_id == principal_id, held.role == role).order_by(held.id).limit(1)
    found = await session.scalar(query)
    if found is None:
        raise NotPermitted(f"{principal_id} is no {role}")
    return Actor(role, principal_id, found.supplier_id, channel)


async def holds(session: AsyncSession, actor: Actor) -> bool:
    """Whether the principal has the role in which they act."""
    held = models.Membership
    query = select(held.id).where(held.principal_id == actor.principal_id, held.role == actor.role).limit(1)
    return await session.scalar(query) is not None


async def name_of(session: AsyncSession, actor: Actor) -> str:
    """As their colleagues know them. Raises NotPermitted for whoever does not have the role (any more)."""
    held = models.Membership
    query = (
        select(models.Principal)
        .join(held)
        .where(models.Principal.id == actor.principal_id, held.role == actor.role)
        .options(selectinload(models.Principal.customer))
        .limit(1)
    )
    person = await session.scalar(query)
    if person is None:
        raise NotPermitted(f"{actor.principal_id} is no {actor.role}")
    return _name(person) or person.id


# ---- people and their roles ----


def principal_of(customer_id: str) -> str:
    """The id of a customer's principal, whether there is one yet or not."""
    return f"P-{customer_id}"


def kept(customer_id: SQLColumnExpression[str]) -> ColumnElement[str]:
    """The id under which a customer is kept, as part of a statement: their own, or that of whom they were merged
    into."""
    merger = models.Merger
    into = select(merger.kept_id).where(merger.gone_id == customer_id).scalar_subquery()
    return func.coalesce(into, customer_id)


async def lock_customers(session: AsyncSession, *ids: str, sharing: bool = False) -> None:
    """Makes those wait who merge one of the customers; without ``sharing`` whoever gives them something, too.

    A statement of its own: see :func:`mall_adapter.orders.lock`.
    """
    customers = select(models.Customer.id).where(models.Customer.id.in_(ids)).order_by(models.Customer.id)
    await session.execute(customers.with_for_update(read=sharing, key_share=sharing))


async def held_id(session: AsyncSession, customer_id: str) -> str:
    """:func:`kept` of the customer, who is merged with nobody until the transaction ends."""
    await lock_customers(session, customer_id, sharing=True)
    return str(await session.scalar(select(kept(literal(customer_id)))))


async def principal_for(session: AsyncSession, customer_id: str) -> str:
    """The id of the customer's principal, made if there is none. Raises NotFound."""
    customer = await session.get(models.Customer, await held_id(session, customer_id))
    if customer is None:
        raise NotFound(f"There is no customer {customer_id} / 没有 {customer_id} 这位顾客")
    principal_id, since = principal_of(customer.id), customer.registered_at
    person = {"id": principal_id, "customer_id": customer.id, "created_at": since, "demo": customer.demo}
    await session.execute(insert(session, models.Principal).values(person).on_conflict_do_nothing())
    member = {"principal_id": principal_id, "role": Role.CUSTOMER, "granted_at": since}
    await session.execute(insert(session, models.Membership).values(member).on_conflict_do_nothing())
    return principal_id


async def colleague(session: AsyncSession, name: str, now: datetime) -> str:
    """The id of the principal who works here under this name, made if there is none. Spaces, case and width of the
    name do not count."""
    index = models.name_index(name)
    new = {"id": f"P{secrets.token_hex(6)}", "name": name, "name_index": index, "created_at": now}
    await session.execute(insert(session, models.Principal).values(new).on_conflict_do_nothing())
    return (await session.scalars(select(models.Principal.id).where(models.Principal.name_index == index))).one()


async def named(session: AsyncSession, name: str) -> str | None:
    """The id of the principal whom somebody means by a name, or by the id of a principal or of a customer."""
    if await session.get(models.Customer, name):
        return await principal_for(session, name)
    person = models.Principal
    query = select(person.id).where((person.id == name) | (person.name_index == models.name_index(name)))
    return await session.scalar(query)


async def grant(
    session: AsyncSession, principal_id: str, role: Role, supplier_id: str | None, by: Actor, now: datetime
) -> bool:
    """Gives the role; whether they did not have it. Raises NotFound for a supplier that there is not, ValueError for a
    role that is not given, or not so."""
    permissions.check(by, "grant")
    if role not in GRANTED:
        raise ValueError(f"{role} is not a role that is granted / {role} 不是可以授予的角色")
    if (role is Role.SUPPLIER) != (supplier_id is not None):
        raise ValueError(
            "A supplier's person, and nobody else, acts for a supplier: --supplier ID"
            " / 供应商人员要用 --supplier 指定供应商，其他角色不用"
        )
    if supplier_id is not None and await session.get(models.Supplier, supplier_id) is None:
        raise NotFound(f"There is no supplier {supplier_id} / 没有 {supplier_id} 这个供应商")
    held = {"principal_id": principal_id, "role": role, "supplier_id": supplier_id}
    new = {**held, "granted_at": now, "granted_by": by.principal_id}
    added = insert(session, models.Membership).values(new).on_conflict_do_nothing().returning(models.Membership.id)
    if await session.scalar(added) is None:
        return False
    record(session, RoleGranted(subject=f"principal:{principal_id}", role=role, supplier_id=supplier_id), by, now)
    return True


async def revoke(
    session: AsyncSession, principal_id: str, role: Role, supplier_id: str | None, by: Actor, now: datetime
) -> bool:
    """Takes the role away; whether they had it."""
    permissions.check(by, "revoke")
    held = models.Membership
    gone = (
        delete(held)
        .where(held.principal_id == principal_id, held.role == role, held.role.in_(GRANTED))
        .where(held.supplier_id.is_(None) if supplier_id is None else held.supplier_id == supplier_id)
        .returning(held.id)
    )
    if await session.scalar(gone) is None:
        return False
    record(session, RoleRevoked(subject=f"principal:{principal_id}", role=role, supplier_id=supplier_id), by, now)
    return True


async def appoint(session: AsyncSession, principal_id: str, manager_id: str | None, by: Actor, now: datetime) -> bool:
    """Sets who manages them, and sees what their cards did; whether that is new. Raises ValueError for themselves."""
    permissions.check(by, "appoint")
    if principal_id == manager_id:
        raise ValueError("Nobody manages themselves / 不能自己管自己")
    person = await session.get_one(models.Principal, principal_id, with_for_update=True)
    if person.manager_id == manager_id:
        return False
    person.manager_id = manager_id
    record(session, ManagerAppointed(subject=f"principal:{principal_id}", manager_id=manager_id), by, now)
    return True


async def colleagues(session: AsyncSession) -> Sequence[Colleague]:
    """Everybody who has, or had, a role beside that of a customer."""
    person, held = models.Principal, models.Membership
    works = select(held.principal_id).where(held.role.in_(GRANTED))
    query = (
        select(person)
        .where(person.name_index.is_not(None) | person.id.in_(works))
        .options(selectinload(person.memberships), selectinload(person.customer))
        .order_by(person.created_at, person.id)
    )
    return [
        Colleague(
            each.id,
            _name(each) or "",
            each.customer_id,
            tuple((held.role, held.supplier_id) for held in each.memberships if held.role in GRANTED),
            each.created_at,
            each.manager_id,
        )
        for each in await session.scalars(query)
    ]
