"""How warm a lead is: ``stages.yml`` and ``topics.yml``, checked when they are loaded."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, model_validator

from mall_adapter.models.leads import LeadStage

HERE = Path(__file__).parent

SURE = 0.4
"""Confidence from which an intent is taken at its word, as the actions do."""

FACTS = ("opened", "orders", "silent_days", "asked")
"""Beside the number of questions of each topic."""

Reason = Literal["ordered", "stock", "delivery", "price", "comparison", "questions"]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Topic(_Part):
    asks: Annotated[str, Field(pattern="^[a-z_]{1,40}$")]
    intents: tuple[str, ...]
    topic: str | None = None


class Row(_Part):
    stage: LeadStage
    when: Mapping[str, Annotated[int, Field(ge=1)]] = Field(default_factory=dict)
    tell: Reason | None = None


class Stages(_Part):
    window_days: Annotated[int, Field(ge=1, le=365)]
    rows: tuple[Row, ...]

    @model_validator(mode="after")
    def _decides(self) -> Stages:
        known = {*FACTS, *(row.asks for row in TOPICS)}
        if strange := {fact for row in self.rows for fact in row.when} - known:
            raise ValueError(f"no such facts: {', '.join(sorted(strange))}")
        if not self.rows or self.rows[-1].when or any(not row.when for row in self.rows[:-1]):
            raise ValueError("the last row, and no other, fits everybody")
        if missing := set(LeadStage) - {row.stage for row in self.rows}:
            raise ValueError(f"no row leads to: {', '.join(sorted(missing))}")
        return self

    @property
    def window(self) -> timedelta:
        return timedelta(days=self.window_days)

    @property
    def silence(self) -> timedelta:
        """After which somebody who said nothing may be lost."""
        days = [row.when["silent_days"] for row in self.rows if row.stage is LeadStage.LOST]
        return timedelta(days=min(days))

    def decide(self, facts: Mapping[str, int]) -> Row:
        """Facts that are not named are 0."""
        return next(row for row in self.rows if all(facts.get(name, 0) >= least for name, least in row.when.items()))


def read_topics(file: Path = HERE / "topics.yml") -> tuple[Topic, ...]:
    """Raises OSError, yaml.YAMLError, or pydantic's ValidationError, as :func:`read_stages` does."""
    return TypeAdapter(tuple[Topic, ...]).validate_python(yaml.safe_load(file.read_text("utf-8")))


def read_stages(file: Path = HERE / "stages.yml") -> Stages:
    return Stages.model_validate(yaml.safe_load(file.read_text("utf-8")))


TOPICS = read_topics()
STAGES = read_stages()

ORDER = tuple(LeadStage)
"""A lead that was told of at a later stage is not told of again at an earlier one."""


def topics_of(message: Mapping[str, Any]) -> list[tuple[str, str | None]]:
    """What a message asks about as it was understood, each once, with the name of the goods that it is about."""
    found: dict[str, str | None] = {}
    for part in message.get("parts") or [message]:
        intent = part.get("intent") or {}
        topic, name = part.get("topic"), intent.get("name")
        if float(intent.get("confidence") or 0) < SURE:
            continue
        fits = (row.asks for row in TOPICS if name in row.intents and row.topic in (None, topic))
        if asks := next(fits, None):
            goods = (each["value"] for each in part.get("entities") or () if each.get("entity") == "product")
            found[asks] = found.get(asks) or next(map(str, goods), None)
    return list(found.items())
