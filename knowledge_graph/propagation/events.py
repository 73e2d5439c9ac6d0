"""What the mall's events make of the graph: each kind as the statements that write it.

Every statement can be repeated: an edge is known by the id of what made it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import Any, LiteralString

from knowledge_graph.client import Row, Statement

WHOLE = 10_000
"""Of an order that was paid back, in hundredths of a per cent."""

BOUND, MERGED = "card.person_bound", "customers_merged"
SAME = (BOUND, MERGED)
"""Two persons turn out to be one; it changes whom the events after it mean."""

ENDED = "card.forward_ended"


@dataclass(frozen=True, slots=True)
class Happened:
    """An event of the mall, with its own values; ``subject`` is what it happened to ("card:7")."""

    kind: str
    subject: str
    at: datetime
    data: Mapping[str, Any]


_PERSONS: LiteralString = "UNWIND $persons AS id MERGE (:User {id: id})"

_MADE: LiteralString = """
UNWIND $rows AS row
MERGE (u:User {id: row.owner})
MERGE (c:Card {id: row.card})
MERGE (u)-[:OWNS]->(c)
MERGE (s:Sales {id: row.owner})
MERGE (u)-[:IS]->(s)
SET c.made = row.at
"""

# merged from the receiver, who has few: one sender may have sent thousands
_FORWARDED: LiteralString = """
UNWIND $rows AS row
MERGE (a:User {id: row.sharer})
MERGE (b:User {id: row.opener})
MERGE (c:Card {id: row.card})
MERGE (b)-[h:HOLDS]->(c)
ON CREATE SET h.by = row.id, h.source = row.sharer, h.depth = row.depth, h.channel = row.channel, h.since = row.at
MERGE (b)<-[f:FORWARDED {id: row.id}]-(a)
ON CREATE SET f.card = row.card, f.channel = row.channel, f.depth = row.depth, f.time = row.at,
              f.first = (h.by = row.id)
MERGE (l:Lead {id: row.opener})
ON CREATE SET l.stage = 'awareness'
MERGE (b)-[:IS]->(l)
"""

_CONVERTED: LiteralString = """
UNWIND $rows AS row
MERGE (u:User {id: row.person})
MERGE (c:Card {id: row.card})
MERGE (u)-[v:CONVERTED {id: row.id}]->(c)
SET v.order = row.order, v.cents = row.cents, v.depth = row.depth, v.channel = row.channel, v.date = row.at
"""

_REVERSED: LiteralString = """
UNWIND $rows AS row
MATCH (c:Card {id: row.card})<-[v:CONVERTED {id: row.id}]-(:User)
DELETE v
"""

# whoever declined and has no card any more is nobody's lead
_FORGOTTEN: tuple[LiteralString, ...] = (
    """
UNWIND $rows AS row
MATCH (c:Card {id: row.card})<-[:HOLDS {by: row.id}]-(u:User)
MATCH (u)-[h:HOLDS]->(:Card)
WITH u, count(h) AS held WHERE held = 1
MATCH (u)-[q:ASKED]->(:Interest) DELETE q
""",
    """
UNWIND $rows AS row
MATCH (c:Card {id: row.card})<-[:HOLDS {by: row.id}]-(u:User)
MATCH (u)-[h:HOLDS]->(:Card)
WITH u, count(h) AS held WHERE held = 1
MATCH (u)-[:IS]->(l:Lead) DETACH DELETE l
""",
)

_ENDED: tuple[LiteralString, ...] = (
    """
UNWIND $rows AS row
MATCH (c:Card {id: row.card})<-[:HOLDS]-(:User)<-[f:FORWARDED {id: row.id}]-(:User)
DELETE f
""",
    # whoever came another way, too, had it by the first of those that are left
    """
