"""The outbox: in its transaction, once, in order, by any number of workers of which some die."""

from __future__ import annotations

import asyncio
import sys
from asyncio.subprocess import PIPE, Process
from collections import Counter, defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, event, select, text
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

import settings
from storage import WRITES, create_engine, outbox
from storage.outbox import Dead, Leased, Message, Outbox, Outcome, Parked, Retry, Sent, State, Unknown

from .worker import CHANNEL

NOW = datetime(2026, 3, 11, 2, 0, tzinfo=UTC)
LEASE = timedelta(seconds=30)


def message(dedupe: str, key: str = "ann", **more: Any) -> Message:
    payload = {"key": key, "number": dedupe}
    known = {"channel": CHANNEL, "recipient": f"paper:{key}", "order_key": key, "kind": "note", "payload": payload}
    return Message(**(known | {"dedupe": dedupe} | more))


async def enqueue(engine: AsyncEngine, *messages: Message) -> list[int | None]:
    async with AsyncSession(engine.execution_options(**WRITES)) as session, session.begin():
        return [await outbox.enqueue(session, each, NOW) for each in messages]


async def claim(engine: AsyncEngine, at: datetime = NOW, limit: int = 20, **more: Any) -> Sequence[Leased]:
    return await outbox.claim(engine, [CHANNEL], limit, LEASE, at, **more)


async def finish(engine: AsyncEngine, leased: Leased, outcome: Outcome) -> bool:
    async with AsyncSession(engine.execution_options(**WRITES)) as session, session.begin():
        return await outbox.finish(session, leased, outcome)


async def states(engine: AsyncEngine) -> dict[int, tuple[State, str | None]]:
    async with AsyncSession(engine) as session:
        rows = await session.execute(select(Outbox.id, Outbox.state, Outbox.error_class))
        return {number: (state, error) for number, state, error in rows}


def names(claimed: Sequence[Leased]) -> list[str]:
    return [each.payload["number"] for each in claimed]


async def test_what_was_rolled_back_is_not_sent(engine: AsyncEngine) -> None:
    async with AsyncSession(engine.execution_options(**WRITES)) as session:
        await outbox.enqueue(session, message("1"), NOW)
        await session.rollback()
    assert await claim(engine) == []


async def test_enqueued_again_it_changes_nothing(engine: AsyncEngine) -> None:
    first, second = await enqueue(engine, message("1"), message("1", payload={"number": "another"}))
    assert (first is not None, second) == (True, None)
    (leased,) = await claim(engine)
    assert (leased.id, leased.recipient, leased.payload) == (first, "paper:ann", {"key": "ann", "number": "1"})
    await finish(engine, leased, Sent("p1"))
    assert await enqueue(engine, message("1"), message("1", channel="another")) != [None, None]
    assert await claim(engine) == []


async def test_one_at_a_time_and_in_order_for_each_key(engine: AsyncEngine) -> None:
    await enqueue(engine, *(message(f"{key}{n}", key) for n in range(3) for key in ("ann", "bob")))
    first = await claim(engine)
    assert names(first) == ["ann0", "bob0"]
    assert await claim(engine) == []
    await finish(engine, first[0], Sent())
    (second,) = await claim(engine)
    assert names([second]) == ["ann1"]
    await finish(engine, second, Retry("busy", NOW + timedelta(minutes=5)))
    assert await claim(engine) == []  # ann2 waits for ann1, which waits for its next try
    await finish(engine, first[1], Unknown("timeout"))  # only a person can say: the others do not wait
    assert names(await claim(engine)) == ["bob1"]
    assert sorted(names(await claim(engine, NOW + timedelta(minutes=5)))) == ["ann1", "bob1"]  # that lease is over


async def test_only_what_is_due_and_of_the_channel_and_key(engine: AsyncEngine) -> None:
    later = NOW + timedelta(hours=1)
    await enqueue(
        engine,
        message("ann", "ann", not_before=later),
        message("bob", "bob"),
        message("eve", "eve", channel="another"),
        message("kim", "kim"),
    )
    assert names(await claim(engine, order_key="kim")) == ["kim"]
    assert names(await claim(engine, limit=1)) == ["bob"]
    assert await claim(engine) == []
    assert names(await claim(engine, later, order_key="ann")) == ["ann"]


