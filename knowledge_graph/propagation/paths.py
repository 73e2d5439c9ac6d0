"""What the ways of cards tell: back from a lead to the card, forward by level, and who carried it far."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from statistics import median
from typing import Any, LiteralString

from knowledge_graph.client import Graph
from knowledge_graph.propagation.events import SHELVES, copy_of

LEVELS = 3
"""Of the path that is drawn; deeper ones are counted."""

SHOWN = 60
"""People of a path at most: a picture holds no more."""


@dataclass(frozen=True, slots=True)
class Copy:
    """One person's copy of a card."""

    person: str
    source: str  # who gave it to them
    depth: int  # 1: from the owner
    channel: str
    since: datetime
    brought: int = 0  # people who had it from them first
    orders: int = 0


@dataclass(frozen=True, slots=True)
class Path:
    """The card's owner and the copies near them, those that carried most before others, parents before children."""

    card: str
    owner: str | None
    copies: tuple[Copy, ...]


@dataclass(frozen=True, slots=True)
class Step:
    person: str
    depth: int  # 0: the owner
    channel: str | None
    time: datetime | None


@dataclass(frozen=True, slots=True)
class Reach:
    """``levels`` are people by how many hands the card came through to them first, from the first level on."""

    levels: tuple[int, ...]
    orders: int
    cents: int
    opened_after: timedelta | None  # the median between a copy and the next one that came of it

    @property
    def people(self) -> int:
        return sum(self.levels)


@dataclass(frozen=True, slots=True)
class Carrier:
    person: str
    brought: int  # people who had a card from them first
    orders: int  # of those people


@dataclass(frozen=True, slots=True)
class Converted:
    person: str
    card: str
    order: str
    cents: int
    depth: int
    date: datetime
    path: tuple[str, ...]  # from the owner to the person


@dataclass(frozen=True, slots=True)
class Lead:
    person: str
    card: str
    source: str
    depth: int
    stage: str
    since: datetime
    asked: int
    asked_last: datetime | None


@dataclass(frozen=True, slots=True)
class Question:
    topic: str
    product: str | None
    time: datetime


_CHAIN: LiteralString = """
MATCH p = (k:Copy {id: $copy})-[:FROM*1..]->(o:Copy)
WHERE o.depth = 0
RETURN [n IN nodes(p) | n.person] AS people, [n IN nodes(p) | n.channel] AS channels, [n IN nodes(p) | n.at] AS times
LIMIT 1
"""


async def chain(graph: Graph, card: str, person: str) -> tuple[Step, ...]:
    """From the card's owner to the person, hand by hand, as they first had it; empty where they never did."""
    rows = await graph.read(_CHAIN, copy=copy_of(card, person))
    if not rows:
        return ()
    people, channels, times = (rows[0][name][::-1] for name in ("people", "channels", "times"))
    hands = zip(people[1:], channels[1:], times[1:], strict=True)
    return (
        Step(people[0], 0, None, None),
        *(Step(who, depth, channel, _time(moment)) for depth, (who, channel, moment) in enumerate(hands, 1)),
    )


# nobody's parent is missing: those have one, too, who carried more or less
_NEAR: LiteralString = """
UNWIND $shelves AS shelf
MATCH (k:Copy {shelf: shelf})
WITH k LIMIT $most
MATCH (k)-[:FROM*0..2]->(a:Copy)
WHERE a.depth > 0
WITH DISTINCT a
WITH collect([a.person, a.source, a.depth, a.channel, a.at, a.brought, a.orders]) AS copies
OPTIONAL MATCH (c:Card {id: $card})
RETURN c.owner AS owner, copies
"""


async def path(graph: Graph, card: str) -> Path:
    """The copies of the first :data:`LEVELS`, at most :data:`SHOWN`: those who brought most people, an order counting
    as five; of those who brought about as much (not twice as much) whoever there is room for."""
    (found,) = await graph.read(_NEAR, card=card, shelves=_shelves(card, "near"), most=SHOWN)
    copies = [
        Copy(person, source, depth, channel, _time(moment), brought, orders)
        for person, source, depth, channel, moment, brought, orders in found["copies"]
    ]
    return Path(card, found["owner"], tuple(_shown(copies)))


def _shelves(card: str, *sides: str) -> list[str]:
    """Names of a card's, the fullest first."""
    return [f"{card} {side} {shelf}" for shelf in SHELVES for side in sides]


def _shown(copies: Sequence[Copy]) -> list[Copy]:
    """Whoever carried more comes first, and nobody without their parent."""
    by_person = {copy.person: copy for copy in copies}
    kept: dict[str, Copy] = {}
    for copy in sorted(copies, key=lambda copy: (-copy.brought - 5 * copy.orders, copy.since, copy.person)):
        line, above = [copy], by_person.get(copy.source)
        while above is not None and above.person not in kept and above not in line:
            line.append(above)
            above = by_person.get(above.source)
        new = [one for one in line if one.person not in kept]
        if len(kept) + len(new) <= SHOWN:
            kept |= {one.person: one for one in new}
    return sorted(kept.values(), key=lambda copy: (copy.depth, copy.since))


_LEVELS: LiteralString = """
UNWIND $cards AS id
MATCH (v:Level {card: id})
WHERE v.people > 0
RETURN v.depth AS depth, sum(v.people) AS people
"""

_ORDERS: LiteralString = """
UNWIND $cards AS id
MATCH (c:Card {id: id})
RETURN sum(c.orders) AS orders, sum(c.cents) AS cents
"""

_TIMES: LiteralString = """
UNWIND $shelves AS shelf
MATCH (k:Copy {shelf: shelf})
WHERE k.waited >= 0
WITH k.waited AS waited LIMIT $most
RETURN collect(waited) AS waited
"""

