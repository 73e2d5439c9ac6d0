"""What the report on offers finds: an effect that is there, none that is not, and intervals as they are published."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from insights import VariantReport, intervals, report_offers
from mall_adapter.values import OrderStatus
from storage import create_engine, migrate
from tests.bench.offers import fill, write_experiments
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


RUNS, CUSTOMERS, BUILT_IN = 20, 400, 0.2


@pytest.fixture(scope="module")
def reports(house: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[float, list[VariantReport]]:
    """Of twenty shops in which offers work, and of twenty in which they do not: what was found of the offers."""

    async def run() -> dict[float, list[VariantReport]]:
        url = Sqlite(tmp_path_factory.mktemp("shops")).create()
        await migrate(url)
        engine, at = create_engine(url), datetime(2026, 3, 2, 2, 0, tzinfo=UTC)
        try:
            await fill(engine, CUSTOMERS, 1, at, OrderStatus.PRESALE)
            names = await write_experiments(engine, CUSTOMERS, [BUILT_IN, 0.0] * RUNS, at)
            found = [await report_offers(engine, name, at + timedelta(days=15)) for name in names]
            assert not (await report_offers(engine, names[0], at + timedelta(days=13))).variants  # too early to tell
        finally:
            await engine.dispose()
        for report in found:
            control, usual = report.variants
            assert (control.variant, control.accepted, control.cost_cents) == ("none", 0, 0)
            assert control.customers + usual.customers == control.presales + usual.presales == CUSTOMERS
            assert usual.cost_cents == 500 * usual.accepted > 0
        return {BUILT_IN: [one.variants[1] for one in found[::2]], 0.0: [one.variants[1] for one in found[1::2]]}

    return asyncio.run(run())


@pytest.mark.parametrize("effect", [BUILT_IN, 0.0])
def test_intervals_hold_what_was_built_in(reports: dict[float, list[VariantReport]], effect: float) -> None:
    """Nineteen in twenty would be expected to."""
    intervals = [one.against_control for one in reports[effect]]
    assert sum(one is not None and one[0] <= -effect <= one[1] for one in intervals) >= RUNS - 3


def test_an_effect_is_found_where_there_was_one(reports: dict[float, list[VariantReport]]) -> None:
    found = {
        effect: sum(one.against_control[1] < 0 for one in them if one.against_control)
        for effect, them in reports.items()
    }
    assert found[BUILT_IN] >= RUNS - 1
    assert found[0.0] <= 2
