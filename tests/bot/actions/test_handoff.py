"""Stars in the many ways in which people give them."""

from __future__ import annotations

import pytest

from bot.actions.handoff import stars_in


@pytest.mark.parametrize(
    ("text", "stars"),
    [("五星", 5), ("给4星", 4), ("打8分", 4), ("3分吧", 3), ("👍", 5), ("差评", 1), ("不满意", None), ("谢谢", None)],
)
def test_stars_in(text: str, stars: int | None) -> None:
    assert stars_in(text) == stars
