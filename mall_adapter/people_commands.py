"""What an operator does with people at the house's own machine; see ``python -m mall_adapter --help``."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

import settings
from mall_adapter import people
from mall_adapter.actors import SHELL
from mall_adapter.customer_record import CustomerRecord, look_up
from mall_adapter.errors import NotFound
from mall_adapter.transactions import Transactions, utc_now
from settings import SHANGHAI
from storage import Role, create_engine

if TYPE_CHECKING:
    Commands = argparse._SubParsersAction[argparse.ArgumentParser]

_LABELS = {
    "orders": "订单 / orders",
    "tickets": "售后单 / tickets",
    "invoices": "发票 / invoices",
    "coupons": "优惠券 / coupons",
    "proofs": "验证过的订单 / orders proved",
    "handoffs": "转人工 / handoffs",
    "complaints": "投诉 / complaints",
    "misunderstood": "没听懂的消息 / misunderstood",
    "turns": "对话轮次 / turns of conversations",
    "views": "对话被查看 / looks into them",
    "events": "操作记录 / events",
}
NAMES = ("grant", "revoke", "principals", "customer")


def add(commands: Commands) -> None:
    for name, does in (("grant", "give somebody a role"), ("revoke", "take a role from somebody")):
        command = commands.add_parser(name, help=does)
        command.add_argument("name", help="of somebody who works here, or the id of a principal or of a customer")
        command.add_argument("role", help=", ".join(people.GRANTED))
        command.add_argument("--supplier", metavar="ID", help="for whom a supplier's person acts")
    commands.add_parser("principals", help="who works here, and in which roles")
    customer = commands.add_parser("customer", help="everything that the house has about one customer")
    customer.add_argument("which", metavar="ID|PHONE")


async def run(arguments: argparse.Namespace) -> None:
    """Raises NotFound and ValueError with words for an operator."""
    engine = create_engine(settings.database_url())
    database = Transactions(engine, utc_now)
    try:
        match arguments.command:
            case "grant":
                await _grant(database, arguments.name, _role(arguments.role), arguments.supplier)
            case "revoke":
                await _revoke(database, arguments.name, _role(arguments.role), arguments.supplier)
            case "principals":
                await _list(database)
            case _:
                async with database.writing() as session:
                    found = await look_up(session, SHELL, arguments.which, database.clock())
                _show(found)
    finally:
        await engine.dispose()


def _role(name: str) -> Role:
    if name not in people.GRANTED:
        roles = ", ".join(people.GRANTED)
        raise ValueError(f"There is no role {name}; there are {roles} / 没有 {name} 这个角色，可选：{roles}")
    return Role(name)


async def _grant(database: Transactions, name: str, role: Role, supplier_id: str | None) -> None:
    now = database.clock()
    async with database.writing() as session:
        known = await people.named(session, name)
        principal_id = known or await people.colleague(session, name, now)
        new = await people.grant(session, principal_id, role, supplier_id, SHELL, now)
    if known is None:
        print(f"{name} is new here / {name} 是新登记的")
    done = "is now / 现在是" if new else "was already / 本来就是"
    print(f"{name} ({principal_id}) {done} {_held(role, supplier_id)}")


async def _revoke(database: Transactions, name: str, role: Role, supplier_id: str | None) -> None:
    async with database.writing() as session:
        principal_id = await people.named(session, name)
        if principal_id is None:
            raise NotFound(f"There is nobody called {name} / 没有叫 {name} 的人")
        gone = await people.revoke(session, principal_id, role, supplier_id, SHELL, database.clock())
    done = "is no longer / 不再是" if gone else "was not / 本来就不是"
    print(f"{name} ({principal_id}) {done} {_held(role, supplier_id)}")


async def _list(database: Transactions) -> None:
    async with database.reading() as session:
        found = await people.colleagues(session)
    if not found:
        print("Nobody works here yet / 还没有工作人员")
    for one in found:
        roles = ", ".join(_held(role, supplier_id) for role, supplier_id in one.roles) or "-"
        print(f"{one.principal_id:14}  {one.since.astimezone(SHANGHAI):%Y-%m-%d}  {one.name}  {roles}")


def _held(role: Role, supplier_id: str | None) -> str:
    return f"{role} {supplier_id}" if supplier_id else str(role)


def _show(found: CustomerRecord) -> None:
    roles = ", ".join(found.roles) or "-"
    print(f"{found.id}  {found.name}  {found.registered_at.astimezone(SHANGHAI):%Y-%m-%d}  {roles}")
    print(f"渠道账号 / accounts: {len(found.accounts)}")
    for account in found.accounts:
        since = f"{account.first_seen_at.astimezone(SHANGHAI):%Y-%m-%d}"
        how = "bound / 已绑定" if account.bound else "proved an order / 只验证过订单"
        print(f"  {account.channel or '?':10} {since}  {how}  {account.conversation or '-'}")
    for name, ids in found.ids.items():
        print(f"{_LABELS[name]}: {len(ids)}  {' '.join(ids)}".rstrip())
    for name, count in found.counts.items():
        print(f"{_LABELS[name]}: {count}")
