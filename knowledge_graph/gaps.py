"""What customers asked and the graph could not answer, counted for trainers.

The words are a customer's: they are sealed, and found again by a blind index.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from base64 import b64decode, b64encode
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

import encoder
from knowledge_graph.client import Graph, Row
from knowledge_graph.text import cut
from privacy import KeyRing, KeyRingError, TamperedError, current_ring
from privacy.cipher import seal, unseal, version_of
from privacy.columns import blind_index, place_of
from privacy.conversations import conversation_of

log = logging.getLogger(__name__)

PLACE = "gap.text"
"""With the node's id it names where a question belongs: under another node it does not open."""

DAMAGED = "（这个问题无法解密）"
"""Shown in place of a question that was changed or moved."""

ALIKE = 0.6
"""Similarity from which two questions are one need."""

CLUSTERED = 1000
"""The most asked; those that were asked once long ago do not matter."""


KEPT = 50
"""Conversations that are kept of one question."""

_KNOWN = "coalesce(n.conversations, [])"
_WITH_THESE = f"({_KNOWN} + [each IN $conversations WHERE NOT each IN {_KNOWN}])[..$most]"
_TOLD = (
    "RETURN n.id AS id, n.text AS text, n.topic AS topic, n.count AS count, n.last_asked AS last_asked, "
    "coalesce(n.conversations, []) AS conversations ORDER BY count DESC, last_asked DESC"
)


@dataclass(frozen=True, slots=True)
class Gap:
    text: str  # as it was asked the first time
    topic: str | None
    count: int
    last_asked: datetime
    conversations: tuple[str, ...] = ()  # keyed hashes of those in which it was asked, the first of them first


async def record(
    graph: Graph, text: str, topic: str | None, now: datetime | None = None, *, sender: str | None = None
) -> None:
    """Counts the question; with other punctuation, spaces or case it is the same one. The words are those of the
    ``sender`` who asked it first."""
    ring = current_ring()
    key = _key(text)
    await graph.write(
        "MERGE (n:Gap {id: $id}) ON CREATE SET n.text = $text, n.count = 0, n.layers = $layers "
        "SET n.count = n.count + 1, n.topic = $topic, n.last_asked = $now, "
        f"n.conversations = {_WITH_THESE}",
        id=key,
        text=_seal(ring, text, key),
        layers=len(ring.index_keys),
        topic=topic,
        now=now or datetime.now(UTC),
        conversations=[] if sender is None else [conversation_of(ring, sender)],
        most=KEPT,
    )


async def most_asked(graph: Graph, limit: int = 50) -> list[Gap]:
    return _read(await graph.read(f"MATCH (n:Gap) {_TOLD} LIMIT $limit", limit=limit))


async def asked_in(graph: Graph, conversations: Sequence[str]) -> list[Gap]:
    """Those that were asked in any of these conversations (``privacy.conversations.conversation_of``)."""
    theirs = "MATCH (n:Gap) WHERE any(each IN coalesce(n.conversations, []) WHERE each IN $conversations)"
    return _read(await graph.read(f"{theirs} {_TOLD}", conversations=list(conversations)))


def _read(rows: Sequence[Row]) -> list[Gap]:
    ring = current_ring()
    return [
        Gap(
            _shown(ring, row["text"], row["id"]),
            row["topic"],
            row["count"],
            row["last_asked"],
            tuple(row["conversations"]),
        )
        for row in rows
    ]


# ---- when keys change ----


async def usage(graph: Graph) -> Counter[int]:
    """Of each version of the key the questions that are sealed with it."""
    return Counter([version_of(b64decode(row["text"])) for row in await _all(graph)])


async def reseal(graph: Graph, ring: KeyRing) -> int:
    """Seals with the active key what is sealed with another; how many questions that were."""
    number = 0
    for row in await _all(graph):
        sealed = b64decode(row["text"])
        if version_of(sealed) != ring.active:
            try:
                text = unseal(ring, sealed, place_of(PLACE, [row["id"]])).decode()
            except (TamperedError, KeyRingError):
                continue
            number += await _replace(graph, row, _seal(ring, text, row["id"]))
    return number


async def bind(graph: Graph) -> None:
    """Binds to its node what was sealed for every node alike."""
    for row in await _all(graph):
        ring = current_ring()
        with contextlib.suppress(TamperedError):  # it is bound already, or damaged
            text = unseal(ring, b64decode(row["text"]), PLACE.encode()).decode()
            await _replace(graph, row, _seal(ring, text, row["id"]))


