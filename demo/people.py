"""Two thousand customers who do not exist, spread over the regions as people are."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from pathlib import Path
from random import Random
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict

from mall_adapter.people import principal_of
from settings import SHANGHAI
from storage import Role

_HERE = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Region:
    name: str
    population: int  # 10,000 people
    days: int  # how long a parcel usually travels to it
    cities: dict[str, list[str]]  # districts by city

    @property
    def hub(self) -> str:
        """Where parcels from and to the region are sorted."""
        return next(iter(self.cities)).removesuffix("市")


@dataclass(frozen=True, slots=True)
class Person:
    id: str
    name: str
    phone: str
    region: Region
    city: str
    district: str
    street: str
    registered_at: datetime

    @property
    def address(self) -> str:
        province = "" if self.city.startswith(self.region.name) else f"{self.region.name} "
        return f"{province}{self.city} {self.district} {self.street}"


@dataclass(frozen=True, slots=True)
class Colleague:
    """Somebody who works in the mall, or for one of its suppliers."""

    id: str  # of their principal
    name: str | None  # None: as the customer is called
    role: Role
    supplier_id: str | None = None


class _Staff(BaseModel):
    model_config = ConfigDict(extra="forbid")

    operator: list[str]
    trainer: list[str]
    sales: list[str]
    customers: dict[str, Role]  # who are customers of the mall, too: by id


def load_staff(suppliers: Iterable[str]) -> list[Colleague]:
    """Those of ``staff.yml``, and somebody for each of the ``suppliers`` (ids)."""
    told = _Staff.model_validate(yaml.safe_load((_HERE / "staff.yml").read_text(encoding="utf-8")))
    named: dict[str, tuple[Role, str | None]] = {
        name: (role, None)
        for role, names in ((Role.OPERATOR, told.operator), (Role.TRAINER, told.trainer), (Role.SALES, told.sales))
        for name in names
    }
    surnames, given = _names()
    for supplier_id in sorted(suppliers):
        rng = Random(supplier_id)  # noqa: S311  (the same name every day)
        while (name := rng.choice(surnames) + rng.choice(given)) in named:
            pass
        named[name] = (Role.SUPPLIER, supplier_id)
    staff = [Colleague(f"P9{number:05}", name, *held) for number, (name, held) in enumerate(named.items(), 1)]
    return staff + [Colleague(principal_of(each), None, role) for each, role in told.customers.items()]


def load_regions() -> dict[str, Region]:
    """The province-level regions by name."""
    regions = yaml.safe_load((_HERE / "regions.yml").read_text(encoding="utf-8"))
    return {
        entry["region"]: Region(entry["region"], entry["population"], entry["days"], entry["cities"])
        for entry in regions
    }


def invent_people(rng: Random, regions: dict[str, Region], today: date, days: int, count: int) -> list[Person]:
    """``count`` customers, the longest registered first: at least one a region, four in ten before the last ``days``.

    Phones begin with 154, which no carrier has been given: eleven digits that ring nowhere.
    """
    surnames, given = _names()
    words = _words()
    frequency = [1 / (rank + 4) for rank in range(len(surnames))]
    everywhere = list(regions.values())
    homes = everywhere + rng.choices(everywhere, [region.population for region in everywhere], k=count - len(regions))
    rng.shuffle(homes)
    phones = rng.sample(range(10_000_000, 100_000_000), count)
    opening = datetime.combine(today - timedelta(days=days), time(9), SHANGHAI)
    registered = sorted(
        opening + timedelta(days=rng.uniform(-500, 0) if rng.random() < 0.4 else rng.uniform(0, days - 2))
        for _ in homes
    )
    people = []
    for number, (home, phone, since) in enumerate(zip(homes, phones, registered, strict=True), 1):
        city = rng.choice(list(home.cities))
        street = (
            f"{rng.choice(words['streets'])} {rng.randint(1, 399)} 号"
            f"{rng.choice(words['estates'])} {rng.randint(1, 30)} 幢 {rng.randint(1, 26)}0{rng.randint(1, 4)} 室"
        )
        name = rng.choices(surnames, frequency)[0] + rng.choice(given)
        district = rng.choice(home.cities[city])
        people.append(Person(f"C{number:06}", name, f"154{phone}", home, city, district, street, since))
    return people


def _words() -> dict[str, Any]:
    words: dict[str, Any] = yaml.safe_load((_HERE / "people.yml").read_text(encoding="utf-8"))
    return words


def _names() -> tuple[str, list[str]]:
    """Surnames of one character, the most common first, and given names."""
    words = _words()
    return words["surnames"], " ".join(words["given_names"]).split()
