"""How the client behaves when servers race, hang and die."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from datetime import UTC, date, datetime

import pytest
from neo4j.exceptions import ClientError, ConstraintError

from knowledge_graph import Graph
from knowledge_graph.client import GraphDown, QueryTimeout
from tests.knowledge_graph.servers import PATIENCE, Server

ENDLESS = (
    "UNWIND range(1, 3000) AS a UNWIND range(1, 3000) AS b UNWIND range(1, 3000) AS c RETURN sum(a * b * c) AS number"
)
SOON = 0.5


async def test_values_come_back_as_python_knows_them(graph: Graph) -> None:
    values = {
        "text": "掌柜'; MATCH (n) DETACH DELETE n //",
        "number": 2**40,
        "part": 0.5,
        "yes": True,
        "nothing": None,
        "words": ["一", "二"],
        "day": date(2026, 2, 28),
        "time": datetime(2026, 2, 28, 23, 59, 1, 123456, tzinfo=UTC),
    }
    await graph.write("CREATE (n:User {id: 'U1'}) SET n += $values", values=values)
    stored = ", ".join(f"n.{name} AS {name}" for name in values)
    assert await graph.read(f"MATCH (n:User) RETURN {stored}") == [values]  # type: ignore[arg-type,unused-ignore]


async def test_of_several_statements_all_are_done_or_none(graph: Graph) -> None:
    with pytest.raises(ClientError):
        await graph.write_all([("CREATE (:User {id: 'U1'})", {}), ("RETURN nonsense", {})])
    assert await graph.read("MATCH (n:User) RETURN n.id AS id") == []
    rows = await graph.write_all([("CREATE (:User {id: $id})", {"id": 1}), ("MATCH (n:User) RETURN n.id AS id", {})])
    assert rows == [{"id": 1}]


async def test_racing_first_merges_make_one_node_and_lose_no_count(graph: Graph) -> None:
    for race in range(5):
        await asyncio.gather(
            *(
                graph.write(
                    "MERGE (n:User {id: $id}) ON CREATE SET n.count = 1 ON MATCH SET n.count = n.count + 1", id=race
                )
                for _ in range(15)
            )
        )
    rows = await graph.read("MATCH (n:User) RETURN n.id AS id, n.count AS count ORDER BY id")
    assert rows == [{"id": race, "count": 15} for race in range(5)]


async def test_a_real_duplicate_is_still_a_mistake(graph: Graph) -> None:
    await graph.write("CREATE (:User {id: 'U1'})")
    with pytest.raises(ConstraintError):
        await graph.write("CREATE (:User {id: 'U1'})")


async def test_a_query_that_takes_too_long_is_given_up(graph: Graph) -> None:
    with pytest.raises(QueryTimeout):
        await graph.read(ENDLESS, within=SOON)
    assert await graph.ping()


async def test_a_crowd_of_slow_queries_does_not_block_the_next(graph: Graph) -> None:
    slow = [graph.read(ENDLESS, within=SOON) for _ in range(5)]
    outcomes = await asyncio.gather(*slow, return_exceptions=True)
    assert {type(outcome) for outcome in outcomes} == {QueryTimeout}
    assert await graph.ping()


@pytest.mark.parametrize("user", ["root", "neo4j"])
async def test_a_wrong_password_says_so_and_not_which(server: Server, user: str) -> None:
    async with Graph(server.uri, user, "not-the-password", PATIENCE) as graph:
        with pytest.raises(GraphDown, match="GRAPH_PASSWORD") as caught:
            await graph.read("RETURN 1 AS one")
        assert "not-the-password" not in str(caught.value)
        assert not await graph.ping()


async def test_nobody_listens(server: Server) -> None:
    async with Graph("bolt://127.0.0.1:1", "root", "secret", PATIENCE) as graph:
        with pytest.raises(GraphDown, match="does not answer"):  # not: no answer within so many seconds
            await graph.read("RETURN 1 AS one")


async def test_a_frozen_server_is_down_until_it_thaws(mortal: Server) -> None:
    assert mortal.process
    async with mortal.graph(seconds=SOON) as graph:
        assert await until_it_answers(graph)
        mortal.freeze()
        for _ in range(2):
            with pytest.raises(GraphDown):
                await graph.read("RETURN 1 AS one")
        os.kill(mortal.process.pid, signal.SIGCONT)
        assert await until_it_answers(graph)


async def test_a_killed_server_keeps_what_was_committed_and_the_client_comes_back(mortal: Server) -> None:
    async with mortal.graph() as graph:
        await graph.write("CREATE CONSTRAINT user_id IF NOT EXISTS FOR (n:User) REQUIRE n.id IS UNIQUE")
        await asyncio.gather(*(graph.write("CREATE (:User {id: $id})", id=number) for number in range(50)))
        mortal.kill()
        with pytest.raises(GraphDown):
            await graph.write("CREATE (:User {id: 50})")
        assert not await graph.ping()
        await asyncio.to_thread(mortal.start)
        # the same client, whose old connections are dead
        assert await graph.read("MATCH (n:User) RETURN count(n) AS number") == [{"number": 50}]
        with pytest.raises(ConstraintError):
            await graph.write("CREATE (:User {id: 7})")


async def until_it_answers(graph: Graph) -> bool:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        if await graph.ping():
            return True
    return False
