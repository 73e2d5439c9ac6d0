"""Brings the mall's events into the graph, in their order.

How far it has come stands in the graph, and is written with what came of the events: a graph that was away goes on
where it was, and one that is new, or was brought back from a copy, catches up by itself.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence

from sqlalchemy import exists, select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from knowledge_graph.client import Graph, GraphDown, Statement
from knowledge_graph.migrations import migrate
from knowledge_graph.propagation import events
from knowledge_graph.propagation.events import ENDED, SAME, Happened
from storage import EventRow, settled

log = logging.getLogger(__name__)

KINDS = (
    *("card.made", "card.forwarded", ENDED, "card.converted", "card.conversion_reversed", *SAME),
    *("lead.asked", "lead.stage_moved", "customer_erased"),
)

AT_ONCE = 500
"""Events that are read, and written, together."""

WRITE_SECONDS = 60.0
PAUSE = 1.0
READER = "propagation"


class Follower:
    """Any number may follow at once: what one has written changes nothing when another writes it."""

    def __init__(self, graph: Graph, engine: AsyncEngine) -> None:
        self._graph = graph
        self._engine = engine
        self._migrated = False

    async def keep(self, seconds: float = PAUSE) -> None:
        """Until it is cancelled. What goes wrong is told once, and tried again."""
        told = ""
        while True:
            trouble = ""
            try:
                while await self.look():
                    pass
            except (GraphDown, SQLAlchemyError, OSError) as error:
                self._migrated = False  # the graph that comes back may be another one
                trouble = f"名片传播稍后再记 / the cards' ways are written later: {type(error).__name__}"
            if trouble and trouble != told:
                log.warning(trouble)
            told = trouble
            await asyncio.sleep(seconds)

    async def look(self) -> bool:
        """Brings the next events in; whether there may be more. Raises GraphDown, and what the database raises."""
        if not self._migrated:
            await migrate(self._graph)
            self._migrated = True
        position = await self.position()
        async with AsyncSession(self._engine) as session:
            if not await session.scalar(select(exists().where(EventRow.id > position, EventRow.kind.in_(KINDS)))):
                return False
        async with AsyncSession(self._engine) as session, session.begin():
            end = await settled(session)
        row = EventRow
        query = select(row.id, row.kind, row.subject, row.at, row.data)
        query = query.where(row.id > position, row.id <= end, row.kind.in_(KINDS)).order_by(row.id).limit(AT_ONCE)
        async with AsyncSession(self._engine) as session:
            found = (await session.execute(query)).all()
        if found:
            await self.write([Happened(each.kind, each.subject, each.at, each.data) for each in found], found[-1].id)
        return len(found) == AT_ONCE

    async def position(self) -> int:
        """The id of the last event that the graph has; 0 for one that has none."""
        rows = await self._graph.read("MATCH (r:Reader {id: $reader}) RETURN r.position AS position", reader=READER)
        return int(rows[0]["position"]) if rows else 0

    async def write(self, happened: Sequence[Happened], position: int) -> None:
        """All of it or nothing, and that the graph has come so far."""
        known = dict(await self._known(happened))
        written: list[Statement] = []
        for kind, some in events.runs(happened):
            if kind not in SAME:
                written += events.statements(kind, some, known)
                continue
            old, new = (known.get(person, person) for person in events.one(some[0]))
            if old != new:
                written += events.become_one(old, new)
                known = {name: new if now == old else now for name, now in known.items()} | {old: new}
        reader = ("MERGE (r:Reader {id: $reader}) SET r.position = $position", {"reader": READER, "position": position})
        await self._graph.write_all([*written, reader], within=WRITE_SECONDS)

    async def _known(self, happened: Sequence[Happened]) -> Mapping[str, str]:
        rows = await self._graph.read(
            "UNWIND $ids AS id MATCH (a:Alias {id: id}) RETURN a.id AS id, a.person AS person",
            ids=events.persons(happened),
        )
        return {row["id"]: row["person"] for row in rows}
