"""Pictures that visitors of the web chat send: written anew, so that nothing else is ever kept or shown."""

from __future__ import annotations

import asyncio
from typing import Any

from fastapi import APIRouter, HTTPException, Request, Response

from connectors.callers import from_own_page
from connectors.dashboard.operators import Refused
from connectors.image_files import NoPicture, rewritten
from connectors.inbound import Inbound
from connectors.media import MediaStore
from connectors.messages import MessageId
from connectors.portraits import take_portrait
from connectors.web.visitor import Visitors
from connectors.words import WORDS
from connectors.worker import Worker
from mall_adapter import Desk
from mall_adapter.cards import Cards
from mall_adapter.handoff import HandoffStatus
from privacy import current_ring
from privacy.conversations import conversation_of

REFUSALS = WORDS.refusals

AT_ONCE = 2
"""Pictures that are read: each takes much memory for a moment."""


def router(visitors: Visitors, desk: Desk, media: MediaStore, worker: Worker, cards: Cards) -> APIRouter:
    router = APIRouter(prefix="/api/chat/pictures")
    reading = asyncio.Semaphore(AT_ONCE)

    @router.post("")
    async def send_picture(message_id: MessageId, request: Request, response: Response) -> dict[str, Any]:
        """Takes a picture, the body, from the visitor under an id of theirs, however often it comes. It is kept for the
        person at the desk; one who talks with them right now sees it among what was said."""
        visitor = visitors.identify(request)
        if visitor is None or not from_own_page(request.headers):
            raise Refused(401, "no_visitor", REFUSALS["no_visitor"])
        content = await request.body()
        try:
            async with reading:
                picture = await asyncio.to_thread(rewritten, content)
        except NoPicture:
            raise Refused(422, "no_picture", REFUSALS["no_picture"]) from None
        sender = f"web:{visitor}"
        await media.keep(sender, message_id, "picture", picture)
        if await take_portrait(cards, sender, picture):
            return {"id": message_id, "messages": [{"text": WORDS.receipts.portrait}]}
        live = await desk.live(sender)
        if live is None or live.status is not HandoffStatus.CLAIMED:
            return {"id": message_id, "messages": [{"text": WORDS.receipts.media["picture"]}]}
        marked = Inbound(channel="web", account=visitor, message_id=message_id, text=WORDS.marks["picture"])
        reply = await worker.turn(marked)
        return {"id": message_id, "messages": [each.model_dump(exclude_unset=True) for each in reply.messages]}

    @router.get("/{message_id}")
    async def picture(message_id: MessageId, request: Request) -> Response:
        """A picture that this visitor has sent."""
        if (visitor := visitors.identify(request)) is None:
            raise HTTPException(404)
        sender = f"web:{visitor}"
        number = await media.find(sender, message_id)
        found = await media.open(conversation_of(current_ring(), sender), number) if number else None
        if found is None:
            raise HTTPException(404)
        return Response(found[1], media_type="image/jpeg", headers={"Cache-Control": "no-store"})

    return router
