"""Honest sharing beside fraud of every kind, through the real ledger: ``python -m tests.bench.energy``.

The house sees of people what openings, bindings and orders show: channel, times, and hashes of device and network. The
honest share with friends of their own, some in one household or office, some by posting in a group; fraud is cheap: a
few devices and addresses, whatever patience. Told is what either earns (what can be spent or will be), and how much of
the honest is held.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from random import Random
from typing import Any

from sqlalchemy import func, insert, select
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

import settings
from mall_adapter.energy import energy_rules, read_on, release_due
from mall_adapter.models.energy import EnergyLot
from privacy import KeyRing
from storage import WRITES, EventRow, Role, create_engine, migrate

BEGIN = datetime(2026, 3, 1, 2, 0, tzinfo=UTC)
CARDS = 5
HONEST, GANGS = 400, 4
DAYS = 60


@dataclass
class Found:
    """Points that count by kind of people, and of the honest how many awards there were and were held."""

    earned: Counter[str] = field(default_factory=Counter)
    awards: int = 0
    held: int = 0
    reasons: Counter[str] = field(default_factory=Counter)

    @property
    def fraud(self) -> float:
        """What all fraud earns for each point of the honest."""
        return sum(points for kind, points in self.earned.items() if kind != "honest") / self.earned["honest"]

    @property
    def wrongly(self) -> float:
        """Honest awards that are held."""
        return self.held / self.awards


@dataclass(order=True)
class _Event:
    at: datetime
    number: int
    kind: str
    data: dict[str, Any] = field(compare=False)


class World:
    """Writes down what people do, in the order in which it happens. A person's name begins with their kind."""

    def __init__(self, seed: int, honest: int, gangs: int) -> None:
        self.rng = Random(seed)  # noqa: S311 (invents people, keeps no secret)
        self.events: list[_Event] = []
        self._numbers, self._people = count(1), count(1)
        self._signals: dict[str, dict[str, str]] = {}
        for _ in range(honest):
            self.honest()
        gang: Callable[[str], None]
        for number in range(gangs):
            for gang in (self.ring, self.farm, self.self_forwarder, self.replay, self.two_tabs, self.slow_drip):
                gang(f"fraud-{gang.__name__}-{number}")

    # ---- people

    def person(self, kind: str, device: str = "", address: str = "") -> str:
        """Somebody with a device and a network of their own, unless they share one."""
        number = next(self._people)
        name = f"account:{kind}:{number}"
        self._signals[name] = {"device": _hash(device or f"d{number}"), "address": _hash(address or f"a{number}")}
        return name

    def when(self, first: int = 0, last: int = DAYS) -> datetime:
        return BEGIN + timedelta(days=self.rng.uniform(first, last))

    # ---- what they do

    def tell(self, kind: str, at: datetime, **data: Any) -> None:
        self.events.append(_Event(at, next(self._numbers), kind, data | {"at": at.isoformat()}))

    def opens(self, sharer: str, opener: str, at: datetime, card: str, channel: str, *, new: bool = True) -> int:
        number = next(self._numbers)
        told = {"forward_id": number, "card_id": card, "sharer": sharer, "opener": opener, "channel": channel}
        self.tell("card.forwarded", at, **told, depth=1, new_person=new, signals=self._signals[opener])
        return number

    def binds(self, person: str, at: datetime) -> str:
        customer = f"customer:{person.removeprefix('account:')}"
        self._signals[customer] = self._signals[person]
        self.tell("card.person_bound", at, account=person, customer=customer)
        return customer

    def buys(self, person: str, at: datetime, card: str, channel: str) -> int:
        number = next(self._numbers)
        told = {"conversion_id": number, "card_id": card, "forward_id": 1, "person": person, "order_id": f"O{number}"}
        self.tell("card.converted", at, **told, paid_cents=9900, channel=channel, depth=1, first_order=True)
        return number

    def returns(self, conversion: int, at: datetime) -> None:
        self.tell("card.conversion_reversed", at, conversion_id=conversion, order_id="", share_bps=10_000)

    def came(self, person: str, card: str, at: datetime) -> None:
        """By the owner's own link."""
        self.opens("staff:owner", person, at, card, "web")

    def card(self) -> str:
        return f"CARD{self.rng.randrange(CARDS)}"

    # ---- the honest

    def honest(self) -> None:
        """Few friends mostly, sometimes many; one in thirty lives with who shared it, one in ten sits in one office."""
        card, channel = self.card(), self.rng.choice(["web", "telegram", "wechat"])
        office = f"office{self.rng.randrange(200)}"
        me = self.person("honest", address=office if self.rng.random() < 0.1 else "")
        began = self.when(0, DAYS - 20)
        self.came(me, card, began)
        friends = min(1 + int(self.rng.paretovariate(1.2)), 25)
        group = began + timedelta(hours=self.rng.uniform(0, 200)) if self.rng.random() < 0.1 else None
        for _ in range(friends):
            moment = group + timedelta(minutes=self.rng.expovariate(1 / 90)) if group else None
            at = moment or began + timedelta(hours=self.rng.uniform(1, 480))
            near = self.rng.random()
            address = self._signals[me]["address"] if near < 0.03 else office if near < 0.1 else ""
            self._friend(me, card, channel, at, address, on=0)

    def _friend(self, sharer: str, card: str, channel: str, at: datetime, address: str, on: int) -> None:
        friend = self.person("honest", address=address)
        if address == self._signals[sharer]["address"]:
            self._signals[friend]["address"] = address
        self.opens(sharer, friend, at, card, channel)
        if self.rng.random() < 0.15:
            later = at + timedelta(hours=self.rng.uniform(0.2, 72))
            member = self.binds(friend, later)
            if self.rng.random() < 0.5:
                bought = later + timedelta(hours=self.rng.uniform(0.2, 48))
                conversion = self.buys(member, bought, card, channel)
                if self.rng.random() < 0.1:
                    self.returns(conversion, bought + timedelta(days=5))
            friend = member
        if on < 2 and self.rng.random() < 0.15:
            for _ in range(self.rng.randrange(1, 4)):
                self._friend(friend, card, channel, at + timedelta(days=self.rng.uniform(3.5, 6)), "", on + 1)

    # ---- fraud

    def ring(self, kind: str) -> None:
        """Four of them bring each other in a circle, to one card after another."""
        ring = [self.person(kind, device=f"{kind}{number % 2}", address=kind) for number in range(4)]
        for day in range(CARDS):
            card = f"CARD{day}"
            self.came(ring[day % 4], card, BEGIN + timedelta(days=day))
            for step in range(1, 4):
                sharer, opener = ring[(day + step - 1) % 4], ring[(day + step) % 4]
                self.opens(sharer, opener, BEGIN + timedelta(days=day, hours=step), card, "web", new=day == 0)

    def farm(self, kind: str) -> None:
        """A hundred browsers on three telephones in one flat, in an evening; some bind and buy, and send it back."""
        boss, card = self.person(kind, address=kind), self.card()
        self.came(boss, card, BEGIN)
        for number in range(100):
            one = self.person(kind, device=f"{kind}{number % 3}", address=kind)
            at = BEGIN + timedelta(hours=10, seconds=40 * number)
            self.opens(boss, one, at, card, "telegram")
            if number % 10 == 0:
                member = self.binds(one, at + timedelta(seconds=30))
                conversion = self.buys(member, at + timedelta(seconds=60), card, "telegram")
                self.returns(conversion, at + timedelta(days=6))

    def self_forwarder(self, kind: str) -> None:
        """Opens what they have shared on their own telephone, at home, with the cookies thrown away."""
        me, card = self.person(kind, device=kind, address=kind), self.card()
        self.came(me, card, BEGIN)
        for day in range(30):
            self.opens(me, self.person(kind, device=kind, address=kind), BEGIN + timedelta(days=day + 1), card, "web")

    def replay(self, kind: str) -> None:
        """The same friend again and again, by every card, and the same event told again."""
        me, friend = self.person(kind), self.person(kind)
        for number in range(CARDS):
            self.came(me, f"CARD{number}", BEGIN)
            for hour in range(20):
                self.opens(me, friend, BEGIN + timedelta(days=1, hours=hour), f"CARD{number}", "web")

    def two_tabs(self, kind: str) -> None:
        """A friend who opens it twice at the same moment, and buys twice."""
        me, friend, card = self.person(kind), self.person(kind, address=kind), self.card()
        self.came(me, card, BEGIN)
        at = BEGIN + timedelta(days=1)
        for _ in range(2):
            self.opens(me, friend, at, card, "web")
        member = self.binds(friend, at + timedelta(minutes=1))
        for _ in range(2):
            self.returns(self.buys(member, at + timedelta(minutes=1), card, "web"), at + timedelta(days=3))

    def slow_drip(self, kind: str) -> None:
        """One a day, each in a browser that has never been anywhere, for two months; at home, or at a neighbour's."""
        me, card = self.person(kind, address=kind), self.card()
        self.came(me, card, BEGIN)
        for day in range(1, DAYS):
            one = self.person(kind, address=f"{kind}{day % 2}")
            self.opens(me, one, BEGIN + timedelta(days=day, hours=self.rng.uniform(0, 10)), card, "web")

    def in_order(self) -> Iterator[_Event]:
        return iter(sorted(self.events))