TIMED = 1000
"""Copies from which the time to open is taken."""


async def reach(graph: Graph, cards: Sequence[str]) -> Reach:
    """Of these cards together."""
    ids = list(cards)
    levels = {row["depth"]: row["people"] for row in await graph.read(_LEVELS, cards=ids)}
    (sums,) = await graph.read(_ORDERS, cards=ids)
    shelves = [shelf for card in ids for shelf in _shelves(card, "near", "deep")[-8 if len(ids) > 1 else 0 :]]
    (times,) = await graph.read(_TIMES, shelves=shelves, most=TIMED)
    return Reach(
        tuple(levels.get(depth, 0) for depth in range(1, max(levels, default=0) + 1)),
        int(sums["orders"] or 0),
        int(sums["cents"] or 0),
        timedelta(microseconds=median(times["waited"])) if times["waited"] else None,
    )


_CARRIERS: LiteralString = """
UNWIND $shelves AS shelf
MATCH (k:Copy {shelf: shelf})
WHERE k.brought > 0
RETURN k.person AS person, k.brought AS brought, k.bought AS orders ORDER BY brought DESC, person LIMIT $limit
"""

_CARRIERS_OF_ALL: LiteralString = """
UNWIND $shelves AS shelf
MATCH (u:User {shelf: shelf})
WITH u ORDER BY u.brought DESC, u.id LIMIT $limit
MATCH (u)-[:HOLDS]->(k:Copy)
RETURN u.id AS person, u.brought AS brought, sum(CASE WHEN k.depth = 0 THEN 0 ELSE k.bought END) AS orders
"""


async def carriers(graph: Graph, card: str | None, limit: int = 10) -> list[Carrier]:
    """Who passed this card on to most people, its owner not among them; who passed on most of all cards for None."""
    found = list[dict[str, Any]]()
    for first in range(0, len(SHELVES), 8):
        some = SHELVES[first : first + 8]
        if card is None:
            rows = await graph.read(_CARRIERS_OF_ALL, shelves=[each for each in some if each > 0], limit=limit)
        else:
            names = [f"{card} {side} {shelf}" for shelf in some for side in ("near", "deep")]
            rows = await graph.read(_CARRIERS, shelves=names, limit=limit)
        found = sorted([*found, *rows], key=lambda row: (-row["brought"], row["person"]))[:limit]
        if len(found) == limit and found[-1]["brought"] >= 2 ** (some[-1] - 1):
            break  # on the emptier shelves nobody brought as many
    return [Carrier(**row) for row in found]


_CONVERSIONS: LiteralString = """
UNWIND $cards AS id
MATCH (c:Card {id: id})<-[v:CONVERTED]-(u:User)
RETURN id AS card, u.id AS person, v.order AS order, v.cents AS cents, v.depth AS depth, v.date AS date
ORDER BY date DESC LIMIT $limit
"""


async def conversions(graph: Graph, cards: Sequence[str], limit: int = 20) -> list[Converted]:
    """The latest orders that came of these cards, each with the way on which its buyer had the card."""
    rows = await graph.read(_CONVERSIONS, cards=list(cards), limit=limit)
    ways = [await chain(graph, row["card"], row["person"]) for row in rows]
    return [Converted(**row, path=tuple(step.person for step in way)) for row, way in zip(rows, ways, strict=True)]


_LEADS: LiteralString = """
UNWIND $leads AS lead
MATCH (k:Copy {lead: lead})
WITH k LIMIT $most
MATCH (k)<-[:HOLDS]-(u:User)-[:IS]->(l:Lead)
OPTIONAL MATCH (u)-[q:ASKED]->(:Interest)
RETURN u.id AS person, k.card AS card, k.source AS source, k.depth AS depth, l.stage AS stage, l.since AS moved,
       k.at AS at, count(q) AS asked, max(q.time) AS asked_last
"""

WARMEST = ("intent", "consideration", "interest", "awareness")
"""Stages of a lead that is still one, the warmest first."""

LOOKED_AT = 2000
"""Leads of a stage; where there are more, some of them."""


async def leads(graph: Graph, cards: Sequence[str], stages: Sequence[str] = WARMEST, limit: int = 10) -> list[Lead]:
    """Those who had one of these cards, the warmest first; somebody who had several of them once."""
    found: dict[str, Lead] = {}
    for stage in stages:
        rows = await graph.read(_LEADS, leads=[f"{card} {stage}" for card in cards], most=LOOKED_AT)
        some = [_lead(**row) for row in rows]
        some.sort(key=lambda lead: (-lead.asked, -(lead.asked_last or lead.since).timestamp()))
        for lead in some:
            found.setdefault(lead.person, lead)
        if len(found) >= limit:
            break
    return list(found.values())[:limit]


def _lead(*, moved: datetime | None, at: int, asked_last: object, **told: Any) -> Lead:
    return Lead(since=moved or _time(at), asked_last=_moment(asked_last), **told)


async def questions(graph: Graph, person: str, limit: int = 10) -> list[Question]:
    """What the person asked, the latest first."""
    rows = await graph.read(
        "MATCH (:User {id: $person})-[q:ASKED]->(:Interest) "
        "RETURN q.topic AS topic, q.product AS product, q.time AS time ORDER BY time DESC LIMIT $limit",
        person=person,
        limit=limit,
    )
    return [Question(**row) for row in rows]


def _moment(value: object) -> datetime | None:
    """A time within a list, or from an aggregate, comes as the driver's own."""
    return value if isinstance(value, datetime) or value is None else value.to_native()  # type: ignore[attr-defined]


def _time(moment: int) -> datetime:
    return datetime.fromtimestamp(moment / 1_000_000, UTC)
