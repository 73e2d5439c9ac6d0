"""What counts of smart cards: ``rules/cards.yml``, which operators change."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from pydantic import Field

import settings
from mall_adapter.rules import Numbers, RulesFile, numbers

_Minutes = Annotated[int, Field(ge=1, le=24 * 60)]


class _File(Numbers):
    attribution_days: Annotated[int, Field(ge=1, le=365)]
    new_minutes: _Minutes
    crossing_minutes: _Minutes
    portrait_minutes: _Minutes


class CardRules:
    """For how long an order counts for a card, and who counts as new, and as one."""

    def __init__(self, content: str, file: str = "") -> None:
        self.take(content, file)

    def take(self, content: str, file: str = "") -> None:
        """Counts by these from now on. Raises :class:`BrokenRules`, and goes on by the old ones then."""
        self._file = numbers(_File, content, file)

    @property
    def attributed(self) -> timedelta:
        return timedelta(days=self._file.attribution_days)

    @property
    def new_within(self) -> timedelta:
        return timedelta(minutes=self._file.new_minutes)

    @property
    def crossing(self) -> timedelta:
        return timedelta(minutes=self._file.crossing_minutes)

    @property
    def portrait_waited(self) -> timedelta:
        return timedelta(minutes=self._file.portrait_minutes)


_saved = RulesFile(CardRules, settings.cards_file, "cards.yml", ("名片规则", "the rules of cards"))


def card_rules() -> CardRules:
    """Those of the house as they are saved now. Raises BrokenRules where there never was a good file."""
    _saved.look()
    return _saved.good()
