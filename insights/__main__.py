"""``python -m insights``: what was learned, as tables for people or as JSON."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

import yaml
from sqlalchemy.exc import SQLAlchemyError

import settings
from insights.offers import OfferReport, report_offers
from mall_adapter.offers import OfferLimits
from settings import SHANGHAI
from storage import create_engine

WORDS = Path(__file__).with_name("words.yml")


async def _offers(experiment: str | None) -> OfferReport:
    engine = create_engine(settings.database_url())
    try:
        name = experiment or OfferLimits.load().experiment.name
        return await report_offers(engine, name, datetime.now(UTC))
    finally:
        await engine.dispose()


def show(report: OfferReport) -> str:
    """Lines for people."""
    words = yaml.safe_load(WORDS.read_text("utf-8"))["offers"]
    until = f"{report.until.astimezone(SHANGHAI):%Y-%m-%d %H:%M}"
    lines = [words["title"].format(experiment=report.experiment, until=until)]
    if not report.variants:
        return "\n".join([*lines, words["nothing"]])
    for each in report.variants:
        told = asdict(each) | {"low": each.cancel_interval[0], "high": each.cancel_interval[1]}
        told |= {"each": each.cost_cents_each / 100, "cost": each.cost_cents / 100, "mean": each.stars or 0}
        lines += ["", words["variant"].format_map(told)]
        if each.against_control:
            low, high = each.against_control
            lines.append(words["against"].format(low=low, high=high))
        if each.rated:
            lines.append(words["rated"].format_map(told))
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m insights", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    offers = commands.add_parser("offers", help="what offers to worried customers have done, by variant")
    offers.add_argument("--experiment", help="its name; default: the one that runs")
    offers.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    try:
        report = asyncio.run(_offers(arguments.experiment))
    except (OSError, ValueError) as error:
        sys.exit(str(error))
    except SQLAlchemyError as error:  # its words may quote what is stored
        sys.exit(f"The database does not answer, or lacks its tables: {type(error).__name__} / 数据库无法使用")
    print(json.dumps(asdict(report), default=str) if arguments.json else show(report))


if __name__ == "__main__":
    main()
