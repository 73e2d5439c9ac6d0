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

_BUCKET: LiteralString = "CASE WHEN {0} = 0 THEN 0 ELSE 1 + toInteger(floor(log({0}) / log(2))) END"

SHELVES = tuple(range(20, -1, -1))
"""The fullest first: whoever carried twice as much stands on the next one."""


def _shelved(copy: LiteralString) -> LiteralString:
    """Puts a copy where those stand that carried about as much; the owner's stands nowhere.

    Both servers find all of a shelf by its name at once, and neither the greatest of many.
    """
    bucket = _BUCKET.replace("{0}", f"({copy}.brought + 5 * {copy}.orders)")
    return (
        f"{copy}.shelf = CASE WHEN {copy}.depth = 0 THEN null ELSE {copy}.card + "
        f"CASE WHEN {copy}.depth <= 3 THEN ' near ' ELSE ' deep ' END + toString({bucket}) END"
    )


def _ranked(user: LiteralString) -> LiteralString:
    bucket = _BUCKET.replace("{0}", f"{user}.brought")
    return f"{user}.shelf = CASE WHEN {user}.brought = 0 THEN null ELSE {bucket} END"


def _brings(copy: LiteralString, user: LiteralString, sign: LiteralString, opener: LiteralString) -> LiteralString:
    """One more, or one less, came by this copy of the user's, with their orders; whom an owner brings is no merit."""
    return (
        f"SET {copy}.brought = {copy}.brought {sign} 1, {copy}.bought = {copy}.bought {sign} {opener}.orders "
        f"SET {_shelved(copy)} "
        f"SET {user}.brought = coalesce({user}.brought, 0) {sign} CASE WHEN {copy}.depth = 0 THEN 0 ELSE 1 END "
        f"SET {_ranked(user)}"
    )


_MADE: LiteralString = f"""
UNWIND $rows AS row
MERGE (u:User {{id: row.owner}})
MERGE (c:Card {{id: row.card}})
MERGE (u)-[:OWNS]->(c)
MERGE (s:Sales {{id: row.owner}})
MERGE (u)-[:IS]->(s)
MERGE (k:Copy {{id: row.copy}})
ON CREATE SET k.card = row.card, k.person = row.owner, k.brought = 0, k.bought = 0, k.orders = 0
MERGE (k)<-[:HOLDS]-(u)
SET c.made = row.at, c.owner = row.owner, k.by = 0, k.depth = 0, k.at = row.moment
SET {_shelved("k")}
"""

# merged from the receiver, who has few: one sender may have sent thousands
_FORWARDED: LiteralString = """
UNWIND $rows AS row
MERGE (a:User {id: row.sharer})
MERGE (b:User {id: row.opener})
MERGE (b)<-[f:FORWARDED {id: row.id}]-(a)
ON CREATE SET f.card = row.card, f.channel = row.channel, f.depth = row.depth, f.time = row.at
MERGE (p:Copy {id: row.shared})
ON CREATE SET p.card = row.card, p.person = row.sharer, p.brought = 0, p.bought = 0, p.orders = 0
MERGE (p)<-[:HOLDS]-(a)
MERGE (k:Copy {id: row.copy})
ON CREATE SET k.card = row.card, k.person = row.opener, k.brought = 0, k.bought = 0, k.orders = 0
MERGE (k)<-[:HOLDS]-(b)
MERGE (v:Level {id: row.level})
ON CREATE SET v.card = row.card, v.depth = row.depth, v.people = 0
MERGE (l:Lead {id: row.opener})
ON CREATE SET l.stage = 'awareness'
MERGE (b)-[:IS]->(l)
"""

# by which they had it first: whoever has it already changes nothing, so this can be told again
_FIRST: LiteralString = f"""
UNWIND $rows AS row
MATCH (k:Copy {{id: row.copy}})
WHERE k.by IS NULL
MATCH (p:Copy {{id: row.shared}})
MATCH (a:User {{id: row.sharer}})
MATCH (v:Level {{id: row.level}})
MATCH (l:Lead {{id: row.opener}})
CREATE (k)-[:FROM]->(p)
SET k.by = row.id, k.source = row.sharer, k.depth = row.depth, k.channel = row.channel, k.at = row.moment,
    k.waited = row.moment - p.at, k.lead = row.card + ' ' + l.stage, v.people = v.people + 1
SET {_shelved("k")}
{_brings("p", "a", "+", "k")}
"""


