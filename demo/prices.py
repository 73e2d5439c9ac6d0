"""What the goods of the demo mall have cost: a list price that fell lately here and there, and the sales festivals.

A festival that goes on when the mall is made is not in it: prices stay as they are written in the catalogue.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from itertools import groupby
from typing import Any

from demo import seasons
from demo.goods import Article, Sku
from mall_adapter.values import PriceKind


def on(article: Article, sku: Sku, day: date, today: date) -> int:
    """Cents on a day that is over."""
    listed = sku.price_cents
    if article.fell_days and day < today - timedelta(days=article.fell_days):
        listed = article.was_cents
    return _reduced(listed) if seasons.on_sale(day) else listed


def _reduced(cents: int) -> int:
    return cents * 88 // 1000 * 10  # cut to whole jiao


def rows(articles: list[Article], today: date, days: int) -> Iterator[dict[str, Any]]:
    """Rows of the price list, for the ``days`` before ``today`` and from then on."""
    opening = seasons.midnight(today - timedelta(days=2 * days))
    festivals = list(_festivals(today, days))
    for article in articles:
        fell = seasons.midnight(today - timedelta(days=article.fell_days)) if article.fell_days else opening
        for sku in article.skus:
            if article.fell_days:
                yield _row(sku, PriceKind.LIST, article.was_cents, opening, fell, 1)
            yield _row(sku, PriceKind.LIST, sku.price_cents, fell, None, 2 if article.fell_days else 1)
            for begins, ends in festivals:
                cents = on(article, sku, begins.date(), today)
                yield _row(sku, PriceKind.CAMPAIGN, cents, begins, ends, 1)


def _festivals(today: date, days: int) -> Iterator[tuple[datetime, datetime]]:
    """Begin and end of those that are over."""
    for on_sale, some in groupby(seasons.days_before(today, days), seasons.on_sale):
        during = list(some)
        if on_sale and not seasons.on_sale(during[-1] + timedelta(days=1)):
            yield seasons.midnight(during[0]), seasons.midnight(during[-1] + timedelta(days=1))


def _row(
    sku: Sku, kind: PriceKind, cents: int, begins: datetime, ends: datetime | None, version: int
) -> dict[str, Any]:
    return {
        "sku_id": sku.id,
        "region": None,
        "kind": kind,
        "cents": cents,
        "valid_from": begins,
        "valid_until": ends,
        "version": version,
    }
