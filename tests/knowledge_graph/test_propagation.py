"""The ways of cards: from the mall's events into either graph, and what they tell."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from pathlib import Path
from random import Random

import pytest
from sqlalchemy import insert, select
from sqlalchemy.ext.asyncio import AsyncEngine

from knowledge_graph import Graph, propagation
from knowledge_graph.propagation import Follower, following
from knowledge_graph.propagation.events import Happened
from storage import WRITES, EventRow, create_engine, migrate
from tests.knowledge_graph.servers import Server
from tests.knowledge_graph.ways import (
    NOON,
    Counted,
    asked,
    bought,
    bound,
    ended,
    forwarded,
    lives,
    made,
    moved,
    returned,
    stored,
)

WAYS = "OA", "AB", "BC", "CD", "OE", "AF", "EB"  # B came by A first, and by E, too


@pytest.fixture
async def engine(tmp_path: Path) -> AsyncIterator[AsyncEngine]:
    address = f"sqlite+aiosqlite:///{tmp_path}/mall.db"
    await migrate(address)
    engine = create_engine(address)
    yield engine
    await engine.dispose()


async def write(graph: Graph, engine: AsyncEngine, happened: Sequence[Happened]) -> None:
    await Follower(graph, engine).write(happened, len(happened))


async def keep(engine: AsyncEngine, happened: Sequence[Happened]) -> None:
    async with engine.execution_options(**WRITES).begin() as connection:
        await connection.execute(insert(EventRow), list(stored(happened)))


async def names(graph: Graph, card: str, person: str) -> str:
    return "".join(step.person for step in await propagation.chain(graph, card, person))


async def everything(graph: Graph) -> list[tuple[object, ...]]:
    """All edges of cards, whichever order they were written in."""
    rows = await graph.read(
        "MATCH (a:User)-[r]->(b) RETURN type(r) AS kind, a.id AS a, b.id AS b, r.id AS id, "
        "r.depth AS depth ORDER BY kind, a, b, id"
    )
    copies = await graph.read(
        "MATCH (k:Copy) OPTIONAL MATCH (k)-[:FROM]->(p:Copy) RETURN k.id AS id, k.by AS by, k.source AS source, "
        "k.depth AS depth, k.brought AS brought, k.bought AS bought, k.orders AS orders, k.shelf AS shelf, "
        "k.lead AS lead, p.id AS p ORDER BY id"
    )
    levels = await graph.read("MATCH (v:Level) RETURN v.id AS id, v.people AS people ORDER BY id")
    users = await graph.read("MATCH (u:User) RETURN u.id AS id, u.brought AS brought ORDER BY id")
    return [tuple(row.values()) for row in (*rows, *copies, *levels, *users)]


async def test_chain_levels_and_who_carried(graph: Graph, engine: AsyncEngine) -> None:
    events = [made("K", "O"), *forwarded("K", *WAYS), bought("K", "D", 1, "ORD1", 4, 5000)]
    await write(graph, engine, events)
    assert await names(graph, "K", "D") == "OABCD"
    assert await names(graph, "K", "E") == "OE"
    assert await names(graph, "K", "X") == ""
    reach = await propagation.reach(graph, ["K"])
    assert (reach.levels, reach.people, reach.orders, reach.cents) == ((2, 2, 1, 1), 6, 1, 5000)
    assert reach.opened_after == timedelta(minutes=10)
    carriers = await propagation.carriers(graph, "K")
    assert [(one.person, one.brought, one.orders) for one in carriers] == [("A", 2, 0), ("B", 1, 0), ("C", 1, 1)]
    (order,) = await propagation.conversions(graph, ["K"])
    assert (order.order, "".join(order.path)) == ("ORD1", "OABCD")


async def test_the_path_of_three_levels_keeps_parents_before_children(graph: Graph, engine: AsyncEngine) -> None:
    await write(graph, engine, [made("K", "O"), *forwarded("K", *WAYS)])
    path = await propagation.path(graph, "K")
    assert path.owner == "O"
    assert [(one.person, one.source, one.depth, one.brought) for one in path.copies] == [
        *(("A", "O", 1, 2), ("E", "O", 1, 0)),
        *(("B", "A", 2, 1), ("F", "A", 2, 0)),
        ("C", "B", 3, 1),
    ]


async def test_a_path_of_many_shows_whole_branches(graph: Graph, engine: AsyncEngine) -> None:
    chance, people = Random(1), ["O"]  # noqa: S311
    pairs = list[tuple[str, str]]()
    for number in range(400):
        sharer, opener = chance.choice(people[-60:]), f"p{number}"
        people.append(opener)
        pairs.append((sharer, opener))
    await write(graph, engine, [made("K", "O"), *forwarded("K", *pairs)])
    copies = (await propagation.path(graph, "K")).copies
    shown = {"O"}
    for one in copies:
        assert one.source in shown
        shown.add(one.person)
    assert len(copies) <= propagation.paths.SHOWN


@pytest.mark.parametrize(
    ("before", "two", "after"),
    [
        pytest.param(["OA", "AB"], ("A", "Z"), "OZB", id="an account becomes a customer"),
        pytest.param(["OA", "OZ", "AB"], ("A", "Z"), "OZB", id="who had it twice, has it once"),
        pytest.param(["OA", "AZ", "ZB"], ("A", "Z"), "OZB", id="what went between the two is gone"),
        pytest.param(["OA", "AB"], ("A", "O"), "OB", id="the owner's own account is no level"),
        pytest.param(["OZ", "ZX", "XA", "AB"], ("A", "Z"), "OZB", id="no ring"),
    ],
)
async def test_two_persons_who_are_one(
    graph: Graph, engine: AsyncEngine, before: list[str], two: tuple[str, str], after: str
) -> None:
    await write(graph, engine, [made("K", "O"), *forwarded("K", *before), bound(*two)])
    assert await names(graph, "K", "B") == after
    assert await graph.read("MATCH (u:User {id: $id}) RETURN u.id AS id", id=two[0]) == []
    # what still names the old one means the new one
    await write(graph, engine, forwarded("K", f"{two[0]}Y", first_id=50))
    assert (await names(graph, "K", "Y"))[-2:] == f"{two[1]}Y"


async def test_merged_customers(graph: Graph, engine: AsyncEngine) -> None:
    one, other = "customer:C1", "customer:C2"
    merged = Happened("customers_merged", "principal:P-C1", NOON, {"gone_id": "C2"})
    happened = forwarded("K", ("O", other), (other, "B"))
    await write(graph, engine, [made("K", "O"), *happened, bought("K", other, 1, "ORD1", 1), asked(other, "stock", 1)])
    await write(graph, engine, [merged])
    assert [step.person for step in await propagation.chain(graph, "K", "B")] == ["O", one, "B"]
    assert [each.person for each in await propagation.conversions(graph, ["K"])] == [one]
    assert [each.topic for each in await propagation.questions(graph, one)] == ["stock"]


async def test_an_opening_that_ended_leaves_the_other_way(graph: Graph, engine: AsyncEngine) -> None:
    await write(graph, engine, [made("K", "O"), *forwarded("K", *WAYS), asked("B", "stock", 1), ended("K", 2)])
    assert await names(graph, "K", "B") == "OEB"
    assert len(await propagation.questions(graph, "B")) == 1
    await write(graph, engine, [ended("K", 7)])
    assert await names(graph, "K", "B") == ""
    assert await propagation.questions(graph, "B") == []
    assert await graph.read("MATCH (l:Lead {id: 'B'}) RETURN l.id AS id") == []
    assert (await propagation.reach(graph, ["K"])).people == 5


@pytest.mark.parametrize(("share", "left"), [(9999, 1), (10000, 0)])
async def test_an_order_that_was_paid_back(graph: Graph, engine: AsyncEngine, share: int, left: int) -> None:
    await write(graph, engine, [made("K", "O"), *forwarded("K", "OA"), bought("K", "A", 1, "ORD1", 1)])
    await write(graph, engine, [returned("K", 1, "ORD1", share)])
    assert len(await propagation.conversions(graph, ["K"])) == left


async def test_the_warmest_first(graph: Graph, engine: AsyncEngine) -> None:
    events = [
        made("K", "O"),
        made("L", "O"),
        *forwarded("K", "OA", "AB", "OC", "OD"),
        *forwarded("L", "OA", first_id=9),
    ]
    events += [asked("C", "stock", 1), asked("C", "price_inquiry", 2, "P1"), asked("B", "stock", 3)]
    events += [moved("B", "consideration"), moved("C", "consideration"), moved("A", "intent"), moved("D", "lost")]
    await write(graph, engine, events)
    found = await propagation.leads(graph, ["K", "L"])
    assert [(one.person, one.stage, one.asked) for one in found] == [
        *(("A", "intent", 0), ("C", "consideration", 2), ("B", "consideration", 1)),
    ]
    asked_by = await propagation.questions(graph, "C")
    assert [(one.topic, one.product) for one in asked_by] == [("price_inquiry", "P1"), ("stock", None)]
    lost = await propagation.leads(graph, ["K"], stages=("lost",))
    assert [one.person for one in lost] == ["D"]


async def test_whatever_is_told_again_changes_nothing(graph: Graph, engine: AsyncEngine) -> None:
    events = [made("K", "O"), *forwarded("K", *WAYS), bound("A", "Z"), asked("B", "stock", 1), ended("K", 5)]
    events += [bought("K", "D", 1, "ORD1", 4), returned("K", 1, "ORD1", 10000), moved("B", "interest")]
    await write(graph, engine, events)
    once = await everything(graph)
    await write(graph, engine, events)
    assert await everything(graph) == once
    for size in (1, 2, 3):  # and in pieces, each of them twice
        for start in range(0, len(events), size):
            for _ in range(2):
                await write(graph, engine, events[start : start + size])
    assert await everything(graph) == once


async def test_a_graph_of_old_is_read_anew(graph: Graph, engine: AsyncEngine) -> None:
    """Where a person held a card by an edge, and no copy of their own."""
    await keep(engine, [made("K", "O"), *forwarded("K", "OA", "AB")])
    await graph.write(
        "MERGE (o:User {id: 'O'}) MERGE (a:User {id: 'A'}) MERGE (c:Card {id: 'K'}) MERGE (o)-[:OWNS]->(c) "
        "MERGE (a)-[:HOLDS {by: 1, depth: 1}]->(c) MERGE (o)-[:FORWARDED {id: 1, card: 'K', first: true}]->(a) "
        "MERGE (r:Reader {id: 'propagation'}) SET r.position = 2"
    )
    await graph.write("MATCH (n:Migration {id: 6}) DELETE n")
    await Follower(graph, engine).look()
    assert await names(graph, "K", "B") == "OAB"
    edges = await graph.read("MATCH (:User)-[f:FORWARDED]->(:User) RETURN count(f) AS forwards")
    assert edges == [{"forwards": 2}]
    assert await graph.read("MATCH (:User)-[h:HOLDS]->(:Card) RETURN h.by AS by") == []


@pytest.mark.parametrize("seed", range(2))
async def test_the_graph_tells_what_plain_counting_tells(graph: Graph, engine: AsyncEngine, seed: int) -> None:
    """In batches of any size, some of them told twice."""
    counted, chance, rest = Counted(), Random(seed), list(lives(seed))  # noqa: S311
    for one in rest:
        counted.take(one)
    while rest:
        size = chance.randint(1, 25)
        for _ in range(chance.randint(1, 2)):
            await write(graph, engine, rest[:size])
        del rest[:size]
    for card in ("K", "L"):
        assert (await propagation.reach(graph, [card])).levels == counted.levels(card)
        found = [(one.person, one.brought, one.orders) for one in await propagation.carriers(graph, card, 100)]
        assert found == counted.carriers(card)
        for person in {person for _, person in counted.held}:
            way = [step.person for step in await propagation.chain(graph, card, person)]
            assert way == (counted.chain(card, person) if (card, person) in counted.held else [])
        shown = (await propagation.path(graph, card)).copies
        copies = {one.person: (one.source, one.depth) for one in shown if one.depth <= propagation.LEVELS}
        near = {(c, person): held for (c, person), held in counted.held.items() if c == card and held[2] <= 3}
        assert copies == {person: (source, depth) for (_, person), (_, source, depth, _) in near.items()}
    found = [(one.person, one.brought, one.orders) for one in await propagation.carriers(graph, None, 100)]
    assert found == counted.carriers("K", "L")
    reach = await propagation.reach(graph, ["K", "L"])
    assert reach.orders == len(counted.orders)


async def test_both_agree_after_either_was_away(
    mortal: Server, engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The graph is killed among the events, and a part of them comes while it is away."""
    monkeypatch.setattr(following, "AT_ONCE", 3)
    events = [made("K", "O"), *forwarded("K", *WAYS), bound("A", "Z"), *forwarded("K", "ZG", first_id=20)]
    await keep(engine, events[:6])
    async with mortal.graph() as graph:
        following_it = asyncio.create_task(Follower(graph, engine).keep(0.02))
        try:
            await until(graph, 4)
            mortal.kill()
            async with engine.execution_options(**WRITES).begin() as connection:
                await connection.execute(insert(EventRow), list(stored(events))[6:])
            await asyncio.to_thread(mortal.start)
            await until(graph, len(events))
        finally:
            following_it.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await following_it
        assert await names(graph, "K", "D") == "OZBCD"
        assert await names(graph, "K", "G") == "OZG"
        edges = await graph.read("MATCH (:User)-[f:FORWARDED]->(:User) RETURN count(f) AS edges")
        async with engine.connect() as connection:
            told = await connection.scalars(select(EventRow.id).where(EventRow.kind == "card.forwarded"))
            assert edges[0]["edges"] == len(told.all())