def _hash(value: str) -> str:
    return value if len(value) == 64 else hashlib.sha256(value.encode()).hexdigest()


async def play(engine: AsyncEngine, world: World) -> Found:
    """Lets the ledger read it all, in the middle of the night after the last day."""
    rows = [
        {"kind": one.kind, "subject": "card:x", "at": one.at, "role": Role.CUSTOMER, "data": one.data}
        for one in world.in_order()
    ]
    async with AsyncSession(engine.execution_options(**WRITES)) as session, session.begin():
        for first in range(0, len(rows), 500):
            await session.execute(insert(EventRow), rows[first : first + 500])
    now = BEGIN + timedelta(days=DAYS + 30)
    while await read_on(engine, energy_rules(), now):
        pass
    while await release_due(engine, 7, now):
        pass
    lot, found = EnergyLot, Found()
    counts = func.sum(lot.active + lot.pending - lot.owed)
    async with AsyncSession(engine) as session:
        for person, points in await session.execute(select(lot.person, counts).group_by(lot.person)):
            found.earned[_kind(person)] += int(points)
        for person, reasons in await session.execute(select(lot.person, lot.reasons)):
            if _kind(person) == "honest":
                found.awards += 1
                found.held += bool(reasons)
                found.reasons.update(reasons)
    return found


def _kind(person: str) -> str:
    """``honest``, or which fraud it is."""
    name = person.split(":")[1]
    return name if name == "honest" else name.rsplit("-", 1)[0]


async def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        os.environ["DATA_DIR"] = folder
        KeyRing.load_or_create(settings.keyring_file())
        url = f"sqlite+aiosqlite:///{Path(folder)}/energy.db"
        await migrate(url)
        engine = create_engine(url)
        world = World(1, HONEST, GANGS)
        began = time.perf_counter()
        found = await play(engine, world)
        seconds = time.perf_counter() - began
        await engine.dispose()
    print(f"{len(world.events)} events in {seconds:.1f} s, {seconds / len(world.events) * 1000:.2f} ms each")
    for kind, points in sorted(found.earned.items()):
        print(f"  {kind:24} {points:6} points")
    print(f"fraud earns {found.fraud:.2%} of what the honest earn (at most 1 %)")
    print(f"{found.held} of {found.awards} honest awards are held, {found.wrongly:.2%} (at most 2 %): {found.reasons}")


if __name__ == "__main__":
    asyncio.run(main())
