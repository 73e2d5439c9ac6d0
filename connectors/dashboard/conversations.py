"""The page that explains a conversation turn by turn; who looks at one is put on record first."""

from __future__ import annotations

import logging
import re
from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request, Response

from connectors.dashboard.operators import Operators, Refused
from connectors.dashboard.turns import read_turns
from connectors.media import MediaStore, picture_type
from mall_adapter import Desk, permissions
from mall_adapter.errors import NotFound
from mall_adapter.handoff import TURNS, NotOnRecord

log = logging.getLogger(__name__)

NO_CONVERSATION = "没有这段对话。"
_HASH = re.compile(r"[0-9a-f]{64}")


def require_hash(conversation: str) -> None:
    """Raises Refused for what cannot be the keyed hash of a conversation."""
    if not _HASH.fullmatch(conversation):
        raise Refused(404, "not_found", NO_CONVERSATION)


def router(operators: Operators, desk: Desk, media: MediaStore) -> APIRouter:
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

    @router.get("/{conversation}/media")
    async def kept(conversation: str, request: Request, response: Response) -> dict[str, Any]:
        """What the customer has sent beside words, the latest first."""
        permissions.check(operators.reader(request).actor, "view_media")
        response.headers["Cache-Control"] = "no-store"
        require_hash(conversation)
        return {"media": [asdict(each) for each in await media.of_conversation(conversation)]}

    @router.get("/{conversation}/media/{number}")
    async def content(
        conversation: str, number: Annotated[int, Path(ge=1, le=2**31 - 1)], request: Request
    ) -> Response:
        """A picture is shown, by what is in it; everything else can only be saved."""
        permissions.check(operators.reader(request).actor, "view_media")
        require_hash(conversation)
        if (found := await media.open(conversation, number)) is None:
            raise Refused(404, "not_found", NO_CONVERSATION)
        picture = picture_type(found[1])
        headers = {"Cache-Control": "no-store"} | ({} if picture else {"Content-Disposition": "attachment"})
        return Response(found[1], media_type=picture or "application/octet-stream", headers=headers)

    return router