UNWIND $rows AS row
MATCH (c:Card {id: row.card})<-[h:HOLDS {by: row.id}]-(:User)<-[g:FORWARDED {card: row.card}]-(a:User)
WITH h, g, a ORDER BY g.time LIMIT 1
SET h.by = g.id, h.source = a.id, h.depth = g.depth, h.channel = g.channel, h.since = g.time, g.first = true
""",
    "UNWIND $rows AS row MATCH (c:Card {id: row.card})<-[h:HOLDS {by: row.id}]-(:User) DELETE h",
)

# the ways of cards stay, of somebody whom nobody knows
_ERASED: tuple[LiteralString, ...] = (
    "UNWIND $rows AS row MATCH (:User {id: row.person})-[q:ASKED]->(:Interest) DELETE q",
    "UNWIND $rows AS row MATCH (l:Lead {id: row.person}) DETACH DELETE l",
)

_ASKED: LiteralString = """
UNWIND $rows AS row
MERGE (i:Interest {id: row.topic})
MERGE (u:User {id: row.person})
MERGE (u)-[q:ASKED {id: row.id}]->(i)
SET q.topic = row.topic, q.product = row.product, q.time = row.at
"""

_STAGES: LiteralString = """
UNWIND $rows AS row
MERGE (u:User {id: row.person})
MERGE (l:Lead {id: row.person})
MERGE (u)-[:IS]->(l)
SET l.stage = row.stage, l.since = row.at
"""


def runs(events: Iterable[Happened]) -> Iterator[tuple[str, list[Happened]]]:
    """Neighbours of one kind together, in their order; what makes two persons one, or ends an opening, on its own."""
    for kind, some in groupby(events, lambda event: event.kind):
        if kind in (*SAME, ENDED):
            yield from ((kind, [event]) for event in some)
        else:
            yield kind, list(some)


def persons(events: Iterable[Happened]) -> list[str]:
    """Everybody whom the events name."""
    named = ("sharer", "opener", "person")
    found = {event.data[name] for event in events for name in named if event.data.get(name)}
    found.update(person for event in events for person in event.data.get("persons", ()))
    return sorted(found.union(*(one(event) for event in events if event.kind in SAME)))


def one(event: Happened) -> tuple[str, str]:
    """Who was taken for another, and who that is; the subject of two customers who were merged is the principal of the
    one who is kept."""
    if event.kind == BOUND:
        return event.data["account"], event.data["customer"]
    return f"customer:{event.data['gone_id']}", f"customer:{event.subject.removeprefix('principal:P-')}"


def statements(kind: str, events: Sequence[Happened], known: Mapping[str, str]) -> list[Statement]:
    """``known``: for a person who turned out to be another one, who that is."""

    def who(name: str) -> str:
        return known.get(name, name)

    match kind:
        case "card.made":
            rows = [{"card": e.data["card_id"], "owner": who(e.data["person"]), "at": e.at} for e in events]
            return [(_MADE, {"rows": rows})]
        case "card.forwarded":
            rows = [_forward(e, who(e.data["sharer"]), who(e.data["opener"])) for e in events]
            # who was two persons then may be one by now
            return [(_FORWARDED, {"rows": [row for row in rows if row["sharer"] != row["opener"]]})]
        case "card.converted":
            return [(_CONVERTED, {"rows": [_conversion(e, who(e.data["person"])) for e in events]})]
        case "card.conversion_reversed":
            rows = [
                {"id": e.data["conversion_id"], "card": e.subject.removeprefix("card:")}
                for e in events
                if e.data["share_bps"] >= WHOLE
            ]
            return [(_REVERSED, {"rows": rows})]
        case "card.forward_ended":
            rows = [{"id": e.data["forward_id"], "card": e.data["card_id"]} for e in events]
            declined = any(e.data["reason"] == "declined" for e in events)
            return [(statement, {"rows": rows}) for statement in _ended(declined)]
        case "lead.asked":
            return [(_ASKED, {"rows": [_question(e, who(e.data["person"])) for e in events]})]
        case "lead.stage_moved":
            rows = [{"person": who(e.data["person"]), "stage": e.data["stage"], "at": e.at} for e in events]
            return [(_STAGES, {"rows": rows})]
        case "customer_erased":
            rows = [{"person": who(person)} for e in events for person in e.data["persons"]]
            return [(statement, {"rows": rows}) for statement in _ERASED]
    raise AssertionError(kind)


def _ended(declined: bool) -> tuple[LiteralString, ...]:
    *before, last = _ENDED
    return (*before, *(_FORGOTTEN if declined else ()), last)


def _forward(event: Happened, sharer: str, opener: str) -> Row:
    told = event.data
    named = {"id": told["forward_id"], "card": told["card_id"], "sharer": sharer, "opener": opener}
    return named | {"channel": told["channel"], "depth": told["depth"], "at": event.at}


def _conversion(event: Happened, person: str) -> Row:
    told = event.data
    named = {"id": told["conversion_id"], "card": told["card_id"], "person": person, "order": told["order_id"]}
    return named | {"cents": told["paid_cents"], "depth": told["depth"], "channel": told["channel"], "at": event.at}


def _question(event: Happened, person: str) -> Row:
    told = event.data
    asked = {"topic": told["topic"], "product": told.get("product_id"), "at": event.at}
    return {"id": told["question_id"], "person": person} | asked


# ---- two persons who are one ----

_COPIES: LiteralString = """
MATCH (o:User {id: $old})-[h:HOLDS]->(c:Card)
MATCH (n:User {id: $new})
MERGE (n)-[m:HOLDS]->(c)
ON CREATE SET m.by = h.by, m.source = h.source, m.depth = h.depth, m.channel = h.channel, m.since = h.since
"""

_EARLIER: LiteralString = """
MATCH (o:User {id: $old})-[h:HOLDS]->(c:Card)<-[m:HOLDS]-(n:User {id: $new})
WHERE h.since < m.since
SET m.by = h.by, m.source = h.source, m.depth = h.depth, m.channel = h.channel, m.since = h.since
"""

_GIVEN: LiteralString = """
MATCH (o:User {id: $old})-[f:FORWARDED]->(b:User)
WHERE b.id <> $new
MATCH (n:User {id: $new})
MERGE (b)<-[m:FORWARDED {id: f.id}]-(n)
ON CREATE SET m.card = f.card, m.channel = f.channel, m.depth = f.depth, m.time = f.time, m.first = f.first
"""

_GOT: LiteralString = """
MATCH (o:User {id: $old})<-[f:FORWARDED]-(a:User)
WHERE a.id <> $new
MATCH (n:User {id: $new})
MERGE (n)<-[m:FORWARDED {id: f.id}]-(a)
ON CREATE SET m.card = f.card, m.channel = f.channel, m.depth = f.depth, m.time = f.time, m.first = f.first
"""

_SOURCES: LiteralString = """
MATCH (:User {id: $new})-[:FORWARDED]->(:User)-[h:HOLDS]->(:Card)
WHERE h.source = $old
SET h.source = $new
"""

_FIRST: LiteralString = """
MATCH (:User)-[f:FORWARDED]->(n:User {id: $new})-[h:HOLDS]->(c:Card)
WHERE c.id = f.card
SET f.first = (f.id = h.by)
"""

# whoever made the card did not get it from anybody
_NOT_OWN: tuple[LiteralString, ...] = (
    "MATCH (n:User {id: $new})-[:OWNS]->(c:Card)<-[h:HOLDS]-(m:User {id: $new}) DELETE h",
    "MATCH (:User)-[f:FORWARDED]->(n:User {id: $new})-[:OWNS]->(c:Card) WHERE c.id = f.card DELETE f",
)

_ORDERS: LiteralString = """
MATCH (o:User {id: $old})-[v:CONVERTED]->(c:Card)
MATCH (n:User {id: $new})
MERGE (n)-[m:CONVERTED {id: v.id}]->(c)
ON CREATE SET m.order = v.order, m.cents = v.cents, m.depth = v.depth, m.channel = v.channel, m.date = v.date
"""

_QUESTIONS: LiteralString = """
MATCH (o:User {id: $old})-[q:ASKED]->(i:Interest)
MATCH (n:User {id: $new})
MERGE (n)-[m:ASKED {id: q.id}]->(i)
ON CREATE SET m.topic = q.topic, m.product = q.product, m.time = q.time
"""

_STAGE: LiteralString = """
MATCH (:User {id: $old})-[:IS]->(l:Lead)
MATCH (n:User {id: $new})
MERGE (m:Lead {id: $new})
ON CREATE SET m.stage = l.stage, m.since = l.since
MERGE (n)-[:IS]->(m)
"""

_CARDS_MADE: LiteralString = """
MATCH (:User {id: $old})-[:OWNS]->(c:Card)
MATCH (n:User {id: $new})
MERGE (s:Sales {id: $new})
MERGE (n)-[:IS]->(s)
MERGE (n)-[:OWNS]->(c)
"""


def become_one(old: str, new: str) -> list[Statement]:
    """Everything of ``old`` is ``new``'s, each card from whom they had it first; what went between the two is gone."""
    both = {"old": old, "new": new}
    moved = (_COPIES, _EARLIER, _GIVEN, _GOT, _CARDS_MADE, _SOURCES, _FIRST, *_NOT_OWN, _ORDERS, _QUESTIONS, _STAGE)
    return [
        (_PERSONS, {"persons": [old, new]}),
        *((statement, both) for statement in moved),
        ("MATCH (o:User {id: $old}) DETACH DELETE o", both),
        ("MATCH (l:Lead {id: $old}) DETACH DELETE l", both),
        ("MATCH (s:Sales {id: $old}) DETACH DELETE s", both),
        ("MATCH (a:Alias {person: $old}) SET a.person = $new", both),
        ("MERGE (a:Alias {id: $old}) SET a.person = $new", both),
    ]
