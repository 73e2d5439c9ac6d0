"""A sealed value opens in its own cell and nowhere else, on SQLite and PostgreSQL; and what people see instead."""

from __future__ import annotations

import asyncio
import itertools
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator, Iterable
from typing import Any

import pytest
from sqlalchemy import delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, AsyncSession

import settings
from mall_adapter import Desk, SqlMall, models, transcripts
from mall_adapter.desk import DAMAGED
from mall_adapter.handoff import ComplaintKind
from mall_adapter.transactions import UNREADABLE
from mall_adapter.values import Customer, DeliveryChange, Reason, TicketKind, TicketStatus
from privacy import KeyRingError, TamperedError, current_ring, verify_keyring
from privacy.cipher import seal, unseal
from privacy.columns import KeyedHash
from privacy.conversations import conversation_of, seal_events
from privacy.tables import conversation_event
from storage import WRITES, migrate
from tests.mall_adapter.offices import WANG

from .cells import CUSTOMER, MALL, Cell, as_stored, cells, fill, read_all, sealed_columns
from .conftest import NOW, Clock

DOES_NOT_OPEN = (TamperedError, KeyRingError)


@pytest.fixture
async def desk(engine: AsyncEngine, clock: Clock) -> Desk:
    return await fill(engine, clock)


@pytest.fixture
async def before_0008(desk: Desk, url: str) -> AsyncIterator[str]:
    """The address of a house of the release before, in which values are bound to their columns alone."""
    await migrate(url, "0007", down=True)
    yield url
    await migrate(url)


def test_every_sealed_column_has_a_place_of_its_own() -> None:
    places = [each.type.place for each in sealed_columns()]
    assert len(set(places)) == len(places)


def test_every_hash_is_known_as_one_and_follows_the_index_key() -> None:
    looks_like = {
        f"{one.name}.{each.name}"
        for one in MALL.sorted_tables
        for each in one.c
        if getattr(each.type, "length", None) == 64 and not isinstance(each.type, KeyedHash)
    }
    assert looks_like == set()


async def test_every_pair_of_sealed_cells_is_told_apart(desk: Desk, engine: AsyncEngine) -> None:
    async with engine.execution_options(**WRITES).begin() as connection:
        found = await cells(connection)
        kinds = Counter((cell.table.name, cell.column) for cell in found)
        assert kinds.keys() == {(each.table.name, each.key) for each in sealed_columns()}
        assert min(kinds.values()) > 1
        stored = {cell: await cell.stored(connection) for cell in found}
        for cell, other in itertools.permutations(found, 2):
            with pytest.raises(DOES_NOT_OPEN):
                unseal(current_ring(), stored[other], cell.place())
        # and through the database: everything one cell on, within the columns and across their borders
        for cell, other in zip(found, found[1:] + found[:1], strict=True):
            await cell.put(connection, stored[other])
        for cell in found:
            with pytest.raises(DOES_NOT_OPEN):
                await cell.read(connection)
        for cell in found:
            await cell.put(connection, stored[cell])
            assert await cell.read(connection) == unseal(current_ring(), stored[cell], cell.place()).decode()


async def test_a_moved_row_does_not_open_whole(desk: Desk, engine: AsyncEngine) -> None:
    """Not one value but all of them, as who writes into the database would do it."""
    async with engine.execution_options(**WRITES).begin() as connection:
        raw = as_stored(CUSTOMER)
        stored = select(raw.c.name, raw.c.phone, raw.c.address)
        values = (await connection.execute(stored.where(raw.c.id == "C2"))).mappings().one()
        await connection.execute(update(raw).where(raw.c.id == "C1").values(dict(values)))
        with pytest.raises(DOES_NOT_OPEN):
            (await connection.execute(select(models.Customer.name).where(models.Customer.id == "C1"))).all()


async def test_values_that_were_sealed_for_their_column_alone_do_not_open(engine: AsyncEngine) -> None:
    cell = Cell(CUSTOMER, "name", ("C1",))
    async with engine.execution_options(**WRITES).begin() as connection:
        await cell.put(connection, seal(current_ring(), "周琳".encode(), b"customer.name"))
        with pytest.raises(TamperedError):
            await cell.read(connection)


# ---- every way into the database ----


