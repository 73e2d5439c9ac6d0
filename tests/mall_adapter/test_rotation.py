"""Keys change: while the house runs, and while it stands. Nobody and nothing is lost, on SQLite and PostgreSQL."""

from __future__ import annotations

import asyncio
import io
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import redirect_stdout
from pathlib import Path

import pytest
from itsdangerous import TimestampSigner
from sqlalchemy import insert, select, text, update
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

import settings
from mall_adapter import Desk, SqlMall, models
from ops.stack import free_ports
from privacy import KeyRing, KeyRingError, current_ring, keyring, rotation, verify_keyring
from privacy.__main__ import run
from privacy.conversations import Row, conversation_of, open_events, seal_events
from privacy.tables import conversation_event
from storage import WRITES, create_engine, migrate
from tests.mall_adapter.offices import new_key

from .cells import CUSTOMER, MALL, Cell, fill, read_all
from .conftest import Clock, Postgres, Sqlite, add_small_mall

SENDER = "api:8c1f"
WRITER = """
import asyncio, sys
from mall_adapter import Desk
from mall_adapter.actors import SHELL
from storage import create_engine
import settings
async def main():
    engine = create_engine(settings.database_url())
    desk, number = Desk(engine, settings.desk_hours()), 0
    print("begun", flush=True)
    while not sys.stdin.closed:
        number += 1
        await desk.note_misunderstood("web:writer", f"words {number}", [], f"w{number}")
        await desk.settle(SHELL, (await desk.misunderstood())[0].id, f"intent_{number}")
        print(number, flush=True)
asyncio.run(main())
"""


@pytest.fixture
async def house(
    databases: Sqlite | Postgres, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, clock: Clock
) -> AsyncIterator[AsyncEngine]:
    """A database and a key ring of its own, everything filled; no graph answers."""
    scheme, _, rest = databases.create().partition("://")
    monkeypatch.setenv("DATABASE_URL", f"{scheme.split('+')[0]}://{rest}")
    monkeypatch.setenv("DATA_DIR", str(tmp_path))
    monkeypatch.setenv("GRAPH_PORT", str(free_ports(1)[0]))
    monkeypatch.delenv("GRAPH_URI", raising=False)
    await migrate(settings.database_url())
    engine = create_engine(settings.database_url())
    writing = engine.execution_options(**WRITES)
    async with writing.begin() as connection:
        ring = await connection.run_sync(verify_keyring)
    async with AsyncSession(writing) as session, session.begin():
        add_small_mall(session)
    await fill(engine, clock)
    async with writing.begin() as connection:
        for position in range(3):
            row = seal_events(ring, SENDER, position, 0, [{"event": "user", "text": f"words {position}"}])
            await connection.execute(insert(conversation_event), vars(row))
    yield engine
    await engine.dispose()


async def command(*words: str) -> tuple[int, str]:
    """Exit status of ``python -m privacy``, and everything that it says."""
    with redirect_stdout(io.StringIO()) as said:
        try:
            await run(words)
        except KeyRingError as error:
            return 1, f"{said.getvalue()}{error}"
    return 0, said.getvalue()


async def spoken(engine: AsyncEngine, sender: str = SENDER) -> list[str]:
    ring, table = current_ring(), conversation_event
    query = select(table).where(table.c.conversation == conversation_of(ring, sender)).order_by(table.c.position)
    async with engine.connect() as connection:
        rows = [Row(*row) for row in await connection.execute(query)]
    return [event["text"] for event in open_events(ring, rows, first=0)]


async def versions(engine: AsyncEngine) -> set[int]:
    async with engine.connect() as connection:
        return set(await connection.run_sync(rotation.usage, rotation.sealed_columns(MALL)))


# ---- the keys of what is sealed ----


async def test_everything_is_sealed_anew_and_reads_as_before(house: AsyncEngine) -> None:
    before = await read_all(house)
    code, said = await command("rotate")
    assert (code, "The graph did not answer" in said) == (1, True)  # it has questions of its own
    assert await versions(house) == {2}
    assert await read_all(house) == before
    assert await spoken(house) == ["words 0", "words 1", "words 2"]


async def test_what_was_interrupted_is_finished_before_another_key_is_made(house: AsyncEngine) -> None:
    before = await read_all(house)
    ring = current_ring().rotate()
    first = next(each for each in rotation.sealed_columns(MALL) if each.table == "customer")
    async for _ in rotation.reseal(house, house.execution_options(**WRITES), first, ring):
        break
    assert await versions(house) == {1, 2}
    _, said = await command("rotate")
    assert "An earlier rotation is finished" in said
    assert await versions(house) == {2}
    assert current_ring().active == 2
    assert await read_all(house) == before


