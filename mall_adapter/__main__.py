"""``python -m mall_adapter migrate`` brings the database up to date, ``… seed`` puts the demo mall into it and
``… unseed`` takes it out again. Where a shop has customers or goods of its own it is never put. ``… live`` lets its
orders move on, as `make run` does; ``--until`` a time does at once all that is due by then.

``… names`` writes the list of names by which the bot knows the goods, as ``seed`` and the running gateway do.
``… rules-check [FILE]`` tells what is wrong with the files of rules, or what good ones decide.
``… client add NAME --scope …`` gives a program a key to the mall's API; ``… client list`` and ``… client revoke NAME``.
``… review`` prints what the bot did not understand, newest first, for trainers; ``… review --done ID`` settles one.
``… grant NAME ROLE`` lets somebody sell, train, operate or act for a supplier, ``… revoke`` takes it back,
``… principals`` lists them; ``… customer ID`` tells everything that the house has about one customer, and
``… merge KEEP GONE`` makes one of two who are the same person.
``… leads`` reads what leads asked in conversations that were stored before they were followed.
``… stock-check`` proves that every balance of stock is the sum of its movements.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from datetime import datetime
from functools import partial
from pathlib import Path

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession

import settings
from demo import DemoRefused, live_on, seed, unseed, unwanted
from mall_adapter import HouseRules, leads, open_desk, open_mall, people_commands, read_catalogue
from mall_adapter.actors import SHELL
from mall_adapter.clients import Clients
from mall_adapter.errors import MallUnavailable, NotFound
from mall_adapter.names import write_names
from mall_adapter.regions import keep_regions
from mall_adapter.rules_check import check
from mall_adapter.stocktaking import unbalanced
from mall_adapter.transactions import Transactions, utc_now
from privacy import KeyRingError
from settings import SHANGHAI
from storage import WRITES, Role, create_engine, migrate


async def _migrate(revision: str, down: bool) -> None:
    settings.data_dir().mkdir(mode=0o700, parents=True, exist_ok=True)
    await migrate(settings.database_url(), revision, down=down)
    if revision != "head":
        return
    async with open_desk():  # makes the key ring of a new house, checks that of an old one
        pass
    engine = create_engine(settings.database_url())
    try:
        async with AsyncSession(engine.execution_options(**WRITES)) as session, session.begin():
            await keep_regions(session)
    finally:
        await engine.dispose()


async def _seed(at_start: bool) -> None:
    engine = create_engine(settings.database_url())
    try:
        reason = await unwanted(engine) if at_start else None
        try:
            if reason is None:
                await seed(engine, datetime.now(SHANGHAI).date())
        except DemoRefused as error:
            if not at_start or settings.demo():  # somebody has asked for it
                raise
            reason = str(error)
        await write_names(partial(read_catalogue, engine), settings.catalogue_file())
        if reason is not None:
            print(reason)
    finally:
        await engine.dispose()


async def _unseed() -> None:
    engine = create_engine(settings.database_url())
    try:
        rows = await unseed(engine)
        await write_names(partial(read_catalogue, engine), settings.catalogue_file())
        removed = f"The demo mall is removed, {rows} rows / 演示商城已移除，共 {rows} 行"
        print(removed if rows else "There is no demo mall here / 这里没有演示商城")
    finally:
        await engine.dispose()


async def _live(speed: float, until: datetime | None) -> None:
    os.nice(10)  # whoever waits for an answer goes first
    engine = create_engine(settings.database_url())
    try:
        await live_on(engine, speed=speed, until=until)
    finally:
        await engine.dispose()


def _moment(written: str) -> datetime:
    """In Asia/Shanghai where no zone is written."""
    moment = datetime.fromisoformat(written)
    return moment if moment.tzinfo else moment.replace(tzinfo=SHANGHAI)


def _speed(written: str) -> float:
    if (speed := float(written)) <= 0:
        raise ValueError("a speed above 0 is needed")
    return speed


async def _names() -> None:
    async with open_mall() as mall:
        await write_names(mall.catalogue, settings.catalogue_file())


async def _client(arguments: argparse.Namespace) -> None:
    engine = create_engine(settings.database_url())
    try:
        clients = Clients(Transactions(engine, utc_now))
        match arguments.does:
            case "add":
                role = Role.SUPPLIER if arguments.supplier else Role.OPERATOR if arguments.operator else Role.SERVICE
                print(await clients.add(arguments.name, arguments.scope, role, arguments.supplier))
                print("Keep this key now, it is not shown again / 请现在保存密钥，之后不再显示", file=sys.stderr)
            case "list":
                for one in await clients.all():
                    used = one.last_used_at and f"used {one.last_used_at.astimezone(SHANGHAI):%m-%d %H:%M}"
                    state = "revoked" if one.revoked_at else used or "never used"
                    who = f"{one.actor.role} {one.actor.supplier_id or ''}".strip()
                    print(f"{one.name:<20} {who:<16} {state:<18} {' '.join(sorted(one.scopes))}")
            case "revoke":
                await clients.revoke(arguments.name)
    finally:
        await engine.dispose()


async def _stock_check() -> None:
    engine = create_engine(settings.database_url())
    try:
        async with AsyncSession(engine) as session:
            faults = await unbalanced(session)
    finally:
        await engine.dispose()
    if faults:
        listed = "\n".join(f"{warehouse_id} {sku_id}" for warehouse_id, sku_id in faults)
        raise ValueError(f"Not the sum of their movements / 与出入库流水对不上:\n{listed}")
    print("Every balance is the sum of its movements / 库存与流水一致")


async def _leads() -> None:
    engine = create_engine(settings.database_url())
    number = 0
    try:
        while await leads.read_on(engine, utc_now()):
            pass
        while some := await leads.read_conversations(engine, utc_now(), stored=True):
            number += some
    finally:
        await engine.dispose()
    print(f"{number} conversations were read on / 读了 {number} 段对话")


async def _review(done: int | None) -> None:
    async with open_desk() as desk:
        if done is not None:
            await desk.settle(SHELL, done)
            return
        for message in await desk.misunderstood():
            guesses = ", ".join(f"{intent} {confidence:.2f}" for intent, confidence in message.guesses)
            when = message.noted_at.astimezone(SHANGHAI)
            print(f"{message.id:>6}  {when:%m-%d %H:%M}  {message.text!r}\n        {guesses}")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m mall_adapter", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    migrating = commands.add_parser("migrate", help="bring the database up to date")
    migrating.add_argument("revision", nargs="?", default="head", help="only so far")
    migrating.add_argument("--down", metavar="REVISION", help="back to this one, dropping what came after it")
    seeding = commands.add_parser("seed", help="put the demo mall into it")
    seeding.add_argument("--at-start", action="store_true", help="only where it is wanted, as `make run` does (DEMO)")
    commands.add_parser("unseed", help="remove the demo mall, and what was done with its orders")
    living = commands.add_parser("live", help="let the demo's orders move on")
    living.add_argument("--speed", type=_speed, default=1.0, help="seconds that pass in one (default 1)")
    living.add_argument(
        "--until", type=_moment, metavar="TIME", help="2026-12-24T20:00; alone: at once, and no further"
    )
    commands.add_parser("stock-check", help="prove that every balance of stock is the sum of its movements")
    commands.add_parser("leads", help="read what leads asked in all stored conversations")
    commands.add_parser("names", help="write down what customers call the goods")
    rules = commands.add_parser("rules-check", help="prove the files of rules without a start")
    rules.add_argument("file", nargs="?", type=Path, help="default: those of the house")
    review = commands.add_parser("review", help="what the bot did not understand, newest first")
    review.add_argument("--done", type=int, metavar="ID", help="settle this one instead")
    people_commands.add(commands)
    client = commands.add_parser("client", help="programs that may call the mall's API, and their keys")
    doing = client.add_subparsers(dest="does", required=True)
    adding = doing.add_parser("add", help="make a key, which is shown once")
    adding.add_argument("name", help="what operators read, and what stands in the log of events")
    adding.add_argument("--scope", action="append", default=[], help="what it opens; may be said several times")
    of_whom = adding.add_mutually_exclusive_group()
    of_whom.add_argument("--supplier", metavar="ID", help="it acts for this supplier, whose own things it may touch")
    of_whom.add_argument("--operator", action="store_true", help="it acts as an operator does, not as a service")
    doing.add_parser("list", help="who may call, and when they last did")
    doing.add_parser("revoke", help="from now on this key opens nothing").add_argument("name")
    arguments = parser.parse_args()
    if arguments.command == "rules-check":
        files = [arguments.file] if arguments.file else [file.path for file in HouseRules().files]
        faulty = [file for file in files if not check(file)]
        sys.exit(1 if faulty else 0)
    try:
        if arguments.command in people_commands.NAMES:
            asyncio.run(people_commands.run(arguments))
        elif arguments.command == "review":
            asyncio.run(_review(arguments.done))
        elif arguments.command == "client":
            asyncio.run(_client(arguments))
        elif arguments.command == "migrate":
            asyncio.run(_migrate(arguments.down or arguments.revision, arguments.down is not None))
        elif arguments.command == "seed":
            asyncio.run(_seed(arguments.at_start))
        elif arguments.command == "live":
            asyncio.run(_live(arguments.speed, arguments.until))
        else:
            rest = {"unseed": _unseed, "names": _names, "stock-check": _stock_check, "leads": _leads}
            asyncio.run(rest[arguments.command]())
    except (DemoRefused, KeyRingError, MallUnavailable, NotFound, OSError, ValueError) as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        sys.exit(130)
    except SQLAlchemyError as error:  # its words may quote what is stored
        sys.exit(f"The database does not answer, or lacks its tables: {type(error).__name__} / 数据库无法使用")


if __name__ == "__main__":
    main()