async def test_every_way_of_writing_seals_for_the_row(engine: AsyncEngine) -> None:
    event, now = models.TicketEvent, {"time": NOW, "status": TicketStatus.OPEN, "actor": "customer"}
    async with AsyncSession(engine.execution_options(**WRITES)) as session, session.begin():
        ticket: dict[str, Any] = {
            "id": "RT1",
            "order_id": "ORD10001",
            "kind": TicketKind.RETURN,
            "status": TicketStatus.OPEN,
        }
        ticket |= {"reason": Reason.QUALITY, "summary": "", "note": "t", "rule": "", "freight_payer": "shop"}
        ticket |= {
            "auto_approve": False,
            "handling_days": 1,
            "refund_cents": 0,
            "due_on": NOW.date(),
            "created_at": NOW,
        }
        await session.execute(insert(models.Ticket).values(ticket))
        session.add_all(event(ticket_id="RT1", note=f"orm {number}", **now) for number in range(3))
        await session.flush()
        await session.execute(insert(event).values(ticket_id="RT1", note="core", **now))
        await session.execute(insert(event), [{"ticket_id": "RT1", "note": f"many {n}", **now} for n in range(3)])
        await session.execute(insert(event), {"ticket_id": "RT1", "note": "one", **now})
        session.add(event(id=1_000_000, ticket_id="RT1", note="numbered", **now))
        await session.flush()
        written = (await session.scalars(select(event.note).order_by(event.id))).all()
        assert sorted(written) == sorted(
            ["orm 0", "orm 1", "orm 2", "core", "many 0", "many 1", "many 2", "one", "numbered"]
        )
        first = (await session.scalars(select(event).order_by(event.id))).first()
        assert first is not None
        first.note = "changed"
        await session.flush()
        await session.execute(update(event).where(event.id == 1_000_000).values(note="changed too"))
        session.expire_all()
        notes = (await session.scalars(select(event).order_by(event.id))).all()
        assert (notes[0].note, notes[-1].note) == ("changed", "changed too")
        # seen from behind a join, a subquery and an alias
        newest = select(event).order_by(event.id.desc()).limit(1).subquery()
        assert (await session.execute(select(newest.c.note))).scalar_one() == "changed too"


@pytest.mark.parametrize(
    "statement",
    [
        update(models.Customer).values(name="x"),
        update(models.Customer).where(models.Customer.region == "310000").values(name="x"),
        update(models.Customer).where(models.Customer.id != "C1").values(name="x"),
        update(models.Customer).where(models.Customer.id.in_(["C1", "C2"])).values(name="x"),
        update(models.Customer).where((models.Customer.id == "C1") | (models.Customer.id == "C2")).values(name="x"),
        update(models.Customer).where(models.Customer.id == "C1").values(id="C9", name="x"),
        update(models.Customer).where(models.Customer.id == "C1").values(id="C9"),
        update(models.DeskUpdate).where(models.DeskUpdate.sender_index == "0").values(messages="x"),
        select(models.Customer.id).where(models.Customer.name == "周琳"),
        insert(models.Customer).values([{"id": "C8", "name": "x"}, {"id": "C9", "name": "y"}]),
        insert(models.Customer).values(name="x"),
    ],
    ids=str,
)
async def test_what_cannot_be_bound_to_one_row_is_refused(statement: Any, engine: AsyncEngine) -> None:
    async with engine.execution_options(**WRITES).connect() as connection:
        with pytest.raises(Exception, match="sealed"):
            await connection.execute(statement)


# ---- what people see of a value that does not open ----


async def test_the_lists_of_the_desk_go_on(desk: Desk, engine: AsyncEngine) -> None:
    async with engine.execution_options(**WRITES).begin() as connection:
        for name, column, value in (
            ("handoff", "sender", b"\0" * 60),
            ("misunderstood", "text", b"\0" * 60),
            ("misunderstood", "guesses", b"\0" * 60),
            ("complaint", "words", b""),
        ):
            of_column = [cell for cell in await cells(connection) if (cell.table.name, cell.column) == (name, column)]
            await min(of_column, key=lambda cell: cell.key).put(connection, value)
    assert [each.sender for each in await desk.open_handoffs()] == [DAMAGED, "web:he"]
    assert sorted(each.text for each in await desk.misunderstood(settled=True)) == ["那个啥", DAMAGED]
    assert sorted(each.words for each in await desk.complaints()) == ["太慢了", DAMAGED]
    # what cannot be opened cannot go out, and holds nobody back
    await desk.say(WANG, (await desk.open_handoffs())[1].id, "在吗", "m9")
    assert [dispatch.text for dispatch in await desk.dispatches()] == ["在吗"]


async def test_a_customer_goes_on_without_a_name_or_a_note(desk: Desk, engine: AsyncEngine, clock: Clock) -> None:
    mall = SqlMall(engine, clock=clock)
    async with engine.execution_options(**WRITES).begin() as connection:
        for cell in await cells(connection):
            await cell.put(connection, b"\0" * 60)
    assert (await mall.customer_of("web:zhou")) == Customer("C1", UNREADABLE, "上海")
    ticket = next(one for one in await mall.tickets_of("web:zhou") if one.status is not TicketStatus.CANCELLED)
    assert {event.note for event in ticket.history} == {UNREADABLE}
    cancelled = await mall.cancel_ticket("web:zhou", ticket.id, "away")
    assert cancelled.history[-1].note == ""
    change = DeliveryChange(recipient_name="周琳", phone="13800005678", address="上海市静安区延平路 1 号")
    await mall.change_delivery("web:zhou", "ORD10003", change, "d1")
    await desk.note_complaint("web:zhou", ComplaintKind.COURIER, "又来了", "m3")
    async with engine.connect() as connection:
        assert await Cell(MALL.tables["orders"], "recipient_phone", ("ORD10003",)).read(connection) == "13800005678"
    assert "又来了" in [each.words for each in await desk.complaints()]


