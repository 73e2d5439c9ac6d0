"""Energy that is looked at before it counts: why, of whom, and what an operator decides."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from fastapi import APIRouter, Request, Response
from fastapi import Path as PathParameter
from pydantic import BaseModel, ConfigDict
from sqlalchemy.ext.asyncio import AsyncEngine, async_sessionmaker

from connectors.dashboard.operators import Operators, Refused
from mall_adapter import energy
from mall_adapter.errors import InvalidTransition, NotFound, NotPermitted
from storage import WRITES

SHOWN = 100


class _Words(BaseModel):
    model_config = ConfigDict(extra="forbid")

    events: Mapping[str, str]
    levels: Mapping[int, str]
    reasons: Mapping[str, str]
    somebody: str
    refusals: Mapping[str, str]


WORDS = _Words.model_validate(yaml.safe_load(Path(__file__).with_name("energy.yml").read_text("utf-8")))

Number = Annotated[int, PathParameter(ge=1, le=2**31 - 1)]


def router(operators: Operators, engine: AsyncEngine) -> APIRouter:
    router = APIRouter(prefix="/energy")
    reading = async_sessionmaker(engine)
    writing = async_sessionmaker(engine.execution_options(**WRITES))

    @router.get("")
    async def lists(request: Request, response: Response) -> dict[str, Any]:
        """Those that wait the longest first."""
        actor = operators.reader(request).actor
        response.headers["Cache-Control"] = "no-store"
        async with reading() as session:
            return {"held": [_shown(each) for each in await energy.held(session, actor, SHOWN)]}

    @router.post("/{number}/{step}", status_code=204)
    async def decide(number: Number, step: Literal["approve", "refuse"], request: Request) -> None:
        actor, now = operators.writer(request).actor, datetime.now(UTC)
        try:
            async with writing.begin() as session:
                await energy.decide(session, actor, number, step == "approve", now)
        except NotFound:
            raise Refused(404, "not_found", WORDS.refusals["not_found"]) from None
        except NotPermitted:
            raise Refused(403, "own", WORDS.refusals["own"]) from None
        except InvalidTransition:
            raise Refused(409, "too_late", WORDS.refusals["too_late"]) from None

    return router


def _shown(lot: energy.Held) -> dict[str, Any]:
    other = WORDS.reasons["other"]
    level = f"（{WORDS.levels[lot.level]}）" if lot.level else ""
    return asdict(lot) | {
        "person": lot.person or WORDS.somebody,
        "invitee": lot.invitee or WORDS.somebody,
        "told": WORDS.events[lot.event] + level,
        "reasons": [WORDS.reasons.get(reason, other.format(code=reason)) for reason in lot.reasons],
    }
