"""Brings the answers of the shop into the graph, and only what has changed in them; reads them back."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import LiteralString

from knowledge_graph.client import Graph, Row, Statement
from knowledge_graph.entries import Content, Entry, Fact, told
from knowledge_graph.files import TARGETS

SECONDS = 60.0

STORED = ("id", "kind", "topic", "title", "answer", "valid_from", "valid_until", "context", "file")


@dataclass(frozen=True, slots=True)
class Loaded:
    """Of entries: what a load did. ``unlinked`` are names of goods that the catalogue does not have, ``kept`` are
    answers of files that cannot be read now."""

    written: int
    unchanged: int
    deleted: int
    unlinked: tuple[str, ...] = ()
    kept: int = 0


@dataclass(frozen=True, slots=True)
class Answer:
    """An entry as it is told: with its facts in their places."""

    id: str
    kind: str
    topic: str
    title: str
    text: str
    ask: tuple[str, ...]
    valid_from: date | None
    valid_until: date | None
    context: str | None = None  # "order", "ticket", "freight", "return", "paid" or "delivered": see entries.CONTEXT
    days: int | None = None  # of "paid" and "delivered"
    reason: str | None = None  # of "return"
    facts: Mapping[str, Fact] = field(default_factory=dict, compare=False)  # that the text mentions

    def holds_on(self, day: date) -> bool:
        return (self.valid_from or day) <= day <= (self.valid_until or day)


async def load(graph: Graph, content: Content) -> Loaded:
    """The graph's answers become these. Load the catalogue first: answers are linked to its goods.

    What the graph knows from a file that is broken now stays until the file is mended or removed.
    """
    rows = await graph.read(
        "MATCH (n:Faq|Policy) RETURN n.id AS id, labels(n)[0] AS label, n.version AS version, n.file AS file"
    )
    known = {(row["label"].lower(), row["id"]): row for row in rows}
    wanted = {(entry.kind, entry.id): entry for entry in content.entries}
    changed = [entry for key, entry in wanted.items() if key not in known or known[key]["version"] != entry.version]
    ids = {entry.id for entry in content.entries}  # an answer must not stand twice, as faq and as policy
    missing = known.keys() - wanted.keys()
    kept = {key for key in missing if key[1] not in ids and _is_kept(known[key]["file"], content.kept)}
    gone = sorted(missing - kept)
    await graph.write_all([*_deletions(gone), *_statements(changed), (_UNUSED_TOPICS, {})], within=SECONDS)
    unlinked = await _link(graph, content.entries)
    return Loaded(len(changed), len(wanted) - len(changed), len(gone), tuple(unlinked), len(kept))


def _is_kept(file: str | None, kept: Collection[str]) -> bool:
    """Those from before files were noted are kept while any file is."""
    return file.startswith(tuple(kept)) if file else bool(kept)


async def answers(graph: Graph) -> list[Answer]:
    """All of them, whatever the day is; see :meth:`Answer.holds_on`."""
    return [_answer(row) for row in await graph.read(_ANSWERS, within=SECONDS)]


async def answer(graph: Graph, entry_id: str) -> Answer | None:
    rows = await graph.read("MATCH (n:Faq|Policy {id: $id})" + _RETURN, id=entry_id)
    return _answer(rows[0]) if rows else None


async def versions(graph: Graph) -> dict[str, str]:
    """Of all answers, by their ids: another one as soon as anything is different."""
    rows = await graph.read("MATCH (n:Faq|Policy) RETURN n.id AS id, n.version AS version")
    return {row["id"]: row["version"] for row in rows}


async def applying_to(graph: Graph, product_id: str) -> list[Answer]:
    """What holds for this product, its category, its brand or its supplier in particular."""
    return [_answer(row) for row in await graph.read(_APPLYING, id=product_id)]


_RETURN: LiteralString = """
RETURN DISTINCT n.id AS id, labels(n)[0] AS label, n.topic AS topic, n.title AS title, n.answer AS answer,
       n.facts AS facts, n.ask AS ask, n.valid_from AS valid_from, n.valid_until AS valid_until,
       n.context AS context
ORDER BY id
"""
_ANSWERS: LiteralString = "MATCH (n:Faq|Policy)" + _RETURN
_APPLYING: LiteralString = (
    """