async def test_a_conversation_is_shown_as_far_as_it_opens(desk: Desk, engine: AsyncEngine) -> None:
    ring, table = current_ring(), conversation_event
    events = [{"event": "user", "text": f"第{number}句", "timestamp": 1.0} for number in range(4)]
    async with engine.execution_options(**WRITES).begin() as connection:
        await connection.execute(delete(table))
        for position, one in enumerate(events):
            await connection.execute(insert(table), vars(seal_events(ring, "web:zhou", position, 0, [one])))
    assert [line.text for line in (await desk.transcript("web:zhou"))[0]] == ["第0句", "第1句", "第2句", "第3句"]
    async with engine.execution_options(**WRITES).begin() as connection:
        first = select(table.c.sealed).where(table.c.position == 0).scalar_subquery()
        await connection.execute(update(table).where(table.c.position == 1).values(sealed=first))
    lines, after = await desk.transcript("web:zhou")
    assert ([line.text for line in lines], after) == ([transcripts.DAMAGED, "第2句", "第3句"], 4)
    excerpt = await desk.look_into(WANG, conversation_of(ring, "web:zhou"))
    assert (excerpt.first, [event["text"] for event in excerpt.events]) == (2, ["第2句", "第3句"])
    with pytest.raises(TamperedError):  # the page has a sentence for it
        await desk.look_into(WANG, conversation_of(ring, "web:zhou"), before=2)


# ---- the values of a house of today ----


async def sealed_for(connection: AsyncConnection, place: Any) -> set[Cell]:
    """The values, each at the place that ``place`` names for its cell; all of them open there, or the test fails."""
    found = await cells(connection)
    for cell in found:
        unseal(current_ring(), await cell.stored(connection), place(cell))
    return set(found)


def of_the_same_columns(found: Iterable[Cell], as_these: set[Cell]) -> set[Cell]:
    """Without those of columns that a later revision has made."""
    columns = {(cell.table.name, cell.column) for cell in as_these}
    return {cell for cell in found if (cell.table.name, cell.column) in columns}


def column_alone(cell: Cell) -> bytes:
    return str(cell.table.c[cell.column].type.place).encode()  # type: ignore[attr-defined]


async def test_the_values_of_today_are_bound_to_their_rows_and_back(desk: Desk, engine: AsyncEngine, url: str) -> None:
    before = await read_all(engine)
    assert len(before) > 30
    await migrate(url, "0007", down=True)
    async with engine.connect() as connection:
        kept = await sealed_for(connection, column_alone)
        with pytest.raises(TamperedError):
            (await connection.execute(select(models.Customer.name))).all()
    await migrate(url)
    after = await read_all(engine)
    assert len(kept) > 30
    assert of_the_same_columns(after, kept) == kept
    assert {cell: after[cell] for cell in kept} == {cell: before[cell] for cell in kept}


KILLED = """
import asyncio, os, signal, sys
from sqlalchemy import event
from sqlalchemy.engine import Engine
from storage import migrate
@event.listens_for(Engine, "before_cursor_execute")
def count(connection, cursor, statement, *rest):
    if statement.startswith("UPDATE ticket "):
        os.kill(os.getpid(), signal.SIGKILL)
asyncio.run(migrate(sys.argv[1]))
"""


async def test_a_migration_that_is_killed_is_begun_again(before_0008: str, engine: AsyncEngine) -> None:
    killed = await asyncio.create_subprocess_exec(sys.executable, "-c", KILLED, before_0008, cwd=settings.ROOT)
    assert await killed.wait() == -signal.SIGKILL
    async with engine.connect() as connection:
        kept = await sealed_for(connection, column_alone)
    await migrate(before_0008)
    assert of_the_same_columns(await read_all(engine), kept) == kept


async def test_a_damaged_value_does_not_stop_the_migration(before_0008: str, engine: AsyncEngine) -> None:
    damaged = Cell(CUSTOMER, "name", ("C1",))
    async with engine.execution_options(**WRITES).begin() as connection:
        other = await Cell(CUSTOMER, "address", ("C1",)).stored(connection)
        await damaged.put(connection, other)
    await migrate(before_0008)
    async with engine.connect() as connection:
        assert await damaged.stored(connection) == other
        with pytest.raises(TamperedError):
            await damaged.read(connection)
        assert await Cell(CUSTOMER, "name", ("C2",)).read(connection) == "何军"


async def test_with_a_wrong_ring_the_migration_changes_nothing(
    before_0008: str, engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with engine.execution_options(**WRITES).begin() as connection:
        await connection.run_sync(verify_keyring)
        kept = await sealed_for(connection, column_alone)
    with monkeypatch.context() as elsewhere:
        elsewhere.setenv("KEYRING_FILE", str(settings.data_dir() / "another.json"))
        with pytest.raises(KeyRingError):
            await migrate(before_0008)
    async with engine.connect() as connection:
        assert await sealed_for(connection, column_alone) == kept