def _bought(sign: LiteralString) -> LiteralString:
    """One order more, or less, by who has the copy ``k``."""
    return f"""
SET k.orders = k.orders {sign} 1
SET {_shelved("k")}
WITH k
MATCH (k)-[:FROM]->(p:Copy)
SET p.bought = p.bought {sign} 1
"""


_CONVERTED: tuple[LiteralString, ...] = (
    """
UNWIND $rows AS row
MERGE (u:User {id: row.person})
MERGE (c:Card {id: row.card})
MERGE (u)-[v:CONVERTED {id: row.id}]->(c)
SET v.order = row.order, v.cents = row.cents, v.depth = row.depth, v.channel = row.channel, v.date = row.at
""",
    f"""
UNWIND $rows AS row
MATCH (u:User {{id: row.person}})-[v:CONVERTED {{id: row.id}}]->(:Card)
WHERE v.counted IS NULL
MATCH (k:Copy {{id: row.copy}})
{_bought("+")}
""",
    """
UNWIND $rows AS row
MATCH (u:User {id: row.person})-[v:CONVERTED {id: row.id}]->(c:Card {id: row.card})
WHERE v.counted IS NULL
SET v.counted = true, c.orders = coalesce(c.orders, 0) + 1, c.cents = coalesce(c.cents, 0) + v.cents
""",
)

_REVERSED: tuple[LiteralString, ...] = (
    f"""
UNWIND $rows AS row
MATCH (c:Card {{id: row.card}})<-[v:CONVERTED {{id: row.id}}]-(u:User)
MATCH (k:Copy {{id: row.card + ' ' + u.id}})
{_bought("-")}
""",
    """
UNWIND $rows AS row
MATCH (c:Card {id: row.card})<-[v:CONVERTED {id: row.id}]-(:User)
SET c.orders = c.orders - 1, c.cents = c.cents - v.cents
DELETE v
""",
)

_OPENED_BY: LiteralString = """
UNWIND $rows AS row
MATCH (b:User {id: row.opener})<-[f:FORWARDED {id: row.id}]-(:User)
DELETE f
"""

# events of old do not tell who opened it
_OPENED: LiteralString = """
UNWIND $rows AS row
MATCH (:User)<-[f:FORWARDED {id: row.id}]-(:User)
DELETE f
"""

_GONE: LiteralString = (
    "k.by = null, k.source = null, k.depth = null, k.channel = null, k.at = null, k.waited = null, k.lead = null"
)
"""Of a copy that nobody has any more. It stays while others came by it."""


def _ended(copy: LiteralString) -> tuple[LiteralString, ...]:
    """``copy`` finds whose copy ``k`` it is."""
    return (
        f"""
UNWIND $rows AS row
MATCH (k:Copy{copy})
WHERE k.by = row.id
MATCH (k)-[r:FROM]->(p:Copy)<-[:HOLDS]-(a:User)
MATCH (v:Level {{id: k.card + ' ' + toString(k.depth)}})
SET v.people = v.people - 1, k.ended = row.id, {_GONE}
SET {_shelved("k")}
{_brings("p", "a", "-", "k")}
DELETE r
""",
        # whoever came another way, too, had it by the first of those that are left
        f"""
UNWIND $rows AS row
MATCH (k:Copy{copy})
WHERE k.ended = row.id
MATCH (l:Lead)<-[:IS]-(b:User)-[:HOLDS]->(k)
MATCH (b)<-[g:FORWARDED {{card: row.card}}]-(a:User)
WITH k, g, a, l, row ORDER BY g.time, g.id LIMIT 1
MATCH (p:Copy {{id: k.card + ' ' + a.id}})
MATCH (v:Level {{id: k.card + ' ' + toString(g.depth)}})
CREATE (k)-[:FROM]->(p)
SET k.by = g.id, k.source = a.id, k.depth = g.depth, k.channel = g.channel, k.at = row.moment, k.ended = null,
    k.lead = row.card + ' ' + l.stage, v.people = v.people + 1
SET {_shelved("k")}
{_brings("p", "a", "+", "k")}
""",
    )


