"""What goes to many: drafted, counted and shown before it goes, approved by somebody else, and how far it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from fastapi import APIRouter, Request, Response
from fastapi import Path as PathParameter
from pydantic import BaseModel, ConfigDict, Field, StringConstraints
from sqlalchemy.ext.asyncio import AsyncEngine, async_sessionmaker

from connectors.dashboard.operators import Operators, Refused
from mall_adapter.errors import InvalidTransition, NotFound, NotPermitted
from mall_adapter.notices import Gift, broadcasts, segments
from storage import WRITES

SHOWN = 50


class _Words(BaseModel):
    model_config = ConfigDict(extra="forbid")

    states: Mapping[str, str]
    results: Mapping[str, str]
    refusals: Mapping[str, str]


WORDS = _Words.model_validate(yaml.safe_load(Path(__file__).with_name("broadcasts.yml").read_text("utf-8")))

Number = Annotated[int, PathParameter(ge=1, le=2**31 - 1)]


class Whom(BaseModel):
    model_config = ConfigDict(extra="forbid")

    segment: segments.Segment


class Draft(Whom):
    text: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=500)]
    product_id: Annotated[str, Field(min_length=1, max_length=64)] | None = None
    coupon: Gift | None = None


def router(operators: Operators, engine: AsyncEngine) -> APIRouter:
    router = APIRouter(prefix="/broadcasts")
    reading = async_sessionmaker(engine)
    writing = async_sessionmaker(engine.execution_options(**WRITES))

    @router.get("")
    async def lists(request: Request, response: Response) -> dict[str, Any]:
        """All of them, the newest first, and what segments there may be."""
        actor = operators.reader(request).actor
        response.headers["Cache-Control"] = "no-store"
        async with reading() as session:
            found = await broadcasts.newest(session, actor, SHOWN)
            choices = await segments.choices(session)
        return {"broadcasts": [_shown(each) for each in found], "choices": choices}

    @router.post("/count")
    async def count(body: Whom, request: Request) -> dict[str, int]:
        operators.writer(request)
        async with reading() as session:
            return {"number": await broadcasts.count(session, body.segment, datetime.now(UTC))}

    @router.post("/preview")
    async def preview(body: Draft, request: Request) -> dict[str, str]:
        operators.writer(request)
        return {"text": broadcasts.shown(body.text, body.coupon)}

    @router.post("", status_code=201)
    async def draft(body: Draft, request: Request) -> dict[str, int]:
        actor, now = operators.writer(request).actor, datetime.now(UTC)
        try:
            async with writing.begin() as session:
                number = await broadcasts.draft(
                    session, actor, body.text, body.product_id, body.segment, now, body.coupon
                )
                return {"id": number}
        except NotFound:
            raise Refused(404, "no_goods", WORDS.refusals["no_goods"]) from None

    @router.post("/{number}/{step}", status_code=204)
    async def take_step(
        number: Number, step: Literal["propose", "approve", "pause", "resume", "withdraw"], request: Request
    ) -> None:
        actor, now = operators.writer(request).actor, datetime.now(UTC)
        try:
            async with writing.begin() as session:
                await broadcasts.step(session, actor, number, step, now)
        except NotFound:
            raise Refused(404, "not_found", WORDS.refusals["not_found"]) from None
        except NotPermitted:
            raise Refused(403, "own", WORDS.refusals["own"]) from None
        except InvalidTransition:
            raise Refused(409, "too_late", WORDS.refusals["too_late"]) from None

    return router


def _shown(broadcast: broadcasts.Broadcast) -> dict[str, Any]:
    results = [
        {"channel": channel, "told": WORDS.results.get(state, WORDS.results["other"]), "number": number}
        for channel, state, number in broadcast.results
    ]
    return asdict(broadcast) | {"told": WORDS.states[broadcast.state], "results": results}
