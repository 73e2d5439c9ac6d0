"""The tree of regions, as ``regions.yml`` has it: 华东 → 浙江 → 杭州."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Annotated

import yaml
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from mall_adapter import models
from mall_adapter.models import Level
from storage import insert

_FILE = Path(__file__).with_suffix(".yml")


@dataclass(frozen=True, slots=True)
class Region:
    code: str
    name: str
    parent: str | None
    level: Level


def name_of(code: str) -> str:
    """What people read; a region of the shop's own is called by its code."""
    region = tree().by_code.get(code)
    return region.name if region else code


def around(code: str) -> tuple[str, ...]:
    """The region itself and those that it lies in, the smallest first."""
    found = [code]
    while (region := tree().by_code.get(found[-1])) and region.parent:
        found.append(region.parent)
    return tuple(found)


def within(code: str) -> Sequence[str]:
    """The codes of the region itself and of those that lie in it."""
    return [code, *(one.code for one in tree().regions if one.code != code and code in around(one.code))]


def named(name: str) -> str | None:
    """The code of an area, a province or a city by its name; of two the larger."""
    return tree().by_name.get(name)


def of_address(address: str) -> str | None:
    """The code of the smallest region that an address begins with: 浙江省杭州市西湖区… and 杭州西湖… → 330100."""
    return tree().find("".join(address.split()))


def nearness(code: str, other: str) -> int:
    """How many steps up from ``code`` the smallest region is that holds both; the fewer, the nearer."""
    holds = set(around(other))
    return next((steps for steps, each in enumerate(around(code)) if each in holds), len(Level) + 1)


async def keep_regions(session: AsyncSession) -> None:
    """Brings what the file has been given since into the table that rows point at."""
    rows = [{"code": one.code, "name": one.name, "parent": one.parent, "level": one.level} for one in tree().regions]
    known = {(one.code, one.name, one.parent, one.level) for one in await session.scalars(select(models.Region))}
    for row in rows:
        if tuple(row.values()) not in known:
            new = insert(session, models.Region).values(row)
            await session.execute(new.on_conflict_do_update(index_elements=["code"], set_=row))


class _Province(BaseModel):
    model_config = ConfigDict(extra="forbid")
    code: str
    name: str
    cities: dict[str, str]


class _Area(BaseModel):
    model_config = ConfigDict(extra="forbid")
    code: str
    name: str
    provinces: list[_Province]


class _Suffixes(BaseModel):
    model_config = ConfigDict(extra="forbid")
    province: list[str]
    city: list[str]
    smaller: list[str]


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid")
    suffixes: _Suffixes
    areas: Annotated[list[_Area], Field(min_length=1)]


class _Tree:
    def __init__(self, file: _File) -> None:
        self._suffixes = file.suffixes
        self._provinces = [province for area in file.areas for province in area.provinces]
        self.regions: Sequence[Region] = tuple(_regions(file))
        self.by_code = {region.code: region for region in self.regions}
        if len(self.by_code) != len(self.regions):
            raise ValueError(f"{_FILE.name}: a code is there twice")
        by_level = sorted(self.regions, key=lambda region: list(Level).index(region.level), reverse=True)
        self.by_name = {region.name: region.code for region in by_level}
        self._cities = [(name, code) for province in self._provinces for code, name in province.cities.items()]

    def find(self, address: str) -> str | None:
        whole = [code for name, code in self._cities if address.startswith(tuple(self._with(name, "city")))]
        if whole:  # 吉林市 is a city, 吉林省 is not
            return whole[0]
        for province in self._provinces:
            if not address.startswith(province.name):
                continue
            rest = address.removeprefix(province.name)
            rest = next((rest.removeprefix(end) for end in self._suffixes.province if rest.startswith(end)), rest)
            inside = (code for code, name in province.cities.items() if self._begins(rest, name))
            return next(inside, province.code)
        return next((code for name, code in self._cities if self._begins(address, name)), None)

    def _with(self, name: str, level: str) -> Iterator[str]:
        return (name + suffix for suffix in getattr(self._suffixes, level))

    def _begins(self, address: str, name: str) -> bool:
        """With this city, and not with a district that is called like it."""
        return address.startswith(name) and not address.startswith(tuple(self._with(name, "smaller")))


def _regions(file: _File) -> Iterator[Region]:
    for area in file.areas:
        yield Region(area.code, area.name, None, Level.AREA)
        for province in area.provinces:
            yield Region(province.code, province.name, area.code, Level.PROVINCE)
            for code, name in province.cities.items():
                yield Region(code, name, province.code, Level.CITY)


@cache
def tree() -> _Tree:
    """Raises pydantic's ValidationError, or ValueError, for a file that cannot be."""
    return _Tree(_File.model_validate(yaml.safe_load(_FILE.read_text(encoding="utf-8"))))