def _forgotten(copy: LiteralString) -> tuple[LiteralString, ...]:
    """Whoever declined and has no card any more is nobody's lead."""
    nothing = f"""
UNWIND $rows AS row
MATCH (e:Copy{copy})
WHERE e.ended = row.id
MATCH (e)<-[:HOLDS]-(u:User)
MATCH (u)-[:HOLDS]->(k:Copy)
WITH u, count(k.by) AS held WHERE held = 0
"""
    return (
        f"{nothing} MATCH (u)-[q:ASKED]->(:Interest) DELETE q",
        f"{nothing} MATCH (u)-[:IS]->(l:Lead) DETACH DELETE l",
    )


def _left(copy: LiteralString) -> tuple[LiteralString, ...]:
    found = f"UNWIND $rows AS row MATCH (k:Copy{copy}) WHERE k.ended = row.id"
    return f"{found} AND k.brought = 0 DETACH DELETE k", f"{found} SET k.ended = null"


# the ways of cards stay, of somebody whom nobody knows
_ERASED: tuple[LiteralString, ...] = (
    "UNWIND $rows AS row MATCH (:User {id: row.person})-[q:ASKED]->(:Interest) DELETE q",
    "UNWIND $rows AS row MATCH (:User {id: row.person})-[:HOLDS]->(k:Copy) SET k.lead = null",
    "UNWIND $rows AS row MATCH (l:Lead {id: row.person}) DETACH DELETE l",
)

_ASKED: LiteralString = """
UNWIND $rows AS row
MERGE (i:Interest {id: row.topic})
MERGE (u:User {id: row.person})
MERGE (u)-[q:ASKED {id: row.id}]->(i)
SET q.topic = row.topic, q.product = row.product, q.time = row.at
"""

_STAGES: tuple[LiteralString, ...] = (
    """
UNWIND $rows AS row
MERGE (u:User {id: row.person})
MERGE (l:Lead {id: row.person})
MERGE (u)-[:IS]->(l)
SET l.stage = row.stage, l.since = row.at
""",
    """
UNWIND $rows AS row
MATCH (u:User {id: row.person})-[:HOLDS]->(k:Copy)
WHERE k.depth > 0
SET k.lead = k.card + ' ' + row.stage
""",
)


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
            return [(_MADE, {"rows": [_card(e, who(e.data["person"])) for e in events]})]
        case "card.forwarded":
            rows = [_forward(e, who(e.data["sharer"]), who(e.data["opener"])) for e in events]
            # who was two persons then may be one by now
            rows = [row for row in rows if row["sharer"] != row["opener"]]
            first: dict[str, Row] = {}
            for row in rows:
                first.setdefault(row["copy"], row)
            return [(_FORWARDED, {"rows": rows}), (_FIRST, {"rows": list(first.values())})]
        case "card.converted":
            rows = [_conversion(e, who(e.data["person"])) for e in events]
            return [(statement, {"rows": rows}) for statement in _CONVERTED]
        case "card.conversion_reversed":
            rows = [
                {"id": e.data["conversion_id"], "card": e.subject.removeprefix("card:")}
                for e in events
                if e.data["share_bps"] >= WHOLE
            ]
            return [(statement, {"rows": rows}) for statement in _REVERSED]
        case "card.forward_ended":
            rows = [_end(e, who(e.data.get("opener", ""))) for e in events]
            declined = any(e.data["reason"] == "declined" for e in events)
            return [(statement, {"rows": rows}) for statement in _ending(rows, declined)]
        case "lead.asked":
            return [(_ASKED, {"rows": [_question(e, who(e.data["person"])) for e in events]})]
        case "lead.stage_moved":
            rows = [{"person": who(e.data["person"]), "stage": e.data["stage"], "at": e.at} for e in events]
            return [(statement, {"rows": rows}) for statement in _STAGES]
        case "customer_erased":
            rows = [{"person": who(person)} for e in events for person in e.data["persons"]]
            return [(statement, {"rows": rows}) for statement in _ERASED]
    raise AssertionError(kind)


def _ending(rows: Sequence[Row], declined: bool) -> tuple[LiteralString, ...]:
    known = all(row["opener"] for row in rows)
    copy: LiteralString = " {id: row.copy}" if known else ""
    forgotten = _forgotten(copy) if declined else ()
    return (_OPENED_BY if known else _OPENED, *_ended(copy), *forgotten, *_left(copy))


