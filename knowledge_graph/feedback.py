"""Whether an answer helped: 👍 and 👎, counted for the source that the answer came from."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import LiteralString

from knowledge_graph.client import Graph
from privacy import KeyRing, current_ring


@dataclass(frozen=True, slots=True)
class Feedback:
    source: str
    up: int
    down: int


async def record(graph: Graph, source: str, helpful: bool, voter: str | None = None) -> None:
    """Counts a thumb. A ``voter`` has one for each source: the same again changes nothing, another one replaces it.

    ``voter`` is kept as it comes, a keyed hash: it must not tell who the customer is.
    """
    # beside the answer and not on it: its file may be loaded anew, and not every source is a node
    await graph.write(
        _CAST + _COUNT if voter else _FIRST + _COUNT,
        source=source,
        voter=f"{voter} {source}",
        helpful=helpful,
        now=datetime.now(UTC),
        layers=len(current_ring().index_keys) if voter else 0,
    )


# SET before the vote is read: of two at once the second waits, and then sees what the first has left
_CAST: LiteralString = """
MERGE (v:Vote {id: $voter}) SET v.at = $now, v.layers = $layers
WITH v, v.helpful AS before
WHERE before IS NULL OR before <> $helpful
SET v.helpful = $helpful
WITH before
"""
_FIRST: LiteralString = "WITH null AS before "
_COUNT: LiteralString = """
MERGE (n:Feedback {id: $source}) ON CREATE SET n.up = 0, n.down = 0
SET n.up = n.up + CASE WHEN $helpful THEN 1 WHEN before THEN -1 ELSE 0 END,
    n.down = n.down + CASE WHEN NOT $helpful THEN 1 WHEN NOT before THEN -1 ELSE 0 END
"""


async def follow_index(graph: Graph, ring: KeyRing) -> int:
    """Brings the hashes of all voters to today's index keys; how many that were."""
    layers = len(ring.index_keys)
    behind = "MATCH (v:Vote) WHERE coalesce(v.layers, 1) < $layers RETURN v.id AS id, coalesce(v.layers, 1) AS layers"
    rows = await graph.read(behind, layers=layers) if layers > 1 else []
    for row in rows:
        voter, _, source = row["id"].partition(" ")
        new = f"{ring.lift(voter, row['layers'])} {source}"
        # who has voted anew meanwhile has the newer vote
        await graph.write(
            "MATCH (old:Vote {id: $id}) MERGE (v:Vote {id: $new}) "
            "ON CREATE SET v.at = old.at, v.helpful = old.helpful SET v.layers = $layers DELETE old",
            id=row["id"],
            new=new,
            layers=layers,
        )
    return len(rows)


async def of(graph: Graph, source: str) -> Feedback:
    rows = await graph.read("MATCH (n:Feedback {id: $source}) RETURN n.up AS up, n.down AS down", source=source)
    return Feedback(source, **rows[0]) if rows else Feedback(source, 0, 0)


async def worst(graph: Graph, limit: int = 50) -> list[Feedback]:
    """Most 👎 first."""
    rows = await graph.read(
        "MATCH (n:Feedback) RETURN n.id AS source, n.up AS up, n.down AS down "
        "ORDER BY down DESC, up, source LIMIT $limit",
        limit=limit,
    )
    return [Feedback(**row) for row in rows]
