"""What a visitor and the person at the service desk see of each other: who types, and how far the other has read."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request

from connectors import messages
from connectors.callers import from_own_page
from connectors.dashboard.operators import Refused
from connectors.presence import Presence
from connectors.web.visitor import Visitors
from connectors.words import WORDS
from mall_adapter import Desk
from mall_adapter.handoff import HandoffStatus


class Seen:
    def __init__(self, desk: Desk, presence: Presence) -> None:
        self._desk = desk
        self._presence = presence

    async def by_person(self, sender: str) -> dict[str, Any]:
        """``typing``, and how many events of the conversation (``read``) whoever talks has seen; nothing before anybody
        does."""
        live = await self._desk.live(sender)
        if live is None or live.status is not HandoffStatus.CLAIMED:
            return {}
        return {"typing": await self._presence.is_typing(sender, "person"), "read": live.read_by_person}

    def router(self, visitors: Visitors) -> APIRouter:
        router = APIRouter()

        @router.post("/api/chat/presence", status_code=204)
        async def tell(body: messages.Seen, request: Request) -> None:
            """Of the cookie's visitor, in their own conversation; kept for nobody while no person is asked for."""
            visitor = visitors.identify(request)
            if visitor is None or not from_own_page(request.headers):
                raise Refused(401, "no_visitor", WORDS.refusals["no_visitor"])
            sender = f"web:{visitor}"
            live = await (self._desk.live(sender) if body.read is None else self._desk.reads(sender, body.read))
            if live is not None:
                await self._presence.types(sender, "customer", body.typing)

        return router