async def test_an_interrupt_or_a_kill_in_the_middle_loses_nothing(
    house: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = await read_all(house)
    for sign, code in ((signal.SIGKILL, -signal.SIGKILL), (signal.SIGINT, 1)):
        program = f"""
import os, runpy, sys
from sqlalchemy import event
from sqlalchemy.engine import Engine
done = []
@event.listens_for(Engine, "before_cursor_execute")
def count(connection, cursor, statement, *rest):
    if statement.startswith("UPDATE"):
        done.append(statement)
        if len(done) == 4:
            os.kill(os.getpid(), {int(sign)})
sys.argv = ["privacy", "rotate"]
runpy.run_module("privacy", run_name="__main__")
"""
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", program, cwd=settings.ROOT, stdout=asyncio.subprocess.DEVNULL
        )
        assert await process.wait() == code
        assert len(await versions(house)) == 2
        assert await read_all(house) == before
    await command("rotate")
    assert await versions(house) == {current_ring().active}
    assert await read_all(house) == before


async def test_a_writer_beside_loses_nothing(house: AsyncEngine) -> None:
    pipe = asyncio.subprocess.PIPE
    writer = await asyncio.create_subprocess_exec(
        sys.executable, "-c", WRITER, cwd=settings.ROOT, stdin=pipe, stdout=pipe
    )
    assert writer.stdout is not None
    assert await writer.stdout.readline() == b"begun\n"
    for _ in range(3):
        await writer.stdout.readline()
    await command("rotate")
    for _ in range(3):
        last = int(await writer.stdout.readline())
    writer.kill()
    last = max([last, *(int(line) for line in (await writer.communicate())[0].split())])
    queue = Desk(house, settings.desk_hours())
    found = {one.text: one.intent for one in await queue.misunderstood(limit=10_000, settled=True)}
    assert {f"words {number}": f"intent_{number}" for number in range(1, last)}.items() <= found.items()
    assert await versions(house) == {2}


async def test_who_writes_a_value_meanwhile_wins(house: AsyncEngine) -> None:
    """Compare-and-set: what was read is written back only over what was read."""
    ring = current_ring().rotate()
    column = next(one for one in rotation.sealed_columns(MALL) if str(one) == "customer.name")
    writing = house.execution_options(**WRITES)

    class Late:
        """Somebody changes the name between the reading and the writing of a batch."""

        def begin(self) -> object:
            return late()

    from contextlib import asynccontextmanager

    @asynccontextmanager
    async def late():  # type: ignore[no-untyped-def]
        async with writing.begin() as connection:
            await connection.execute(update(models.Customer).where(models.Customer.id == "C1").values(name="周琳琳"))
        async with writing.begin() as connection:
            yield connection

    async for _ in rotation.reseal(house, Late(), column, ring):  # type: ignore[arg-type]
        pass
    async with house.connect() as connection:
        assert await Cell(CUSTOMER, "name", ("C1",)).read(connection) == "周琳琳"
        assert await Cell(CUSTOMER, "name", ("C2",)).read(connection) == "何军"


async def test_a_key_in_use_stays(house: AsyncEngine) -> None:
    ring = current_ring().rotate()
    code, said = await command("retire", "1")
    assert code == 1
    assert "The graph does not answer, so key 1 stays" in said
    assert sorted(KeyRing.load(ring.path).keys) == [1, 2]


async def test_a_damaged_value_is_told_and_stays(house: AsyncEngine) -> None:
    async with house.execution_options(**WRITES).begin() as connection:
        other = await Cell(CUSTOMER, "address", ("C1",)).stored(connection)
        await Cell(CUSTOMER, "name", ("C1",)).put(connection, other)
    _, said = await command("rotate")
    assert "customer.name of row C1 does not open" in said
    async with house.connect() as connection:
        assert await Cell(CUSTOMER, "name", ("C1",)).stored(connection) == other
    _, said = await command("rotate")  # which is not finished by what can never be finished
    assert current_ring().active == 3


async def test_check_tells_what_is_sealed_with_which_key(house: AsyncEngine) -> None:
    current_ring().rotate()
    code, said = await command("check")
    assert code == 0
    assert "2 key(s), new data is sealed with key 2; it fits the database." in said
    assert "key 1: " in said
    assert "2 × customer.name" in said
    assert "key 2: nothing" in said


# ---- the key of the hashes ----


