"""The page that explains a conversation turn by turn; who looks at one is put on record first."""

from __future__ import annotations

import logging
import re
from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response

from connectors.dashboard.operators import Operators, Refused
from connectors.dashboard.turns import read_turns
from mall_adapter import Desk
from mall_adapter.errors import NotFound
from mall_adapter.handoff import TURNS, NotOnRecord

log = logging.getLogger(__name__)

NO_CONVERSATION = "没有这段对话。"
_HASH = re.compile(r"[0-9a-f]{64}")


def require_hash(conversation: str) -> None:
    """Raises Refused for what cannot be the keyed hash of a conversation."""
    if not _HASH.fullmatch(conversation):
        raise Refused(404, "not_found", NO_CONVERSATION)


def router(operators: Operators, desk: Desk) -> APIRouter:
    router = APIRouter(prefix="/conversations")

    @router.get("/{conversation}")
    async def turns(
        conversation: str,
        request: Request,
        response: Response,
        before: Annotated[int | None, Query(ge=0, le=2**31 - 1)] = None,
    ) -> dict[str, Any]:
        """The last turns before event ``before``, who looked before, and the ``before`` of older ones, if there are."""
        actor = operators.reader(request).actor
        response.headers["Cache-Control"] = "no-store"
        require_hash(conversation)
        try:
            excerpt = await desk.look_into(actor, conversation, before)
        except NotFound:
            raise Refused(404, "not_found", NO_CONVERSATION) from None
        except NotOnRecord as error:
            log.error("%s", error)
            raise Refused(503, "not_on_record", "这次查看没能记录下来，所以不能显示对话。请稍后再试。", 5) from None
        shown = read_turns(excerpt.events, excerpt.first)[-TURNS:]
        older = shown[0].position if shown and shown[0].position else None
        return {
            "turns": [asdict(turn) for turn in shown],
            "older": older,
            "viewings": [asdict(viewing) for viewing in excerpt.viewings],
            "speaker": asdict(excerpt.speaker) if excerpt.speaker else None,
        }

    return router
