"""Who passed a card on to whom."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from knowledge_graph.client import Graph

BATCH = 2000
SECONDS = 120.0


@dataclass(frozen=True, slots=True)
class Forward:
    source: str  # a user
    target: str
    card: str
    channel: str
    time: datetime
    depth: int  # 1 when the card's owner passed it on


async def load(graph: Graph, forwards: Iterable[Forward]) -> int:
    """Brings forwards into the graph, each once however often it is told; returns how many were given."""
    number, batch = 0, list[Forward]()
    for forward in forwards:
        batch.append(forward)
        if len(batch) == BATCH:
            number += await _load(graph, batch)
            batch = []
    return number + (await _load(graph, batch) if batch else 0)


async def _load(graph: Graph, batch: Sequence[Forward]) -> int:
    users = sorted({user for one in batch for user in (one.source, one.target)})
    rows = [{name: getattr(one, name) for name in Forward.__dataclass_fields__} for one in batch]
    await graph.write_all(
        [
            ("UNWIND $users AS id MERGE (:User {id: id})", {"users": users}),
            # merged from the receiver, who has few: one sender may have sent thousands
            (
                "UNWIND $rows AS row MATCH (a:User {id: row.source}), (b:User {id: row.target}) "
                "MERGE (b)<-[f:FORWARDED {card: row.card}]-(a) "
                "ON CREATE SET f.channel = row.channel, f.time = row.time, f.depth = row.depth",
                {"rows": rows},
            ),
        ],
        within=SECONDS,
    )
    return len(batch)


async def reach(graph: Graph, user: str) -> int:
    """How many people the user's forwards have reached, by three hands at most."""
    rows = await graph.read(
        "MATCH (:User {id: $user})-[:FORWARDED*1..3]->(reached:User) WHERE reached.id <> $user "
        "RETURN count(DISTINCT reached) AS people",
        user=user,
    )
    return int(rows[0]["people"])