async def test_with_a_new_index_key_everybody_is_found_again(house: AsyncEngine, clock: Clock) -> None:
    mall, desk = SqlMall(house, clock=clock), Desk(house, settings.desk_hours(), clock)
    await mall.prove_ownership("web:guest", "ORD20001", "4321", new_key())
    coupon = await mall.grant_coupon("web:guest", "见面礼", 500, 0, 7, "grant")
    before, ring = await read_all(house), current_ring()
    stored = await hashes(house)
    cookie = TimestampSigner(ring.derive("visitor_cookie")).sign("visitor")
    await house.dispose()

    code, said = await command("rotate-index")
    assert code == 0, said
    new = current_ring()
    assert new.index_keys[:1] == ring.index_keys
    assert len(new.index_keys) == 2
    assert not stored & await hashes(house)
    # what is sealed for a name that holds a hash is sealed for the new one
    assert sorted((await read_all(house)).values()) == sorted(before.values())
    assert await spoken(house) == ["words 0", "words 1", "words 2"]
    assert (await mall.customer_of("web:zhou")) is not None
    assert (await mall.order("web:guest", "ORD20001")).id == "ORD20001"
    assert (await mall.prove_ownership("web:other", "ORD20001", "4321", new_key())).id == "ORD20001"
    assert (await mall.bind_with_proof("web:he2", "13900004321", "ORD20001", new_key())).name == "何军"
    assert [held.id for held in await mall.coupons_of("web:guest")] == [coupon.id]
    # the same request again has its effect once
    assert (await mall.grant_coupon("web:guest", "见面礼", 500, 0, 7, "grant")).id == coupon.id
    assert (await desk.live("web:zhou")) is not None
    _, updates = await desk.updates("web:zhou", 0)
    assert any("您好" in str(update.messages) for update in updates)
    await desk.note_misunderstood("web:zhou", "那个啥", [], "m1")  # noted before
    assert len(await desk.misunderstood()) == 0
    signers = TimestampSigner(list(new.derive_each("visitor_cookie")))
    assert signers.unsign(cookie) == b"visitor"
    assert signers.sign("visitor").rpartition(b".")[2] != cookie.rpartition(b".")[2]
    assert new.derive_each("api_sender")[0] == ring.derive("api_sender")
    # and once more
    await house.dispose()
    assert (await command("rotate-index"))[0] == 0
    assert (await mall.customer_of("web:zhou")) is not None
    assert await spoken(house) == ["words 0", "words 1", "words 2"]


OPEN_HOUSE = """
import asyncio, sys
from mall_adapter import open_mall
async def main():
    async with open_mall():
        print("open", flush=True)
        sys.stdin.read()
asyncio.run(main())
"""


async def test_the_index_key_stays_while_the_house_runs(house: AsyncEngine) -> None:
    await house.dispose()
    ring, pipe = current_ring(), asyncio.subprocess.PIPE
    part = await asyncio.create_subprocess_exec(
        sys.executable, "-c", OPEN_HOUSE, cwd=settings.ROOT, stdin=pipe, stdout=pipe
    )
    assert part.stdout is not None
    assert await part.stdout.readline() == b"open\n"
    code, said = await command("rotate-index")
    await part.communicate(b"")
    assert (code, "The house is running" in said) == (1, True)
    assert KeyRing.load(ring.path) == ring
    code, said = await command("rotate-index")
    assert code == 0, said


@pytest.mark.parametrize("databases", ["postgresql"], indirect=True)  # SQLite is used from one machine
async def test_a_connection_from_another_machine_is_seen(house: AsyncEngine) -> None:
    async with house.connect() as connection:
        await connection.execute(text("SELECT 1"))
        code, said = await command("rotate-index")
    assert (code, "1 other(s)" in said) == (1, True)


async def test_a_change_of_the_index_key_that_is_killed_is_finished(house: AsyncEngine, clock: Clock) -> None:
    await house.dispose()
    program = """
import os, runpy, signal, sys
from privacy import rotation
def killed(*rest):
    os.kill(os.getpid(), signal.SIGKILL)
rotation._rename = killed
sys.argv = ["privacy", "rotate-index"]
runpy.run_module("privacy", run_name="__main__")
"""
    os.close(keyring._held.pop(settings.keyring_file()))  # the test is no house
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", program, cwd=settings.ROOT)
    assert await process.wait() == -signal.SIGKILL
    # the ring is ahead of the database: nothing starts until that is mended
    async with house.execution_options(**WRITES).begin() as connection:
        with pytest.raises(KeyRingError, match="has not followed yet"):
            await connection.run_sync(verify_keyring)
    await house.dispose()
    code, said = await command("rotate-index")
    assert code == 0, said
    assert "the database follows now" in said
    assert len(current_ring().index_keys) == 2
    assert (await SqlMall(house, clock=clock).customer_of("web:zhou")) is not None
    assert await spoken(house) == ["words 0", "words 1", "words 2"]


async def test_a_ring_from_before_the_change_is_refused(house: AsyncEngine) -> None:
    await house.dispose()
    path = settings.keyring_file()
    backup = path.read_bytes()
    assert (await command("rotate-index"))[0] == 0
    path.write_bytes(backup)
    async with house.execution_options(**WRITES).begin() as connection:
        with pytest.raises(KeyRingError, match="from before the index key was changed"):
            await connection.run_sync(verify_keyring)


async def hashes(engine: AsyncEngine) -> set[str]:
    found: set[str] = set()
    async with engine.connect() as connection:
        for one in rotation.hash_columns(MALL):
            found |= {value for value in (await connection.execute(select(one.rows.c[one.name]))).scalars() if value}
    return found
