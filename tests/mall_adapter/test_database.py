"""Migrations, the engine's promises, and the front door."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, delete, event, inspect, select, text
from sqlalchemy.exc import IntegrityError, StatementError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

import settings
from mall_adapter import SqlMall, models, open_mall
from mall_adapter.values import Reason, TicketKind, TicketRequest, TicketStatus
from privacy import KeyRingError
from storage import MigrationRefused, create_engine, migrate, migration
from storage import engine as engine_module
from tests.mall_adapter.offices import advance_ticket, bind, new_key, place_order, ship_order

from .conftest import NOW, Postgres, Sqlite

MALL = models.Base.metadata


def differences(connection: Connection) -> list[object]:
    """Between the models and the database, other rooms' tables left out."""

    def ours(name: str | None, kind: str, _: object) -> bool:
        return kind != "table" or name in MALL.tables

    options = {"compare_type": True, "include_name": ours}
    return list(compare_metadata(MigrationContext.configure(connection, opts=options), MALL))


async def tables(engine: AsyncEngine) -> set[str]:
    async with engine.connect() as connection:
        return set(await connection.run_sync(lambda sync: inspect(sync).get_table_names()))


async def test_the_migrations_make_what_the_models_say(databases: Sqlite | Postgres) -> None:
    url = databases.create()
    engine = create_engine(url)
    await migrate(url)
    async with engine.connect() as connection:
        assert await connection.run_sync(differences) == []
    assert await tables(engine) > {*MALL.tables, "conversation_event", "keyring_check"}

    await migrate(url, "base", down=True)
    assert await tables(engine) == {"alembic_version"}
    await migrate(url)
    async with engine.connect() as connection:
        assert await connection.run_sync(differences) == []
    await engine.dispose()


async def test_processes_that_start_at_once_migrate_once(databases: Sqlite | Postgres, tmp_path: Path) -> None:
    address = databases.create()
    scheme, _, rest = address.partition("://")
    environment = {"DATABASE_URL": f"{scheme.split('+')[0]}://{rest}", "DATA_DIR": str(tmp_path / "not" / "there")}
    command = [sys.executable, "-m", "mall_adapter", "migrate"]
    starters = [await asyncio.create_subprocess_exec(*command, cwd=settings.ROOT, env=environment) for _ in range(3)]
    assert [await starter.wait() for starter in starters] == [0, 0, 0]
    engine = create_engine(address)
    assert await tables(engine) >= set(MALL.tables)
    await engine.dispose()
    assert ((tmp_path / "not" / "there" / "keyring.json").stat().st_mode & 0o777) == 0o600