MATCH (p:Product {id: $id})
OPTIONAL MATCH (p)-[:IN_CATEGORY|OF_BRAND|SUPPLIED_BY]->(above)
WITH p, collect(above) AS all_above
UNWIND all_above + [p] AS target
MATCH (n:Faq|Policy)-[:APPLIES_TO]->(target)
"""
    + _RETURN
)


def _answer(row: Row) -> Answer:
    facts = json.loads(row["facts"])
    context, _, more = (row["context"] or "").partition(" + ")
    return Answer(
        id=row["id"],
        kind=row["label"].lower(),
        topic=row["topic"],
        title=row["title"],
        text=told(row["answer"], facts),
        ask=tuple(row["ask"]),
        valid_from=row["valid_from"],
        valid_until=row["valid_until"],
        context=context or None,
        days=facts[more] if context in ("paid", "delivered") else None,
        reason=more if context == "return" else None,
        facts=facts,
    )


# --- writing ---------------------------------------------------------------------------------------------------------

_UNUSED_TOPICS: LiteralString = "MATCH (t:Topic) WHERE NOT (t)<-[:ABOUT]-() DETACH DELETE t"

_DELETE: dict[str, LiteralString] = {
    "faq": "UNWIND $ids AS id MATCH (n:Faq {id: id}) DETACH DELETE n",
    "policy": "UNWIND $ids AS id MATCH (n:Policy {id: id}) DETACH DELETE n",
}

_SET: LiteralString = """
SET n.topic = row.topic, n.title = row.title, n.answer = row.answer, n.facts = row.facts, n.ask = row.ask,
    n.valid_from = row.valid_from, n.valid_until = row.valid_until, n.context = row.context, n.file = row.file,
    n.version = row.version
"""
_WRITE: dict[str, LiteralString] = {
    "faq": "UNWIND $rows AS row MERGE (n:Faq {id: row.id})" + _SET,
    "policy": "UNWIND $rows AS row MERGE (n:Policy {id: row.id})" + _SET,
}

_ABOUT: tuple[LiteralString, ...] = (
    "UNWIND $rows AS row MATCH (:Faq|Policy {id: row.id})-[old:ABOUT|APPLIES_TO]->() DELETE old",
    "UNWIND $rows AS row MERGE (:Topic {id: row.topic})",
    "UNWIND $rows AS row MATCH (n:Faq|Policy {id: row.id}), (t:Topic {id: row.topic}) CREATE (n)-[:ABOUT]->(t)",
)

_LINK: LiteralString = """
MATCH (n:Faq|Policy {id: row.id}) MERGE (n)-[:APPLIES_TO]->(t) RETURN row.id AS id, t.name AS name
"""
_LINKS: dict[str, LiteralString] = {
    "categories": "UNWIND $rows AS row MATCH (t:Category {id: row.name})" + _LINK,
    "products": "UNWIND $rows AS row MATCH (t:Product {name: row.name})" + _LINK,
    "brands": "UNWIND $rows AS row MATCH (t:Brand {id: row.name})" + _LINK,
    "suppliers": "UNWIND $rows AS row MATCH (t:Supplier {name: row.name})" + _LINK,
}


def _deletions(keys: Sequence[tuple[str, str]]) -> list[Statement]:
    return [(query, {"ids": [key for of, key in keys if of == kind]}) for kind, query in _DELETE.items()]


def _statements(entries: Sequence[Entry]) -> list[Statement]:
    rows = [
        {name: getattr(entry, name) for name in STORED}
        | {"ask": list(entry.ask), "facts": json.dumps(entry.facts, ensure_ascii=False), "version": entry.version}
        for entry in entries
    ]
    written: list[Statement] = [
        (query, {"rows": [row for row in rows if row["kind"] == kind]}) for kind, query in _WRITE.items()
    ]
    return written + [(query, {"rows": rows}) for query in _ABOUT]


async def _link(graph: Graph, entries: Sequence[Entry]) -> list[str]:
    """Links entries to goods, also those that have only now come into the catalogue; returns what was not found."""
    unlinked = []
    for target in TARGETS:
        rows = [{"id": entry.id, "name": name} for entry in entries for name in getattr(entry, target)]
        done = {(row["id"], row["name"]) for row in await graph.write(_LINKS[target], within=SECONDS, rows=rows)}
        unlinked += [f"{row['id']} → {row['name']}" for row in rows if (row["id"], row["name"]) not in done]
    return unlinked
