"""Worried customers by the thousand: `python -m tests.bench.offers` lets processes make them offers, kills them again
and again, and counts the money; `python -m tests.bench.offers --experiment` lets a shop run for some weeks, in which
offers keep presale orders from being cancelled, or do not, and prints what the report finds.

A conversation is a worry about one order and, of every second one, a yes. Whoever is killed in the middle of one begins
it again under the same keys, as channels do.
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import os
import random
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from multiprocessing.context import ForkProcess
from pathlib import Path
from typing import Any

import yaml
from sqlalchemy import func, insert, select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

import settings
from insights import OfferReport, report_offers
from mall_adapter import SqlMall, models
from mall_adapter.errors import InvalidTransition
from mall_adapter.offers import OfferLimits, Offers, OfferTable, Rules, read_on
from mall_adapter.offers.experiment import variant_of
from mall_adapter.people import principal_of
from mall_adapter.values import Feeling, OfferKind, OfferState, OrderStatus
from privacy import KeyRing, current_ring
from privacy.conversations import conversation_of
from storage import WRITES, Role, create_engine, migrate
from tests.databases import Postgres, Sqlite
from tests.mall_adapter.goods import add_sku, add_supplier

EACH = 5
"""Orders of one customer: they worry about one after another."""

SMALL = (1, 4)
"""Of those the ones that cost little: where they are late points are offered, not a coupon."""

PROCESSES = 3
LOT = 8
"""Customers of a process who talk at once."""

PHONE = "13800005678"
_FILE: dict[str, Any] = yaml.safe_load(settings.budgets_file().read_text("utf-8"))


def rules(budgets: dict[str, int], **more: Any) -> Rules:
    everybody = {"name": "all", "variants": {"usual": {"share": 100, "percent": 100}}}
    file = _FILE | {"experiment": everybody, "cool_down_days": 0} | more | {"budgets": _FILE["budgets"] | budgets}
    return Rules(OfferTable.load(), OfferLimits(yaml.safe_dump(file, allow_unicode=True)))


def sender(number: int) -> str:
    return f"web:{number}"


async def fill(engine: AsyncEngine, customers: int, orders: int, now: datetime, status: OrderStatus) -> None:
    """So many customers with so many orders each, which are late, some of them small, or presales in time."""
    late = status is OrderStatus.PAID
    async with AsyncSession(engine.execution_options(**WRITES)) as session, session.begin():
        add_supplier(session)
        session.add(
            models.Product(
                id="P1",
                supplier_id="S1",
                name="跑鞋",
                brand="云跑",
                category="跑步鞋",
                trade="clothing",
                fresh=False,
                custom_made=False,
                attributes={},
                image_path=None,
            )
        )
        await session.flush()
        add_sku(session, "P1-1", "P1", "42码", 39900, customers * orders, allocated=customers * orders)
    ring, tables = current_ring(), models.Base.metadata.tables
    for first in range(0, customers, 500):
        numbers = range(first, min(first + 500, customers))
        placed = [
            (n, f"ORD{n * orders + k:08}", 1990 if late and k in SMALL else 39900)
            for n in numbers
            for k in range(orders)
        ]
        rows: dict[str, list[dict[str, Any]]] = {
            "customer": [
                {
                    "id": f"C{n}",
                    "name": "顾客",
                    "phone": PHONE,
                    "phone_index": models.phone_index(f"{PHONE}{n}"),
                    "address": "地址",
                    "region": "310000",
                    "registered_at": now - timedelta(days=99),
                }
                for n in numbers
            ],
            "principal": [{"id": principal_of(f"C{n}"), "customer_id": f"C{n}", "created_at": now} for n in numbers],
            "membership": [
                {"principal_id": principal_of(f"C{n}"), "role": Role.CUSTOMER, "granted_at": now} for n in numbers
            ],
            "channel_account": [
                {
                    "sender_index": models.sender_index(sender(n)),
                    "sender": sender(n),
                    "channel": "web",
                    "conversation": conversation_of(ring, sender(n)),
                    "principal_id": principal_of(f"C{n}"),
                    "first_seen_at": now,
                    "bound_at": now,
                }
                for n in numbers
            ],
            "orders": [
                {
                    "id": order_id,
                    "customer_id": f"C{n}",
                    "status": status,
                    "placed_at": now - timedelta(days=3),
                    "paid_at": now - timedelta(days=3),
                    "ships_by": now + timedelta(days=-1 if late else 60),
                    "total_cents": cents,
                    "region": "310000",
                    "recipient_name": "顾客",
                    "recipient_phone": PHONE,
                    "recipient_address": "地址",
                    "phone_tail_index": models.phone_tail_index(order_id, PHONE),
                }
                for n, order_id, cents in placed
            ],
            "fulfilment": [
                {"id": f"{one}-F1", "order_id": one, "supplier_id": "S1", "warehouse_id": "W-S1"}
                for _, one, _ in placed
            ],
            "order_line": [
                {
                    "id": f"{one}-1",
                    "order_id": one,
                    "fulfilment_id": f"{one}-F1",
                    "sku_id": "P1-1",
                    "product_name": "跑鞋",
                    "spec": "42码",
                    "quantity": 1,
                    "unit_price_cents": cents,
                }
                for _, one, cents in placed
            ],
        }
        async with engine.execution_options(**WRITES).begin() as connection:
            for table, values in rows.items():
                await connection.execute(insert(tables[table]), values)


# ---- killed


BUDGETS = {
    "day_cents": 2_999_999,
    "points_day_cents": 600_001,
    "customer_month_cents": 2_500,
    "supplier_month_cents": 3_400_001,
}
"""Less than what 10,000 conversations ask for, and no multiple of what an offer costs."""


LIMITS = {
    "day": "day_cents",
    "points": "points_day_cents",
    "customer": "customer_month_cents",
    "supplier": "supplier_month_cents",
}
"""By what the scope of a budget begins with."""


async def converse(url: str, first: int, step: int, customers: int, done: Path) -> None:
    """One process: its share of the conversations, each customer's one after another. ``done`` holds how many lots are
    behind it; the one in which it was killed is begun again."""
    engine = create_engine(url)
    house = Offers(engine, rules(BUDGETS))

    async def one(number: int) -> None:
        for place in range(EACH):
            order_id = f"ORD{number * EACH + place:08}"
            offer = await persistently(house.propose, sender(number), order_id, Feeling.WORRY, f"{order_id} worry")
            if offer and place % 2 == 0:
                try:
                    await persistently(house.accept, sender(number), offer.id)
                except InvalidTransition:
                    raise AssertionError("an offer that was just made is over") from None

    lots = range(first, customers, step * LOT)
    for place in range(_lots_done(done), len(lots)):
        lot = lots[place]
        await asyncio.gather(*(one(number) for number in range(lot, min(lot + step * LOT, customers), step)))
        await asyncio.to_thread(done.write_text, str(place + 1))
    await engine.dispose()


def _lots_done(file: Path) -> int:
    return int(file.read_text() or 0) if file.exists() else 0


async def persistently(do: Any, *arguments: Any) -> Any:
    """Again, where the database had too much to do."""
    for _ in range(5):
        try:
            return await do(*arguments)
        except DBAPIError:
            await asyncio.sleep(0.2)
    return await do(*arguments)


def run_and_kill(url: str, customers: int, kill_every: float, folder: Path) -> tuple[int, float]:
    """How many processes were killed in the middle of their work, and how long it took."""
    began, killed, context = time.monotonic(), 0, multiprocessing.get_context("fork")
    running: dict[int, tuple[ForkProcess, int]] = {}  # with the lots that were done when it started
    files = [folder / str(number) for number in range(PROCESSES)]

    def start(number: int) -> None:
        process = context.Process(target=_converse, args=(url, number, customers, files[number]))
        process.start()
        running[number] = process, _lots_done(files[number])

    for number in range(PROCESSES):
        start(number)
    chosen = random.Random(1)  # noqa: S311
    while running:
        time.sleep(chosen.uniform(0.5, 1.5) * kill_every)
        for number in [number for number, (process, _) in running.items() if not process.is_alive()]:
            assert running.pop(number)[0].exitcode == 0, "a process failed"
        busy = [number for number, (_, before) in running.items() if _lots_done(files[number]) > before]
        if busy:
            number = chosen.choice(busy)
            running[number][0].kill()
            running[number][0].join()
            killed += 1
            start(number)
    return killed, time.monotonic() - began


def _converse(url: str, number: int, customers: int, done: Path) -> None:
    asyncio.run(converse(url, number, PROCESSES, customers, done))


async def count_money(engine: AsyncEngine) -> dict[str, int]:
    """Raises AssertionError where a cent is wrong."""
    offer, budget, coupon, lot = models.Offer, models.OfferBudget, models.Coupon, models.EnergyLot
    found = dict[str, int]()
    async with AsyncSession(engine) as session:
        states = dict((await session.execute(select(offer.state, func.count()).group_by(offer.state))).all())
        pots = select(offer.kind, func.sum(offer.value_cents)).group_by(offer.kind)
        promised = {kind: int(cents) for kind, cents in (await session.execute(pots)).all()}
        whole = {
            "day": sum(promised.values()) - promised[OfferKind.POINTS],
            "points": promised[OfferKind.POINTS],
            "supplier": sum(promised.values()),
        }
        for kind, given, said in (
            (OfferKind.COUPON, select(func.count(), func.sum(coupon.off_cents)), offer.value_cents),
            (OfferKind.POINTS, select(func.count(), func.sum(lot.active)), offer.points),
        ):
            accepted = select(func.count(), func.sum(said)).where(offer.state == OfferState.ACCEPTED)
            taken = (await session.execute(accepted.where(offer.kind == kind))).one()
            there = (await session.execute(given)).one()
            assert tuple(there) == tuple(taken), f"{kind}: what was accepted and what is there differ"
            found[f"{kind}_accepted"] = there[0]
        balance = await session.scalar(select(func.sum(models.EnergyAccount.balance)))
        assert balance == await session.scalar(select(func.sum(lot.active))), "the balances are not those of the lots"
        twice = select(offer.order_id).group_by(offer.order_id, offer.reason).having(func.count() > 1)
        assert (await session.execute(twice)).all() == [], "an offer was made twice"
        for row in (await session.scalars(select(budget))).all():
            pot = row.scope.partition(":")[0]
            assert row.spent_cents <= BUDGETS[LIMITS[pot]], f"{row.scope} is exceeded"
            if pot != "customer":
                assert row.spent_cents == whole[pot], f"{row.scope} is not what was promised"
    counts = {str(state): count for state, count in states.items()}
    return counts | found | {f"{kind}_cents": cents for kind, cents in whole.items()}


def killed_at(url: str, conversations: int, kill_every: float) -> None:
    customers = conversations // EACH

    async def prepare() -> None:
        await migrate(url)
        engine = create_engine(url)
        await fill(engine, customers, EACH, datetime.now(UTC), OrderStatus.PAID)
        await engine.dispose()

    async def count() -> dict[str, int]:
        engine = create_engine(url)
        try:
            return await count_money(engine)
        finally:
            await engine.dispose()

    asyncio.run(prepare())
    with tempfile.TemporaryDirectory() as folder:
        killed, lasted = run_and_kill(url, customers, kill_every, Path(folder))
    found = asyncio.run(count())
    print(f"{conversations} conversations, {killed} processes killed, {lasted:.0f} s: {found}", flush=True)


# ---- the experiment


VARIANTS = {"none": {"share": 40, "percent": 0}, "usual": {"share": 60, "percent": 100}}


@asynccontextmanager
async def _database(folder: Path) -> AsyncIterator[AsyncEngine]:
    url = Sqlite(folder).create()
    await migrate(url)
    engine = create_engine(url)
    yield engine
    await engine.dispose()


async def run_experiment(engine: AsyncEngine, customers: int, effect: float, seed: int) -> OfferReport:
    """Every customer has a presale order and worries about it; of those who are offered nothing 30 % cancel, of the
    others by ``effect`` fewer. Three weeks later the report is made."""
    at, chance = datetime(2026, 3, 2, 2, 0, tzinfo=UTC), random.Random(seed)  # noqa: S311
    now = [at]
    await fill(engine, customers, 1, at, OrderStatus.PRESALE)
    plenty = dict.fromkeys(_FILE["budgets"], 10**9)
    offering = rules(plenty, experiment={"name": "simulated", "variants": VARIANTS})
    house, mall = Offers(engine, offering, lambda: now[0]), SqlMall(engine, clock=lambda: now[0])
    for number in range(customers):
        order_id = f"ORD{number:08}"
        offer = await house.propose(sender(number), order_id, Feeling.WORRY, order_id)
        if offer and chance.random() < 0.7:
            await house.accept(sender(number), offer.id)
        if chance.random() < 0.3 - (effect if offer else 0.0):
            now[0] = at + timedelta(days=chance.randrange(1, 13))
            await mall.cancel_order(sender(number), order_id, f"{order_id} cancel")
            now[0] = at
    now[0] = at + timedelta(days=13)
    while await read_on(engine, offering, now[0]):
        pass
    return await report_offers(engine, "simulated", at + timedelta(days=21))


async def write_experiments(engine: AsyncEngine, customers: int, effects: Sequence[float], at: datetime) -> list[str]:
    """The same by rows alone, many times over; the names of the experiments. What the mall records of an offer is
    written as it would, by one writer."""
    offer, event = models.Base.metadata.tables["offer"], models.Base.metadata.tables["event"]
    names, kinds = [], {"role": Role.SERVICE, "principal_id": "rules", "channel": None, "region": None}
    for number, effect in enumerate(effects):
        name, chance = f"run_{number}", random.Random(number)  # noqa: S311
        experiment = rules({}, experiment={"name": name, "variants": VARIANTS}).limits.experiment
        rows, events = [], []
        for one in range(customers):
            variant, percent = variant_of(experiment, f"C{one}")
            offer_id, cents = f"OF{number:03}{one:06}", 5 * percent
            taken = bool(cents) and chance.random() < 0.7
            state = OfferState.ACCEPTED if taken else OfferState.EXPIRED if cents else OfferState.WITHHELD
            rows.append(
                {
                    "id": offer_id,
                    "customer_id": f"C{one}",
                    "order_id": f"ORD{one:08}",
                    "reason": name,
                    "feeling": Feeling.WORRY,
                    "rule": "presale_worry",
                    "kind": OfferKind.COUPON,
                    "value_cents": cents,
                    "min_spend_cents": 0,
                    "valid_days": 30,
                    "experiment": name,
                    "variant": variant,
                    "state": state,
                    "why": "",
                    "made_at": at,
                    "charged_on": at.date(),
                    "good_until": at + timedelta(days=2),
                }
            )
            told: list[tuple[str, dict[str, Any]]] = [
                ("offer_assigned", {"variant": variant, "presale": True, "value_cents": cents})
            ]
            if taken:
                told.append(("offer_settled", {"state": state, "value_cents": cents}))
            if chance.random() < 0.3 - (effect if cents else 0.0):
                told.append(("offer_outcome", {"outcome": "cancelled"}))
            events += [
                kinds | {"kind": kind, "subject": f"offer:{offer_id}", "at": at, "data": data} for kind, data in told
            ]
        async with engine.execution_options(**WRITES).begin() as connection:
            await connection.execute(insert(offer), rows)
            await connection.execute(insert(event), events)
        names.append(name)
    return names


async def experiments(customers: int, effects: Sequence[float]) -> None:
    from insights.__main__ import show

    for seed, effect in enumerate(effects):
        with tempfile.TemporaryDirectory() as folder:
            async with _database(Path(folder)) as engine:
                print(f"\nbuilt in: {-effect:+.0%}\n{show(await run_experiment(engine, customers, effect, seed))}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--conversations", type=int, default=10_000)
    parser.add_argument("--kill-every", type=float, default=3.0, help="seconds")
    parser.add_argument("--only", choices=["sqlite", "postgresql"])
    parser.add_argument("--experiment", action="store_true")
    parser.add_argument("--customers", type=int, default=2000, help="of the experiment")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as elsewhere:
        os.environ["DATA_DIR"] = folder
        KeyRing.load_or_create(settings.keyring_file())
        if arguments.experiment:
            asyncio.run(experiments(arguments.customers, (0.1, 0.0)))
            return
        if arguments.only != "postgresql":
            killed_at(Sqlite(Path(folder)).create(), arguments.conversations, arguments.kill_every)
        if arguments.only != "sqlite":
            postgres = Postgres(Path(elsewhere))
            try:
                killed_at(postgres.create(), arguments.conversations, arguments.kill_every)
            finally:
                postgres.server.cleanup()


if __name__ == "__main__":
    main()