async def test_a_migration_waits_for_another_however_long_it_takes(
    databases: Sqlite | Postgres, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The first stands still in the middle; ordinary statements would be given up meanwhile."""
    monkeypatch.setattr(engine_module, "BUSY_SECONDS", 0.1)
    address = databases.create()
    if isinstance(databases, Postgres):
        databases.server.psql("ALTER ROLE postgres SET statement_timeout = 100")
    in_the_middle, go_on, run = threading.Event(), threading.Event(), migration._run

    def slow(connection: Connection, revision: str, down: bool) -> None:
        if connection.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_sleep(0.3)"))
        in_the_middle.set()
        go_on.wait()
        run(connection, revision, down)

    with monkeypatch.context() as patch:
        patch.setattr(migration, "_run", slow)
        first = threading.Thread(target=asyncio.run, args=(migrate(address),))
        first.start()
        await asyncio.to_thread(in_the_middle.wait)
    second = asyncio.create_task(migrate(address))
    said = ""
    while "Waiting for another migration" not in said:
        assert not second.done()
        await asyncio.sleep(0.05)
        said += capsys.readouterr().out
    go_on.set()
    await second
    first.join()
    if isinstance(databases, Postgres):
        databases.server.psql("ALTER ROLE postgres RESET statement_timeout")
    engine = create_engine(address)
    assert await tables(engine) >= set(MALL.tables)
    await engine.dispose()


async def test_down_is_only_gone_when_it_is_asked_for(databases: Sqlite | Postgres) -> None:
    url = databases.create()
    engine = create_engine(url)
    await migrate(url, "0002")
    await migrate(url, "0003")
    assert "handoff" not in await tables(engine)
    for revision in ("0002", "base"):
        with pytest.raises(MigrationRefused, match=f"--down {revision}"):
            await migrate(url, revision)
    with pytest.raises(MigrationRefused, match="There is no revision 9999"):
        await migrate(url, "9999", down=True)
    await migrate(url, "0002", down=True)
    await migrate(url, "head", down=True)
    assert await tables(engine) >= set(MALL.tables)
    async with engine.begin() as connection:
        await connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(MigrationRefused, match="made by a newer one"):
        await migrate(url)
    await engine.dispose()


def test_going_down_by_accident_is_refused_with_a_sentence(tmp_path: Path) -> None:
    environment = {"DATA_DIR": str(tmp_path)}

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "mall_adapter", "migrate", *arguments]
        return subprocess.run(command, cwd=settings.ROOT, env=environment, capture_output=True, text=True)

    assert run().returncode == 0
    refused = run("0003")
    assert (refused.returncode, refused.stderr.count("\n")) == (1, 1)
    assert "--down 0003" in refused.stderr
    assert run("--down", "0003").returncode == 0


async def test_a_mall_opens_only_with_its_own_key_ring(
    url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    scheme, _, rest = url.partition("://")
    monkeypatch.setenv("DATABASE_URL", f"{scheme.split('+')[0]}://{rest}")
    async with open_mall() as mall:
        assert await mall.customer_of("web:zhou") is not None
    monkeypatch.setenv("KEYRING_FILE", str(tmp_path / "other.json"))
    with pytest.raises(KeyRingError):
        async with open_mall():
            pass


@pytest.mark.parametrize("databases", ["sqlite", "postgresql"], indirect=True)  # it listens to the engine
async def test_no_question_reads_a_whole_table(mall: SqlMall, engine: AsyncEngine) -> None:
    asked: dict[str, Any] = {}

    @event.listens_for(engine.sync_engine, "before_cursor_execute")
    def note(_: Connection, __: object, statement: str, parameters: Any, ___: object, ____: bool) -> None:
        if statement.startswith("SELECT"):
            asked[statement] = parameters

    request = TicketRequest("ORD10001", TicketKind.RETURN, Reason.QUALITY)
    await mall.customer_of("web:zhou")
    await mall.prove_ownership("web:guest", "ORD10001", "5678", new_key())
    await mall.order("web:guest", "ORD10001")
    await mall.orders_of("web:guest")
    await mall.assess("web:guest", request)
    ticket = await mall.create_ticket("web:guest", request, "k1")
    await mall.ticket("web:guest", ticket.id)
    await mall.tickets_of("web:guest")
    await mall.cancel_ticket("web:guest", ticket.id, "k2")
    await place_order(mall, "C1", {"P1-1": 1}, "k3")
    await ship_order(mall, "ORD10003", "顺丰速运", "SF1", "k4")
    await mall.coupons_of("web:zhou")
    event.remove(engine.sync_engine, "before_cursor_execute", note)

    assert len(asked) > 15
    async with engine.connect() as connection:
        if engine.dialect.name == "postgresql":  # which otherwise reads small tables whole
            await connection.execute(text("SET enable_seqscan = off"))
        explain = "EXPLAIN " if engine.dialect.name == "postgresql" else "EXPLAIN QUERY PLAN "
        for statement, parameters in asked.items():
            plan = str((await connection.exec_driver_sql(explain + statement, parameters)).all())
            assert "Seq Scan" not in plan, statement
            assert "SCAN" not in plan, statement


async def test_nothing_that_names_a_person_lies_open(mall: SqlMall, engine: AsyncEngine) -> None:
    await bind(mall, "wechat:oGuest", "C1")
    await mall.prove_ownership("telegram:4711", "ORD20001", "4321", new_key())
    await mall.grant_coupon("telegram:4711", "见面礼", 500, 0, 7, "key of telegram:4711")
    order = await place_order(mall, "C1", {"P1-1": 1}, "k1")
    request = TicketRequest("ORD10001", TicketKind.RETURN, Reason.QUALITY, note="鞋底开胶了")
    ticket = await mall.create_ticket("wechat:oGuest", request, "k2")
    await advance_ticket(mall, ticket.id, TicketStatus.CANCELLED, "operator", "已和周女士电话沟通", "k3")

    rows: list[Any] = []
    async with engine.connect() as connection:
        for table in MALL.tables:
            rows += (await connection.exec_driver_sql(f"SELECT * FROM {table}")).all()  # noqa: S608
    stored = repr(rows)
    assert order.id in stored
    people = ("周琳", "何军", "13800005678", "13900004321", "静安", "文三路", "收件人", "送货地址", "周女士", "开胶")
    for secret in (*people, "oGuest", "telegram:", "web:"):
        assert secret not in stored
        assert repr(secret.encode())[2:-1] not in stored


async def test_times_keep_their_zone_and_need_one(engine: AsyncEngine) -> None:
    async with AsyncSession(engine) as session:
        placed_at = await session.scalar(select(models.Order.delivered_at).where(models.Order.id == "ORD10001"))
        assert placed_at is not None
        assert placed_at.utcoffset() is not None
        event = models.TrackingEvent(shipment_id="ORD10001-S1", time=NOW.replace(tzinfo=None), place="", text="")
        session.add(event)
        with pytest.raises(StatementError, match="time zone"):
            await session.flush()


@pytest.mark.parametrize(
    "row",
    [
        models.Stock(warehouse_id="W-S1", sku_id="P1-1", on_hand=1, allocated=1, held=1, version=2),
        models.Stock(warehouse_id="W-S1", sku_id="P1-1", on_hand=1, allocated=-1, held=0, version=2),
        models.Sku(id="X", product_id="P9", spec="", weight_g=0),
        models.Customer(id="C1", region="华东"),
        models.OrderLine(
            fulfilment_id="ORD10001-F1",
            id="X",
            order_id="ORD10001",
            sku_id="P1-1",
            product_name="",
            spec="",
            quantity=0,
            unit_price_cents=1,
        ),
    ],
    ids=["more held than there", "negative", "no such product", "no such region", "no pieces"],
)
async def test_the_database_keeps_its_own_rules(engine: AsyncEngine, row: models.Base) -> None:
    async with AsyncSession(engine) as session:
        await session.merge(row)
        with pytest.raises(IntegrityError):
            await session.flush()


async def test_a_row_that_others_point_at_stays(engine: AsyncEngine) -> None:
    async with engine.connect() as connection:
        with pytest.raises(IntegrityError):
            await connection.execute(delete(models.Customer))
