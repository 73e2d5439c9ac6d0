"""What is offered to whom (``rules/offers.json``), and what it may cost (``rules/budgets.yml``): operators' files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Self

import zen
from pydantic import Field, ValidationInfo, field_validator

import settings
from mall_adapter.facts import OfferFacts
from mall_adapter.rules import OFFERS, Numbers, describe, numbers, prove, read
from mall_adapter.values import OfferKind

_Cents = Annotated[int, Field(ge=0, le=10**9)]
_Percent = Annotated[int, Field(ge=0, le=100)]


@dataclass(frozen=True, slots=True)
class Outcome:
    """Of the row that fits."""

    rule: str
    kind: OfferKind
    value_cents: int
    min_spend_cents: int
    valid_days: int


class OfferTable:
    """The loaded table. ``descriptions`` maps the names of its rows to what the file says of them, for people."""

    def __init__(self, content: str, file: str = "") -> None:
        self.take(content, file)

    @classmethod
    def load(cls, path: Path | None = None) -> Self:
        """Of a file (default: that of the house). Raises :class:`BrokenRules` when it could decide wrongly."""
        path = path or settings.offers_file()
        return cls(read(path), path.name)

    def take(self, content: str, file: str = "") -> None:
        """Decides by this from now on. Raises :class:`BrokenRules`, and goes on by the old one then."""
        prove(content, file, OFFERS)
        self._decision = zen.ZenEngine().create_decision(zen.ZenDecisionContent(content))
        self.descriptions = describe(content)

    def decide(self, facts: OfferFacts) -> Outcome:
        found = self._decision.evaluate(asdict(facts))["result"]
        kind = OfferKind(found["offer"])
        return Outcome(found["rule"], kind, found["value_cents"], found["min_spend_cents"], found["valid_days"])


class _Budgets(Numbers):
    day_cents: _Cents
    points_day_cents: _Cents
    customer_month_cents: _Cents
    supplier_month_cents: _Cents


class Sign(Numbers):
    """Counts from ``from`` on, and then for so many points."""

    start: Annotated[int, Field(ge=1, le=1000, alias="from")]
    points: Annotated[int, Field(ge=0, le=100)]


class Claims(Numbers):
    refuse_from: Annotated[int, Field(ge=1, le=1000)]
    refunds: Sign
    rejected: Sign
    demands: Sign
    accepted: Sign

    def signs(self) -> Mapping[str, Sign]:
        return {name: value for name in type(self).model_fields if isinstance(value := getattr(self, name), Sign)}


class Variant(Numbers):
    share: _Percent
    percent: _Percent  # of what the table says; 0: nothing is offered


class Experiment(Numbers):
    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
    variants: Mapping[str, Variant]

    @field_validator("variants")
    @classmethod
    def _whole(cls, variants: Mapping[str, Variant], _: ValidationInfo) -> Mapping[str, Variant]:
        if sum(variant.share for variant in variants.values()) != 100:
            raise ValueError("the shares add up to 100 / 各组比例之和应为 100")
        return variants


class _File(Numbers):
    coupon_title: Annotated[str, Field(min_length=1, max_length=30)]
    good_hours: Annotated[int, Field(ge=1, le=24 * 30)]
    cool_down_days: Annotated[int, Field(ge=0, le=365)]
    budgets: _Budgets
    claims: Claims
    experiment: Experiment


class OfferLimits:
    """What offers may cost, how long they are good, and who is in which variant of the experiment."""

    def __init__(self, content: str, file: str = "") -> None:
        self.take(content, file)

    @classmethod
    def load(cls, path: Path | None = None) -> Self:
        """Of a file (default: that of the house). Raises :class:`BrokenRules`."""
        path = path or settings.budgets_file()
        return cls(read(path), path.name)

    def take(self, content: str, file: str = "") -> None:
        """Keeps to this from now on. Raises :class:`BrokenRules`, and goes on by the old ones then."""
        self._file = numbers(_File, content, file)

    @property
    def coupon_title(self) -> str:
        return self._file.coupon_title

    @property
    def good_for(self) -> timedelta:
        return timedelta(hours=self._file.good_hours)

    @property
    def cool_down(self) -> timedelta:
        return timedelta(days=self._file.cool_down_days)

    @property
    def budgets(self) -> _Budgets:
        return self._file.budgets

    @property
    def claims(self) -> Claims:
        return self._file.claims

    @property
    def experiment(self) -> Experiment:
        return self._file.experiment
