"""Where people live and goods lie: a tree."""

from __future__ import annotations

from enum import StrEnum

from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from storage import Base


class Level(StrEnum):
    AREA = "area"  # 华东
    PROVINCE = "province"
    CITY = "city"


class Region(Base):
    """As ``mall_adapter/regions.yml`` has it; :mod:`mall_adapter.regions` is asked, this is what rows point at."""

    __tablename__ = "region"

    code: Mapped[str] = mapped_column(primary_key=True)  # "330100" (GB/T 2260); areas have names: "east"
    name: Mapped[str]  # 杭州
    parent: Mapped[str | None] = mapped_column(ForeignKey("region.code"), index=True)
    level: Mapped[Level]