def moment(at: datetime) -> int:
    """Microseconds: both servers reckon with these, and each has its own way with times."""
    return round(at.timestamp() * 1_000_000)


def copy_of(card: str, person: str) -> str:
    return f"{card} {person}"


def _card(event: Happened, owner: str) -> Row:
    card = event.data["card_id"]
    return {"card": card, "owner": owner, "copy": copy_of(card, owner), "at": event.at, "moment": moment(event.at)}


def _forward(event: Happened, sharer: str, opener: str) -> Row:
    told, card, depth = event.data, event.data["card_id"], event.data["depth"]
    named = {"id": told["forward_id"], "card": card, "sharer": sharer, "opener": opener}
    nodes = {"shared": copy_of(card, sharer), "copy": copy_of(card, opener), "level": f"{card} {depth}"}
    return named | nodes | {"channel": told["channel"], "depth": depth, "at": event.at, "moment": moment(event.at)}


def _end(event: Happened, opener: str) -> Row:
    told = event.data
    card = told["card_id"]
    named = {"id": told["forward_id"], "card": card, "opener": opener, "copy": copy_of(card, opener)}
    return named | {"moment": moment(event.at)}


def _conversion(event: Happened, person: str) -> Row:
    told = event.data
    named = {"id": told["conversion_id"], "card": told["card_id"], "person": person, "order": told["order_id"]}
    named["copy"] = copy_of(told["card_id"], person)
    return named | {"cents": told["paid_cents"], "depth": told["depth"], "channel": told["channel"], "at": event.at}


def _question(event: Happened, person: str) -> Row:
    told = event.data
    asked = {"topic": told["topic"], "product": told.get("product_id"), "at": event.at}
    return {"id": told["question_id"], "person": person} | asked


# ---- two persons who are one ----

_GIVEN: LiteralString = """
MATCH (o:User {id: $old})-[f:FORWARDED]->(b:User)
WHERE b.id <> $new
MATCH (n:User {id: $new})
MERGE (b)<-[m:FORWARDED {id: f.id}]-(n)
ON CREATE SET m.card = f.card, m.channel = f.channel, m.depth = f.depth, m.time = f.time
"""

_GOT: LiteralString = """
MATCH (o:User {id: $old})<-[f:FORWARDED]-(a:User)
WHERE a.id <> $new
MATCH (n:User {id: $new})
MERGE (n)<-[m:FORWARDED {id: f.id}]-(a)
ON CREATE SET m.card = f.card, m.channel = f.channel, m.depth = f.depth, m.time = f.time
"""

_BOTH: LiteralString = """
MATCH (o:User {id: $old})-[:HOLDS]->(k:Copy)
MATCH (n:User {id: $new})
MERGE (m:Copy {id: k.card + ' ' + $new})
ON CREATE SET m.card = k.card, m.person = $new, m.brought = 0, m.bought = 0, m.orders = 0
MERGE (m)<-[:HOLDS]-(n)
"""


def _given_up(copy: LiteralString, when: LiteralString) -> LiteralString:
    """Of the two copies of a card the one that came later."""
    gone = _GONE.replace("k.", f"{copy}.")
    return f"""
MATCH (o:User {{id: $old}})-[:HOLDS]->(k:Copy)
WHERE k.by IS NOT NULL
MATCH (m:Copy {{id: k.card + ' ' + $new}})
WHERE m.by IS NOT NULL AND {when}
MATCH ({copy})-[r:FROM]->(p:Copy)<-[:HOLDS]-(a:User)
MATCH (v:Level {{id: {copy}.card + ' ' + toString({copy}.depth)}})
SET v.people = v.people - 1, {gone}
{_brings("p", "a", "-", copy)}
DELETE r
"""