async def test_a_lease_that_ran_out_is_anothers(engine: AsyncEngine) -> None:
    await enqueue(engine, message("1"))
    (lost,) = await claim(engine)
    assert await claim(engine, NOW + LEASE - timedelta(seconds=1)) == []
    (mine,) = await claim(engine, NOW + LEASE)
    assert (lost.id, lost.attempts, mine.id, mine.attempts) == (mine.id, 1, mine.id, 2)
    assert not await finish(engine, lost, Dead("too late"))
    assert await finish(engine, mine, Sent())
    assert not await finish(engine, mine, Dead("twice"))
    assert list((await states(engine)).values()) == [(State.SENT, None)]


async def test_a_lease_that_ran_out_is_not_lent_to_who_is_still_at_work(engine: AsyncEngine) -> None:
    first, _, third = await enqueue(engine, message("1"), message("2"), message("3", "bob"))
    assert names(await claim(engine)) == ["1", "3"]
    late = NOW + 2 * LEASE
    assert names(await claim(engine, late, held=[first, third])) == []
    assert names(await claim(engine, late, held=[third])) == ["1"]


async def test_what_kills_every_worker_ends(engine: AsyncEngine) -> None:
    await enqueue(engine, message("poison"), message("well"))
    for number in range(3):
        assert names(await claim(engine, NOW + number * LEASE, attempts=3)) == ["poison"]
    assert names(await claim(engine, NOW + 3 * LEASE, attempts=3)) == ["well"]
    assert (State.DEAD, "lease") in (await states(engine)).values()


async def test_what_comes_too_late_is_not_sent(engine: AsyncEngine) -> None:
    soon = NOW + timedelta(minutes=1)
    await enqueue(engine, message("1", expires_at=soon), message("2"), message("3", "bob", expires_at=soon))
    assert names(await claim(engine, order_key="bob")) == ["3"]
    assert names(await claim(engine, soon)) == ["2"]
    assert Counter((await states(engine)).values()) == {(State.DEAD, "expired"): 2, (State.LEASED, None): 1}


async def test_what_is_parked_holds_nobody_back_and_is_due_when_its_person_writes(engine: AsyncEngine) -> None:
    soon = NOW + timedelta(hours=1)
    await enqueue(
        engine, message("1"), message("2", expires_at=soon), message("3"), message("1 of bob", "bob"), message("4")
    )
    for leased in await claim(engine):
        assert await finish(engine, leased, Parked("window"))
    (second,) = await claim(engine)
    assert names([second]) == ["2"]
    await finish(engine, second, Parked("window"))
    (third,) = await claim(engine)
    await finish(engine, third, Sent())
    async with AsyncSession(engine.execution_options(**WRITES)) as session, session.begin():
        assert await outbox.release(session, "another", "ann", soon) == 0
        assert await outbox.release(session, CHANNEL, "ann", soon) == 2
    assert await claim(engine) == []  # 4 comes after them
    (first,) = await claim(engine, soon)
    assert (names([first]), first.error_class) == (["1"], "window")
    await finish(engine, first, Sent())
    assert names(await claim(engine, soon)) == ["4"]  # 2 had expired
    found = Counter((await states(engine)).values())
    assert (found[State.DEAD, "expired"], found[State.PARKED, "window"]) == (1, 1)


async def test_what_waits_can_be_taken_once_and_is_given_again_under_the_same_id(engine: AsyncEngine) -> None:
    later = NOW + timedelta(minutes=1)
    await enqueue(engine, message("0"), message("1"), message("2", not_before=later), message("3", kind="gift"))
    await enqueue(engine, message("of bob", "bob"), message("old", expires_at=NOW))
    (leased,) = [each for each in await claim(engine) if each.payload["key"] == "ann"]
    await finish(engine, leased, Parked("window"))
    (going,) = await claim(engine, order_key="ann")  # 1 is on its way

    async def take(provider_id: str) -> list[str]:
        async with AsyncSession(engine.execution_options(**WRITES)) as session, session.begin():
            taken = await outbox.take(session, CHANNEL, "ann", ["note"], provider_id, NOW)
            return [each["number"] for each in taken]

    assert await take("reply:1") == ["0"]  # 2 would overtake it
    assert await take("reply:2") == []
    assert await take("reply:1") == ["0"]
    await finish(engine, going, Sent())
    assert await take("reply:2") == ["2"]
    assert names(await claim(engine, later, order_key="ann")) == ["3"]


