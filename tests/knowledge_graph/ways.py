"""Ways of cards to try things on, as the mall's events tell them: one letter is a person."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

from knowledge_graph.propagation.events import Happened

NOON = datetime(2026, 3, 11, 4, 0, tzinfo=UTC)


def made(card: str, owner: str) -> Happened:
    told = {"card_id": card, "owner": f"P-{owner}", "person": owner}
    return Happened("card.made", f"card:{card}", NOON, told)


def forwarded(card: str, *pairs: str | tuple[str, str], first_id: int = 1, channel: str = "web") -> list[Happened]:
    """ "OA" is an opening of A's through O's link, ten minutes after the one before; O's people are of level 1."""
    depths: dict[str, int] = {}
    found = []
    for number, pair in enumerate(pairs, first_id):
        sharer, opener = pair[0], pair[1]
        depth = depths.get(sharer, 0) + 1
        depths.setdefault(opener, depth)
        told: dict[str, Any] = {"forward_id": number, "card_id": card, "sharer": sharer, "opener": opener}
        told |= {"channel": channel, "depth": depth, "new_person": True, "signals": {}}
        found.append(Happened("card.forwarded", f"card:{card}", NOON + timedelta(minutes=10 * number), told))
    return found


def ended(card: str, forward_id: int) -> Happened:
    told = {"forward_id": forward_id, "card_id": card, "reason": "declined"}
    return Happened("card.forward_ended", f"card:{card}", NOON + timedelta(days=1), told)


def bound(account: str, customer: str) -> Happened:
    told = {"account": account, "customer": customer}
    return Happened("card.person_bound", "principal:P-1", NOON + timedelta(days=1), told)


def bought(card: str, person: str, conversion_id: int, order: str, depth: int, cents: int = 10000) -> Happened:
    told: dict[str, Any] = {"conversion_id": conversion_id, "card_id": card, "forward_id": 1, "person": person}
    told |= {"order_id": order, "paid_cents": cents, "channel": "web", "depth": depth, "first_order": True}
    return Happened("card.converted", f"card:{card}", NOON + timedelta(days=2), told)


def returned(card: str, conversion_id: int, order: str, share_bps: int) -> Happened:
    told = {"conversion_id": conversion_id, "order_id": order, "share_bps": share_bps}
    return Happened("card.conversion_reversed", f"card:{card}", NOON + timedelta(days=3), told)


def asked(person: str, topic: str, number: int, product: str | None = None) -> Happened:
    told = {"question_id": number, "person": person, "topic": topic} | ({"product_id": product} if product else {})
    return Happened("lead.asked", f"lead:{person}", NOON + timedelta(hours=number), told)


def moved(person: str, stage: str) -> Happened:
    told = {"person": person, "owner": "O", "stage": stage}
    return Happened("lead.stage_moved", f"lead:{person}", NOON + timedelta(days=1), told)


def stored(happened: Sequence[Happened]) -> Iterator[dict[str, Any]]:
    """As rows of the table of events."""
    for number, each in zip(count(1), happened, strict=False):
        row = {"id": number, "kind": each.kind, "subject": each.subject, "at": each.at, "role": "service"}
        yield row | {"data": dict(each.data)}
