"""What the ways of cards tell: back from a lead to the card, forward by level, and who carried it far."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import median
from typing import LiteralString

from knowledge_graph.client import Graph

LEVELS = 3
"""Of the path that is drawn; deeper ones are counted."""

SHOWN = 120
"""People of a path at most: a picture holds no more."""

LONGEST: LiteralString = "40"
"""Hands that a chain is followed through."""


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


_CHAIN: LiteralString = (
    """
MATCH (c:Card {id: $card})<-[:OWNS]-(o:User)
MATCH p = (l:User {id: $person})<-[:FORWARDED*1.."""
    + LONGEST
    + """ {card: $card, first: true}]-(o)
RETURN [n IN nodes(p) | n.id] AS people, [r IN relationships(p) | r.channel] AS channels,
       [r IN relationships(p) | r.time] AS times
LIMIT 1
"""
)


async def chain(graph: Graph, card: str, person: str) -> tuple[Step, ...]:
    """From the card's owner to the person, hand by hand, as they first had it; empty where they never did."""
    rows = await graph.read(_CHAIN, card=card, person=person)
    if not rows:
        return ()
    people, channels, times = (list(reversed(rows[0][name])) for name in ("people", "channels", "times"))
    hands = zip(people[1:], channels, map(_moment, times), strict=True)
    return (
        Step(people[0], 0, None, None),
        *(Step(who, depth, channel, time) for depth, (who, channel, time) in enumerate(hands, 1)),
    )


_NEAR: LiteralString = """
MATCH (c:Card {id: $card})<-[h:HOLDS]-(u:User)
WHERE h.depth <= $levels
RETURN u.id AS person, h.source AS source, h.depth AS depth, h.channel AS channel, h.since AS since
"""

_BOUGHT: LiteralString = """
MATCH (c:Card {id: $card})<-[v:CONVERTED]-(u:User)
RETURN u.id AS person, count(v) AS orders
"""


async def path(graph: Graph, card: str) -> Path:
    """The copies of the first :data:`LEVELS`, at most :data:`SHOWN`."""
    owners = await graph.read("MATCH (:Card {id: $card})<-[:OWNS]-(o:User) RETURN o.id AS id", card=card)
    rows = await graph.read(_NEAR, card=card, levels=LEVELS + 1)
    orders = {row["person"]: row["orders"] for row in await graph.read(_BOUGHT, card=card)}
    copies = [
        Copy(row["person"], row["source"], row["depth"], row["channel"], row["since"], 0, orders.get(row["person"], 0))
        for row in rows
    ]
    return Path(card, owners[0]["id"] if owners else None, tuple(_shown(copies)))


def _shown(copies: Sequence[Copy]) -> list[Copy]:
    """Whose branch is greater comes first, and nobody without their parent."""
    children: dict[str, list[Copy]] = {}
    for copy in sorted(copies, key=lambda copy: copy.since):
        children.setdefault(copy.source, []).append(copy)
    near = [copy for copy in copies if copy.depth <= LEVELS]
    ranked = sorted(near, key=lambda copy: (-len(children.get(copy.person, ())) - 5 * copy.orders, copy.since))
    by_person = {copy.person: copy for copy in near}
    kept: dict[str, Copy] = {}
    for copy in ranked:
        line, above = [copy], by_person.get(copy.source)
        while above is not None and above.person not in kept and above not in line:
            line.append(above)
            above = by_person.get(above.source)
        new = [one for one in line if one.person not in kept]
        if len(kept) + len(new) <= SHOWN:
            kept |= {one.person: one for one in new}
    ordered = sorted(kept.values(), key=lambda copy: (copy.depth, copy.since))
    return [
        Copy(one.person, one.source, one.depth, one.channel, one.since, len(children.get(one.person, ())), one.orders)
        for one in ordered
    ]


_LEVELS: LiteralString = """
UNWIND $cards AS id
MATCH (c:Card {id: id})<-[h:HOLDS]-(u:User)
RETURN h.depth AS depth, count(u) AS people ORDER BY depth
"""

_ORDERS: LiteralString = """
UNWIND $cards AS id
MATCH (c:Card {id: id})<-[v:CONVERTED]-(:User)
RETURN count(v) AS orders, sum(v.cents) AS cents
"""

_TIMES: LiteralString = """
UNWIND $cards AS id
MATCH (c:Card {id: id})<-[h:HOLDS]-(u:User)
RETURN id AS card, c.made AS made, u.id AS person, h.source AS source, h.since AS since LIMIT $most
"""

TIMED = 2000
"""Copies from which the time to open is taken."""


async def reach(graph: Graph, cards: Sequence[str]) -> Reach:
    """Of these cards together."""
    ids = list(cards)
    levels = {row["depth"]: row["people"] for row in await graph.read(_LEVELS, cards=ids)}
    (sums,) = await graph.read(_ORDERS, cards=ids)
    rows = await graph.read(_TIMES, cards=ids, most=TIMED)
    had = {(row["card"], row["person"]): row["since"] for row in rows}
    spent = [
        row["since"] - before
        for row in rows
        if (before := had.get((row["card"], row["source"])) or row["made"]) is not None and before <= row["since"]
    ]
    return Reach(
        tuple(levels.get(depth, 0) for depth in range(1, max(levels, default=0) + 1)),
        int(sums["orders"]),
        int(sums["cents"] or 0),
        median(spent) if spent else None,
    )


_CARRIERS: LiteralString = """
UNWIND $cards AS id
MATCH (c:Card {id: id})<-[h:HOLDS]-(u:User)
WHERE h.depth > 1
RETURN h.source AS person, count(u) AS brought
ORDER BY brought DESC, person LIMIT $limit
"""

_BROUGHT_ORDERS: LiteralString = """
UNWIND $cards AS id
MATCH (c:Card {id: id})<-[v:CONVERTED]-(u:User)-[h:HOLDS]->(c)
RETURN h.source AS person, count(v) AS orders
"""


async def carriers(graph: Graph, cards: Sequence[str], limit: int = 10) -> list[Carrier]:
    """Who passed these cards on to most people, their owner not among them."""
    ids = list(cards)
    rows = await graph.read(_CARRIERS, cards=ids, limit=limit)
    orders = {row["person"]: row["orders"] for row in await graph.read(_BROUGHT_ORDERS, cards=ids)} if rows else {}
    return [Carrier(row["person"], row["brought"], orders.get(row["person"], 0)) for row in rows]


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
UNWIND $cards AS id
MATCH (c:Card {id: id})<-[h:HOLDS]-(u:User)-[:IS]->(l:Lead)
WHERE l.stage IN $stages
OPTIONAL MATCH (u)-[q:ASKED]->(:Interest)
RETURN u.id AS person, id AS card, h.source AS source, h.depth AS depth, l.stage AS stage,
       coalesce(l.since, h.since) AS since, count(q) AS asked, max(q.time) AS asked_last
"""

WARMEST = ("intent", "consideration", "interest", "awareness")
"""Stages of a lead that is still one, the warmest first."""


async def leads(graph: Graph, cards: Sequence[str], stages: Sequence[str] = WARMEST, limit: int = 10) -> list[Lead]:
    """Those who had one of these cards, the warmest first; somebody who had several of them once."""
    rows = await graph.read(_LEADS, cards=list(cards), stages=list(stages))
    found = [Lead(**row | {"asked_last": _moment(row["asked_last"])}) for row in rows]
    found.sort(key=lambda lead: (stages.index(lead.stage), -lead.asked, -(lead.asked_last or lead.since).timestamp()))
    return list({lead.person: lead for lead in reversed(found)}.values())[::-1][:limit]


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
