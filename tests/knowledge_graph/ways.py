"""Ways of cards to try things on, as the mall's events tell them: one letter is a person."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from random import Random
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


def ended(card: str, forward_id: int, opener: str | None = None) -> Happened:
    """Without ``opener`` as the mall told it once."""
    told = {"forward_id": forward_id, "card_id": card, "reason": "declined"} | ({"opener": opener} if opener else {})
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


@dataclass
class Counted:
    """The same ways, counted plainly over all forwards: what either graph has to tell."""

    owners: dict[str, str] = field(default_factory=dict)
    forwards: dict[int, tuple[str, str, str, int, datetime]] = field(default_factory=dict)
    held: dict[tuple[str, str], tuple[int, str, int, datetime]] = field(default_factory=dict)
    orders: dict[int, tuple[str, str]] = field(default_factory=dict)

    def take(self, one: Happened) -> None:
        told = one.data
        match one.kind:
            case "card.made":
                self.owners[told["card_id"]] = told["person"]
            case "card.forwarded":
                card, opener = told["card_id"], told["opener"]
                self.forwards[told["forward_id"]] = card, told["sharer"], opener, told["depth"], one.at
                first = told["forward_id"], told["sharer"], told["depth"], one.at
                self.held.setdefault((card, opener), first)
            case "card.forward_ended":
                card, _, opener, _, _ = self.forwards.pop(told["forward_id"])
                if self.held[card, opener][0] == told["forward_id"]:
                    del self.held[card, opener]
                    others = sorted(
                        (at, id) for id, (c, _, o, _, at) in self.forwards.items() if (c, o) == (card, opener)
                    )
                    for _, id in others[:1]:
                        _, sharer, _, depth, at = self.forwards[id]
                        self.held[card, opener] = id, sharer, depth, at
            case "card.person_bound":
                self._become(told["account"], told["customer"])
            case "card.converted":
                self.orders[told["conversion_id"]] = told["card_id"], told["person"]
            case "card.conversion_reversed":
                del self.orders[told["conversion_id"]]

    def _become(self, old: str, new: str) -> None:
        def who(person: str) -> str:
            return new if person == old else person

        moved = {id: (card, who(a), who(b), *rest) for id, (card, a, b, *rest) in self.forwards.items()}
        self.forwards = {id: one for id, one in moved.items() if one[1] != one[2]}  # type: ignore[misc]
        held = sorted(self.held.items(), key=lambda item: item[1][3])
        self.held = {}
        for (card, person), (by, source, depth, at) in held:
            if self.owners[card] != who(person):
                self.held.setdefault((card, who(person)), (by, who(source), depth, at))
        self.orders = {id: (card, who(person)) for id, (card, person) in self.orders.items()}

    def chain(self, card: str, person: str) -> list[str]:
        way = [person]
        while way[-1] != self.owners[card]:
            if (copy := self.held.get((card, way[-1]))) is None:
                return []
            way.append(copy[1])
        return way[::-1]

    def levels(self, card: str) -> tuple[int, ...]:
        depths = [depth for (c, _), (_, _, depth, _) in self.held.items() if c == card]
        return tuple(depths.count(level) for level in range(1, max(depths, default=0) + 1))

    def carriers(self, *cards: str) -> list[tuple[str, int, int]]:
        found: dict[str, tuple[int, int]] = {}
        for (card, person), (_, source, _, _) in self.held.items():
            if card in cards and source != self.owners[card]:
                brought, sold = found.get(source, (0, 0))
                mine = sum(one == (card, person) for one in self.orders.values())
                found[source] = brought + 1, sold + mine
        return sorted(((who, *both) for who, both in found.items()), key=lambda one: (-one[1], one[0]))


def lives(seed: int, number: int = 120) -> Iterator[Happened]:
    """Two cards among thirty accounts: forwards, and now and then one who declines, buys, returns it, or is bound."""
    chance, known = Random(seed), Counted()  # noqa: S311
    people, ids = [f"p{place}" for place in range(30)], count(1)
    for card in ("K", "L"):
        yield made(card, f"owner{card}")
        known.take(made(card, f"owner{card}"))
    for step in range(number):
        card, at = chance.choice("KL"), NOON + timedelta(minutes=step + 1)
        holders = [person for c, person in known.held if c == card]
        event, dice = None, chance.random()
        if dice < 0.75 or not holders:
            sharer, opener = chance.choice([f"owner{card}", *holders]), chance.choice(people)
            here, there = known.held.get((card, sharer)), known.held.get((card, opener))
            if opener == sharer or (there and here and there[3] <= here[3]):
                continue
            depth = here[2] + 1 if here else 1
            told: dict[str, Any] = {"forward_id": next(ids), "card_id": card, "sharer": sharer, "opener": opener}
            told |= {"channel": "web", "depth": depth, "new_person": True, "signals": {}}
            event = Happened("card.forwarded", f"card:{card}", at, told)
        elif dice < 0.82:
            id, (card, _, opener, _, _) = chance.choice(list(known.forwards.items()))
            event = ended(card, id, opener if chance.random() < 0.5 else None)
        elif dice < 0.88:
            event = bought(card, chance.choice(holders), step + 1, f"ORD{step}", 1)
        elif dice < 0.92 and known.orders:
            id, (card, _) = chance.choice(list(known.orders.items()))
            event = returned(card, id, "ORD", 10000)
        elif dice < 0.97:
            new = chance.choice([f"customer{step}", *people, f"owner{card}"])
            old = chance.choice([person for person in people if person != new])
            people.remove(old)
            people += [new] if new.startswith("customer") else []
            event = bound(old, new)
        if event is not None:
            known.take(event)
            yield event