async def test_a_try_whose_end_nobody_knows_is_told_to_the_next(engine: AsyncEngine) -> None:
    await enqueue(engine, message("1"))
    (first,) = await claim(engine)
    assert first.error_class is None
    (second,) = await claim(engine, NOW + LEASE)
    assert second.error_class == outbox.LOST
    await finish(engine, second, Retry("busy", NOW + LEASE))
    (third,) = await claim(engine, NOW + LEASE)
    assert third.error_class == "busy"


async def test_what_does_not_go_out_is_listed_and_sent_again_once(engine: AsyncEngine) -> None:
    await enqueue(engine, *(message(key, key) for key in ("ann", "bob", "kim", "sam")))
    ann, bob, kim, sam = await claim(engine)
    for leased, outcome in ((ann, Dead("person")), (bob, Unknown("timeout")), (kim, Parked("window")), (sam, Sent())):
        await finish(engine, leased, outcome)
    async with AsyncSession(engine.execution_options(**WRITES)) as session, session.begin():
        listed = await outbox.stuck(session, 10)
        assert [(each.recipient, each.state, each.error_class) for each in listed] == [
            ("paper:kim", State.PARKED, "window"),
            ("paper:bob", State.UNKNOWN, "timeout"),
            ("paper:ann", State.DEAD, "person"),
        ]
        assert set(await outbox.depths(session)) == {
            outbox.Depth(CHANNEL, state, 1, NOW) for state in (State.PARKED, State.UNKNOWN, State.DEAD)
        }
        assert await outbox.send_again(session, ann.id, NOW)
        assert not await outbox.send_again(session, ann.id, NOW)
        assert not await outbox.send_again(session, sam.id, NOW)
    (again,) = await claim(engine)
    assert (again.id, again.attempts) == (ann.id, 1)


async def test_what_does_not_open_holds_nobody_back(engine: AsyncEngine) -> None:
    first, _ = await enqueue(engine, message("1"), message("2"))
    async with engine.execution_options(**WRITES).begin() as connection:
        await connection.execute(text("UPDATE outbox SET payload = recipient WHERE id = :id"), {"id": first})
    assert await claim(engine) == []
    assert names(await claim(engine)) == ["2"]
    assert (State.DEAD, "damaged") in (await states(engine)).values()


async def test_whom_it_is_for_and_what_it_says_lies_sealed(engine: AsyncEngine) -> None:
    await enqueue(engine, message("order 周琳", "周琳"))
    async with engine.connect() as connection:
        stored = repr((await connection.execute(text("SELECT * FROM outbox"))).all())
    for secret in ("周琳", "paper:"):
        assert secret not in stored
        assert repr(secret.encode())[2:-1] not in stored


async def test_a_claim_reads_no_whole_table(engine: AsyncEngine) -> None:
    asked: list[tuple[str, Any]] = []

    @event.listens_for(engine.sync_engine, "before_cursor_execute")
    def note(_: Connection, __: object, statement: str, parameters: Any, ___: object, ____: bool) -> None:
        if "outbox" in statement:
            asked.append((statement, parameters))

    await enqueue(engine, message("1"))
    (leased,) = await claim(engine)
    await finish(engine, leased, Sent())
    event.remove(engine.sync_engine, "before_cursor_execute", note)
    async with engine.connect() as connection:
        postgres = engine.dialect.name == "postgresql"
        if postgres:
            await connection.execute(text("SET enable_seqscan = off"))
        for statement, parameters in asked:
            explain = "EXPLAIN " if postgres else "EXPLAIN QUERY PLAN "
            plan = str((await connection.exec_driver_sql(explain + statement, parameters)).all())
            assert "Seq Scan on outbox" not in plan, statement
            assert "SCAN outbox'" not in plan.replace("SCAN outbox USING INDEX ix_outbox_due", ""), statement


async def test_a_claim_that_finds_nothing_waits_for_no_writer(engine: AsyncEngine) -> None:
    async with AsyncSession(engine.execution_options(**WRITES)) as session, session.begin():
        await outbox.enqueue(session, message("1"), NOW)
        other = create_engine(engine.url.render_as_string(hide_password=False))
        async with asyncio.timeout(5):
            assert await claim(other) == []
        await other.dispose()
    assert names(await claim(engine)) == ["1"]