async def follow_index(graph: Graph, ring: KeyRing) -> int:
    """Brings the ids of all questions to today's index keys; how many that were."""
    layers = len(ring.index_keys)
    behind = (
        "MATCH (n:Gap) WHERE coalesce(n.layers, 1) < $layers "
        "RETURN n.id AS id, n.text AS text, coalesce(n.layers, 1) AS layers, "
        "coalesce(n.conversations, []) AS conversations"
    )
    rows = await graph.read(behind, layers=layers) if layers > 1 else []
    for row in rows:
        new = ring.lift(row["id"], row["layers"])
        text = row["text"]
        with contextlib.suppress(TamperedError, KeyRingError):
            text = _seal(ring, unseal(ring, b64decode(text), place_of(PLACE, [row["id"]])).decode(), new)
        # asked again meanwhile, it has a node of its own by now, which takes over the count
        await graph.write(
            "MATCH (old:Gap {id: $id}) MERGE (n:Gap {id: $new}) "
            "ON CREATE SET n.text = $text, n.count = 0, n.topic = old.topic, n.last_asked = old.last_asked "
            f"SET n.count = n.count + old.count, n.layers = $layers, n.conversations = {_WITH_THESE} DELETE old",
            id=row["id"],
            new=new,
            text=text,
            layers=layers,
            conversations=[ring.lift(each, row["layers"]) for each in row["conversations"]],
            most=KEPT,
        )
    return len(rows)


async def _all(graph: Graph) -> list[Row]:
    return await graph.read("MATCH (n:Gap) RETURN n.id AS id, n.text AS text")


async def _replace(graph: Graph, row: Row, text: str) -> int:
    replace = "MATCH (n:Gap {id: $id}) WHERE n.text = $old SET n.text = $text RETURN n.id AS id"
    return len(await graph.write(replace, id=row["id"], old=row["text"], text=text))


def _key(text: str) -> str:
    return blind_index("".join(character for character in text if character.isalnum()) or text, "gap")


def _seal(ring: KeyRing, text: str, key: str) -> str:
    return b64encode(seal(ring, text.encode(), place_of(PLACE, [key]))).decode()


def _shown(ring: KeyRing, stored: str, key: str) -> str:
    try:
        return unseal(ring, b64decode(stored), place_of(PLACE, [key])).decode()
    except (TamperedError, KeyRingError, ValueError) as error:  # ValueError: not even base64
        log.error("question %s does not open: %s", key, error)
        return DAMAGED


@dataclass(frozen=True, slots=True)
class Cluster:
    """Questions that ask for the same, the most asked first."""

    texts: tuple[str, ...]
    topic: str | None
    count: int
    last_asked: datetime
    conversations: tuple[str, ...] = ()


async def clusters(graph: Graph, limit: int = 50) -> list[Cluster]:
    """The most asked first. Each question joins the first more often asked one that it is like."""
    found = await most_asked(graph, CLUSTERED)
    return (await asyncio.to_thread(_cluster, found))[:limit]


def _cluster(found: Sequence[Gap]) -> list[Cluster]:
    vectors = _vectors([gap.text for gap in found])
    alike = (vectors @ vectors.T >= ALIKE).tolist()
    groups: list[list[int]] = []
    for place in range(len(found)):
        if (group := next((group for group in groups if alike[place][group[0]]), None)) is None:
            groups.append([place])
        else:
            group.append(place)
    clustered = [
        Cluster(
            tuple(found[place].text for place in group),
            found[group[0]].topic,
            sum(found[place].count for place in group),
            max(found[place].last_asked for place in group),
            tuple(dict.fromkeys(each for place in group for each in found[place].conversations))[:KEPT],
        )
        for group in groups
    ]
    return sorted(clustered, key=lambda one: (-one.count, -one.last_asked.timestamp()))


def _vectors(texts: Sequence[str]) -> NDArray[np.float32]:
    """By meaning; where there is no encoder, by their characters."""
    if (meaning := encoder.load()) is not None:
        return meaning.encode(texts)
    cuts = [set(cut(text)) for text in texts]
    columns = {token: place for place, token in enumerate(sorted(set().union(*cuts)))}
    vectors = np.zeros((len(texts), len(columns)), dtype=np.float32)
    for row, tokens in zip(vectors, cuts, strict=True):
        row[[columns[token] for token in tokens]] = 1 / max(1, len(tokens)) ** 0.5
    return vectors
