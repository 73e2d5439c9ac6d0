"""What could not be sent, or worked on, and why; sent again by a click."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import yaml
from fastapi import APIRouter, Request, Response
from fastapi import Path as PathParameter
from pydantic import BaseModel, ConfigDict
from sqlalchemy.ext.asyncio import AsyncEngine, async_sessionmaker

from connectors.dashboard.operators import Operators, Refused
from connectors.delivery import Delivery
from mall_adapter import permissions
from privacy import KeyRing
from privacy.conversations import conversation_of
from storage import WRITES, Event, inbox, outbox, record

SHOWN = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class SentAgain(Event):
    """``subject`` is the message, "outbox:7" or "inbox:7"."""

    kind: ClassVar[str] = "sent_again"


class _Names(BaseModel):
    model_config = ConfigDict(extra="forbid")

    reasons: Mapping[str, str]
    kinds: Mapping[str, str]
    states: Mapping[str, str]
    not_stuck: str

    def reason(self, error_class: str | None) -> str:
        code = error_class or "?"
        return self.reasons.get(code.split(":")[0]) or self.reasons["other"].format(code=code)


NAMES = _Names.model_validate(yaml.safe_load(Path(__file__).with_name("delivery.yml").read_text("utf-8")))

Box = Literal["inbox", "outbox"]
Number = Annotated[int, PathParameter(ge=1, le=2**31 - 1)]


def router(operators: Operators, ring: KeyRing, engine: AsyncEngine, delivery: Delivery) -> APIRouter:
    router = APIRouter(prefix="/delivery")
    reading = async_sessionmaker(engine)
    writing = async_sessionmaker(engine.execution_options(**WRITES))

    def shown(box: Box, stuck: outbox.Stuck | inbox.Stuck) -> dict[str, Any]:
        """The channel is told, the account on it is not."""
        told = asdict(stuck)
        recipient, kind = told.pop("recipient", None), told.pop("kind", "inbox")
        conversation = conversation_of(ring, f"{stuck.channel}:{recipient}") if recipient else None
        return told | {
            "box": box,
            "kind": NAMES.kinds.get(kind, NAMES.kinds["other"]),
            "told": NAMES.states[stuck.state],
            "reason": NAMES.reason(stuck.error_class),
            "conversation": conversation,
            "again": stuck.error_class != "damaged",
        }

    @router.get("")
    async def lists(request: Request, response: Response) -> dict[str, Any]:
        """How much waits in each channel, and what does not go out by itself, the latest first."""
        operators.reader(request)
        response.headers["Cache-Control"] = "no-store"
        async with reading() as session:
            depths = await outbox.depths(session)
            unsent, unheard = await outbox.stuck(session, SHOWN), await inbox.stuck(session, SHOWN)
        waiting = [
            {"channel": each.channel, "state": NAMES.states[each.state], "number": each.messages}
            for each in sorted(depths, key=lambda each: (each.channel, each.state))
        ]
        return {
            "waiting": waiting,
            "stuck": [shown("outbox", each) for each in unsent] + [shown("inbox", each) for each in unheard],
        }

    @router.post("/{box}/{number}/again", status_code=204)
    async def again(box: Box, number: Number, request: Request) -> None:
        actor, now = operators.writer(request).actor, datetime.now(UTC)
        permissions.check(actor, "send_again")
        due = outbox.send_again if box == "outbox" else inbox.work_again
        async with writing.begin() as session:
            if not await due(session, number, now):
                raise Refused(409, "not_stuck", NAMES.not_stuck)
            record(session, SentAgain(subject=f"{box}:{number}"), actor, now)
        delivery.soon()

    return router