async def test_claims_at_once_share_what_there_is(engine: AsyncEngine) -> None:
    await enqueue(engine, *(message(str(n), f"k{n}") for n in range(60)))
    claimed = [each for some in await asyncio.gather(*(claim(engine, limit=10) for _ in range(12))) for each in some]
    assert len(claimed) == len({each.id for each in claimed}) == 60


async def test_messages_of_a_key_keep_their_order_whoever_commits_first(engine: AsyncEngine) -> None:
    """The later one is not seen before the earlier: else it would go out first."""
    writing = engine.execution_options(**WRITES)
    if engine.dialect.name != "postgresql":  # which has one writer at a time
        return
    async with AsyncSession(writing) as slow, AsyncSession(writing) as quick:
        await outbox.enqueue(slow, message("1"), NOW)
        second = asyncio.create_task(outbox.enqueue(quick, message("2"), NOW))
        other = await asyncio.wait_for(enqueue(engine, message("3", "bob")), 10)  # nobody else waits
        assert other != [None]
        assert not second.done()
        await slow.commit()
        await second
        await quick.commit()
    assert names(await claim(engine)) == ["1", "3"]


async def worker(url: str, paper: Path, claims: int = 0, moment: datetime | None = None) -> Process:
    command = [sys.executable, "-m", "tests.storage.worker", url, str(paper), str(claims)]
    command += [moment.isoformat()] if moment else []
    return await asyncio.create_subprocess_exec(*command, cwd=settings.ROOT, stdout=PIPE)


async def test_four_workers_of_which_one_is_killed_with_messages_in_hand(
    engine: AsyncEngine, migrated: str, tmp_path: Path
) -> None:
    keys, each = 30, 6
    await enqueue(engine, *(message(f"{n}/{key}", f"k{key}") for n in range(each) for key in range(keys)))
    paper = tmp_path / "paper"
    doomed = await worker(migrated, paper, claims=2)
    assert doomed.stdout is not None
    assert await doomed.stdout.readline() == b"claimed\n"
    doomed.kill()
    await doomed.wait()
    others = [await worker(migrated, paper) for _ in range(4)]
    assert [await other.wait() for other in others] == [0, 0, 0, 0]
    left = Counter(state for state, _ in (await states(engine)).values())
    assert left[State.LEASED] > 0  # what the dead one held
    assert left[State.LEASED] + left[State.PENDING] + left[State.SENT] == keys * each
    last = await worker(migrated, paper, moment=datetime.now(UTC) + timedelta(minutes=2))
    assert await last.wait() == 0
    assert Counter(state for state, _ in (await states(engine)).values()) == {State.SENT: keys * each}
    sent: dict[str, list[int]] = defaultdict(list)
    for line in paper.read_text().splitlines():
        key, number = line.split()
        sent[key].append(int(number.split("/")[0]))
    assert sent == {f"k{key}": list(range(each)) for key in range(keys)}  # none lost, none twice, each in its order


async def test_what_did_not_arrive_after_all_is_there_again_under_another_number(engine: AsyncEngine) -> None:
    """Once, whoever tells of it how often; not what was never sent, nor another's."""
    sent, open_ = [each for each in await enqueue(engine, message("1"), message("2", "ben")) if each]
    (leased,) = await claim(engine, limit=1)
    await finish(engine, leased, Sent("theirs"))

    shut = Parked("window:late")

    async def returned(number: int, key: str = "ann", outcome: Parked | Dead = shut) -> bool:
        async with AsyncSession(engine.execution_options(**WRITES)) as session, session.begin():
            return await outbox.returned(session, CHANNEL, key, number, outcome, NOW)

    assert not await returned(sent, "ben")
    assert not await returned(open_, "ben")
    assert [await returned(sent), await returned(sent)] == [True, False]
    found = await states(engine)
    (new,) = set(found) - {sent, open_}
    assert (found[sent], found[new]) == ((State.DONE, "returned"), (State.PARKED, "window:late"))
    async with AsyncSession(engine.execution_options(**WRITES)) as session, session.begin():
        assert await outbox.release(session, CHANNEL, "ann", NOW) == 1
    again = {each.id: each for each in await claim(engine)}
    assert (again[new].recipient, again[new].payload) == ("paper:ann", {"key": "ann", "number": "1"})
    assert await finish(engine, again[new], Sent())
    assert await returned(new, outcome=Dead("person:refuses"))
    assert (State.DEAD, "person:refuses") in (await states(engine)).values()