async def until(graph: Graph, position: int) -> None:
    async with asyncio.timeout(120):
        while True:
            with contextlib.suppress(Exception):
                rows = await graph.read("MATCH (r:Reader) RETURN r.position AS position", within=2)
                if rows and rows[0]["position"] >= position:
                    return
            await asyncio.sleep(0.02)


async def test_who_is_forgotten_is_no_lead_and_asked_nothing(graph: Graph, engine: AsyncEngine) -> None:
    ways = [("O", "customer:C1"), ("customer:C1", "B")]
    events = [made("K", "O"), *forwarded("K", *ways)]
    events += [asked("customer:C1", "stock", 1), moved("customer:C1", "intent"), asked("B", "stock", 2)]
    gone = Happened("customer_erased", "principal:P-C1", NOON + timedelta(days=9), {"persons": ["customer:C1"]})
    await write(graph, engine, [*events, gone])
    asking = await graph.read("MATCH (u:User)-[:ASKED]->() RETURN u.id AS id")
    leads = await graph.read("MATCH (l:Lead) WHERE l.id = 'customer:C1' RETURN l.id AS id")
    assert [row["id"] for row in asking] == ["B"]
    assert leads == []
    assert [step.person for step in await propagation.chain(graph, "K", "B")] == ["O", "customer:C1", "B"]
