"""Whether an answer helped: 👍 and 👎, counted for the source that the answer came from."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import LiteralString

from knowledge_graph.client import Graph


@dataclass(frozen=True, slots=True)
class Feedback:
    source: str
    up: int
    down: int


async def record(graph: Graph, source: str, helpful: bool, voter: str | None = None) -> None:
    """Counts a thumb. A ``voter`` has one for each source: the same again changes nothing, another one replaces it.

    ``voter`` is kept as it comes: it must not tell who the customer is.
    """
    # beside the answer and not on it: its file may be loaded anew, and not every source is a node
    await graph.write(
        _CAST + _COUNT if voter else _FIRST + _COUNT,
        source=source,
        voter=f"{voter} {source}",
        helpful=helpful,
        now=datetime.now(UTC),
    )


# SET before the vote is read: of two at once the second waits, and then sees what the first has left
_CAST: LiteralString = """
MERGE (v:Vote {id: $voter}) SET v.at = $now
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
