"""What an operator does with people at the house's own machine; see ``python -m mall_adapter --help``."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

import settings
from mall_adapter import merging, people
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
    "leads": "销售的线索 / leads of salespeople",
    "lead_talks": "与销售的对话 / talks with salespeople",
    "lead_questions": "问过的话题 / topics they asked about",
    "cards": "持有的名片 / cards held",
    "energy": "能量 / energy",
    "offers": "安抚 / offers",
    "turns": "对话轮次 / turns of conversations",
    "views": "对话被查看 / looks into them",
    "events": "操作记录 / events",
}
_OBSTACLES = {
    "same": "They are one already / 是同一位顾客",
    "merged_already": "One of them was merged into somebody else before / 其中一位已经并入别的顾客",
    "demo": "One of them is of the demo mall / 其中一位是演示数据",
    "role": "GONE works here: revoke the role first / 被并入的一方有工作角色，请先收回",
    "own": "Nobody merges their own account / 不能合并自己的账号",
}
NAMES = ("grant", "revoke", "manager", "principals", "customer", "merge")


def add(commands: Commands) -> None:
    for name, does in (("grant", "give somebody a role"), ("revoke", "take a role from somebody")):
        command = commands.add_parser(name, help=does)
        command.add_argument("name", help="of somebody who works here, or the id of a principal or of a customer")
        command.add_argument("role", help=", ".join(people.GRANTED))
        command.add_argument("--supplier", metavar="ID", help="for whom a supplier's person acts")
    managing = commands.add_parser("manager", help="who sees the cards and leads of somebody who sells")
    managing.add_argument("name", help="of who is managed, or the id of a principal or of a customer")
    managing.add_argument("manager", nargs="?", help="who manages them; none: nobody")
    commands.add_parser("principals", help="who works here, and in which roles")
    customer = commands.add_parser("customer", help="everything that the house has about one customer")
    customer.add_argument("which", metavar="ID|PHONE")
    merge = commands.add_parser("merge", help="two customers are one person; shows first what moves")
    merge.add_argument("keep", metavar="KEEP", help="id of the customer who stays")
    merge.add_argument("gone", metavar="GONE", help="id of the customer whose orders, coupons and accounts move")
    merge.add_argument("--yes", action="store_true", help="do it, and do not only show it")


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
            case "manager":
                await _appoint(database, arguments.name, arguments.manager)
            case "principals":
                await _list(database)
            case "merge":
                await _merge(database, arguments.keep, arguments.gone, arguments.yes)
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


async def _appoint(database: Transactions, name: str, manager: str | None) -> None:
    async with database.writing() as session:
        ids = [await people.named(session, one) for one in (name, manager) if one is not None]
        if None in ids:
            missing = (name, manager)[ids.index(None)]
            raise NotFound(f"There is nobody called {missing} / 没有叫 {missing} 的人")
        principal_id, manager_id = str(ids[0]), (ids[1] if manager is not None else None)
        new = await people.appoint(session, principal_id, manager_id, SHELL, database.clock())
    done = "is now managed by / 现在的主管是" if new else "was managed already by / 主管本来就是"
    print(f"{name} ({principal_id}) {done} {manager or 'nobody / 无'}")


async def _list(database: Transactions) -> None:
    async with database.reading() as session:
        found = await people.colleagues(session)
    names = {one.principal_id: one.name for one in found}
    if not found:
        print("Nobody works here yet / 还没有工作人员")
    for one in found:
        roles = ", ".join(_held(role, supplier_id) for role, supplier_id in one.roles) or "-"
        manager = f"  ← {names.get(one.manager_id, one.manager_id)}" if one.manager_id else ""
        print(f"{one.principal_id:14}  {one.since.astimezone(SHANGHAI):%Y-%m-%d}  {one.name}  {roles}{manager}")


async def _merge(database: Transactions, keep: str, gone: str, do: bool) -> None:
    async with database.reading() as session:
        asked = await merging.preview(session, SHELL, keep, gone)
    for what, side in (("stays / 保留", asked.kept), ("goes / 并入", asked.gone)):
        has = side.holdings
        print(f"{what}  {side.customer.id}  {side.customer.name}  {side.since.astimezone(SHANGHAI):%Y-%m-%d}")
        paid, back = f"{has.total_cents / 100:.2f}", f"{has.refunded_cents / 100:.2f}"
        print(f"  订单 / orders: {has.orders}  {paid}  退款 / refunded: {back}")
        print(f"  售后单 / tickets: {has.tickets}  未结 / open: {has.open_tickets}  优惠券 / coupons: {has.coupons}")
        print(f"  渠道账号 / accounts: {', '.join(has.accounts) or '-'}")
    if asked.done:
        print("They were merged before / 之前已经合并")
        return
    if asked.obstacle is not None:
        raise ValueError(_OBSTACLES[asked.obstacle])
    if not do:
        print("Nothing has changed; again with --yes to merge them / 还没有改动，确认合并请加 --yes")
        return
    async with database.writing() as session:
        await merging.merge(session, SHELL, keep, gone, database.clock())
    print(f"{gone} is {keep} from now on / {gone} 已并入 {keep}")


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
