"""What worried customers were offered, what is left of the budgets, and what the experiment has found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml
from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict
from sqlalchemy.ext.asyncio import AsyncEngine, async_sessionmaker

from connectors.dashboard.operators import Operators
from insights import report_offers
from mall_adapter import HouseRules
from mall_adapter.offers import newest, spent

SHOWN = 100


class _Names(BaseModel):
    model_config = ConfigDict(extra="forbid")

    kinds: Mapping[str, str]
    states: Mapping[str, str]
    signs: Mapping[str, str]

    def why(self, told: str) -> str:
        """The parts of a score, in the words of operators."""
        for sign, word in self.signs.items():
            told = told.replace(sign, word)
        return told


NAMES = _Names.model_validate(yaml.safe_load(Path(__file__).with_name("offers.yml").read_text("utf-8")))


def router(operators: Operators, engine: AsyncEngine, rules: HouseRules) -> APIRouter:
    router = APIRouter(prefix="/offers")
    reading = async_sessionmaker(engine)

    @router.get("")
    async def overview(request: Request, response: Response) -> dict[str, Any]:
        actor, now = operators.reader(request).actor, datetime.now(UTC)
        response.headers["Cache-Control"] = "no-store"
        limits, table = rules.budgets.good(), rules.offers.good()
        async with reading() as session:
            made = await newest(session, actor, SHOWN)
            budgets = await spent(session, actor, limits, now)
        report = await report_offers(engine, limits.experiment.name, now)
        return {
            "budgets": [asdict(each) for each in budgets],
            "variants": [asdict(each) for each in report.variants],
            "offers": [
                {
                    "id": each.id,
                    "order_id": each.order_id,
                    "kind": NAMES.kinds[each.kind],
                    "rule": table.descriptions.get(each.rule, each.rule),
                    "variant": each.variant,
                    "value_cents": each.value_cents,
                    "state": NAMES.states[each.state],
                    "why": NAMES.why(each.why),
                    "made_at": each.made_at,
                }
                for each in made
            ],
        }

    return router
