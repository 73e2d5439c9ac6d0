"""What the report on offers finds: an effect that is there, none that is not, and intervals as they are published."""

from __future__ import annotations

from pathlib import Path

import pytest

from insights import intervals
from insights.offers import VariantReport
from storage import create_engine, migrate
from tests.bench.offers import run_experiment
from tests.databases import Sqlite, house

__all__ = ["house"]  # a fixture


@pytest.mark.parametrize(
    ("one", "other", "low", "high"),
    [  # Newcombe, Statistics in Medicine 17 (1998), table II, method 10
        ((56, 70), (48, 80), 0.0524, 0.3339),
        ((9, 10), (3, 10), 0.1705, 0.8090),
        ((6, 7), (2, 7), 0.0582, 0.8062),
        ((5, 56), (0, 29), -0.0381, 0.1926),
        ((0, 10), (0, 20), -0.1611, 0.2775),
        ((10, 10), (0, 10), 0.6075, 1.0),
    ],
)
def test_intervals_of_differences(one: tuple[int, int], other: tuple[int, int], low: float, high: float) -> None:
    assert intervals.difference(*one, *other) == pytest.approx((low, high), abs=5e-5)


@pytest.mark.parametrize(
    ("hits", "of", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_intervals_of_shares(hits: int, of: int, low: float, high: float) -> None:
    """The score method without correction: Newcombe, Statistics in Medicine 17 (1998), pp. 857-872, table I."""
    assert intervals.share(hits, of) == pytest.approx((low, high), abs=5e-5)


async def simulated(folder: Path, effect: float) -> VariantReport:
    url = Sqlite(folder).create()
    await migrate(url)
    engine = create_engine(url)
    try:
        report = await run_experiment(engine, 400, effect, seed=4)
    finally:
        await engine.dispose()
    control, usual = report.variants
    assert (control.variant, usual.variant) == ("none", "usual")
    assert (control.accepted, control.cost_cents) == (0, 0)
    assert control.customers + usual.customers == 400
    assert usual.cost_cents == 500 * usual.accepted > 0
    return usual


async def test_an_effect_that_was_built_in_is_found(house: Path, tmp_path: Path) -> None:
    found = (await simulated(tmp_path, effect=0.25)).against_control
    assert found is not None and found[0] < -0.25 < found[1] < 0


async def test_none_is_found_where_there_was_none(house: Path, tmp_path: Path) -> None:
    found = (await simulated(tmp_path, effect=0.0)).against_control
    assert found is not None and found[0] < 0 < found[1]