# what went between the two leads nowhere; what led to the one leads to the other
_COPIES: tuple[LiteralString, ...] = (
    _BOTH,
    _given_up("k", "m.at <= k.at"),
    _given_up("m", "k.at < m.at"),
    """
MATCH (o:User {id: $old})-[:HOLDS]->(k:Copy)-[r:FROM]->(p:Copy)
MATCH (m:Copy {id: k.card + ' ' + $new})
WHERE p.id = m.id
SET m.brought = m.brought - 1, m.bought = m.bought - k.orders
DELETE r
""",
    """
MATCH (o:User {id: $old})-[:HOLDS]->(k:Copy)-[r:FROM]->(p:Copy)
MATCH (m:Copy {id: k.card + ' ' + $new})
CREATE (m)-[:FROM]->(p)
SET p.bought = p.bought + m.orders, k.moved = true
DELETE r
""",
    """
MATCH (o:User {id: $old})-[:HOLDS]->(k:Copy)
WHERE k.by IS NOT NULL
MATCH (m:Copy {id: k.card + ' ' + $new})
WHERE m.by IS NULL
SET m.by = k.by, m.source = k.source, m.depth = k.depth, m.channel = k.channel, m.at = k.at, m.waited = k.waited
""",
    """
MATCH (o:User {id: $old})-[:HOLDS]->(k:Copy)<-[r:FROM]-(x:Copy)
MATCH (m:Copy {id: k.card + ' ' + $new})
CREATE (x)-[:FROM]->(m)
SET x.source = $new, m.brought = m.brought + 1, m.bought = m.bought + x.orders
DELETE r
""",
    """
MATCH (o:User {id: $old})-[:HOLDS]->(k:Copy)
WHERE k.moved IS NULL
MATCH (m:Copy {id: k.card + ' ' + $new})-[:FROM]->(p:Copy)
SET p.bought = p.bought + k.orders
""",
    """
MATCH (o:User {id: $old})-[:HOLDS]->(k:Copy)
MATCH (m:Copy {id: k.card + ' ' + $new})
SET m.orders = m.orders + k.orders
DETACH DELETE k
""",
    f"MATCH (n:User {{id: $new}})-[:HOLDS]->(m:Copy) SET {_shelved('m')}",
    f"""
MATCH (n:User {{id: $new}})-[:HOLDS]->(m:Copy)
WITH n, sum(CASE WHEN m.depth = 0 THEN 0 ELSE m.brought END) AS brought
SET n.brought = brought
SET {_ranked("n")}
""",
)

# whoever made the card did not get it from anybody
_NOT_OWN: LiteralString = (
    "MATCH (:User)-[f:FORWARDED]->(n:User {id: $new})-[:OWNS]->(c:Card) WHERE c.id = f.card DELETE f"
)

_ORDERS: LiteralString = """
MATCH (o:User {id: $old})-[v:CONVERTED]->(c:Card)
MATCH (n:User {id: $new})
MERGE (n)-[m:CONVERTED {id: v.id}]->(c)
ON CREATE SET m.order = v.order, m.cents = v.cents, m.depth = v.depth, m.channel = v.channel, m.date = v.date,
              m.counted = v.counted
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

_STAGE_OF_COPIES: LiteralString = """
MATCH (l:Lead)<-[:IS]-(n:User {id: $new})-[:HOLDS]->(k:Copy)
WHERE k.depth > 0
SET k.lead = k.card + ' ' + l.stage
"""

_CARDS_MADE: LiteralString = """
MATCH (:User {id: $old})-[:OWNS]->(c:Card)
MATCH (n:User {id: $new})
MERGE (s:Sales {id: $new})
MERGE (n)-[:IS]->(s)
MERGE (n)-[:OWNS]->(c)
SET c.owner = $new
"""


def become_one(old: str, new: str) -> list[Statement]:
    """Everything of ``old`` is ``new``'s, each card from whom they had it first; what went between the two is gone."""
    both = {"old": old, "new": new}
    moved = (_GIVEN, _GOT, _CARDS_MADE, _NOT_OWN, *_COPIES, _ORDERS, _QUESTIONS, _STAGE, _STAGE_OF_COPIES)
    return [
        (_PERSONS, {"persons": [old, new]}),
        *((statement, both) for statement in moved),
        ("MATCH (o:User {id: $old}) DETACH DELETE o", both),
        ("MATCH (l:Lead {id: $old}) DETACH DELETE l", both),
        ("MATCH (s:Sales {id: $old}) DETACH DELETE s", both),
        ("MATCH (a:Alias {person: $old}) SET a.person = $new", both),
        ("MERGE (a:Alias {id: $old}) SET a.person = $new", both),
    ]
