"""The pages and their data: JSON but for the pages themselves. Without a sign-in there is the sign-in page, or 401."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi import Path as PathParameter
from pydantic import BaseModel, Field
from sqlalchemy.ext.asyncio import AsyncEngine

import settings
from connectors.channels import Channels
from connectors.dashboard import broadcasts, cards, conversations, delivery, energy, knowledge, offers, office
from connectors.dashboard.operators import Operators, Refused
from connectors.desk_news import DeskNews
from connectors.health import Health
from connectors.messages import MessageId, Seen, Words
from connectors.pages import Pages
from connectors.presence import Presence
from connectors.rates import Rates
from knowledge_graph import Graph
from mall_adapter import BackOffice, Desk, HouseRules, Leads
from mall_adapter.errors import InvalidTransition, NotFound
from mall_adapter.handoff import Handoff
from privacy import KeyRing
from privacy.conversations import conversation_of

HERE = Path(__file__).parent
STATIC = HERE / "static"
SIGN_IN = HERE / "sign_in.html"

NO_HANDOFF = "没有这个排队记录。"

LARGEST = 2**31 - 1
"""Of a row's number, in every database."""

RowId = Annotated[int, PathParameter(ge=1, le=LARGEST)]


class SignIn(BaseModel):
    token: Annotated[str, Field(max_length=512)]
    name: Annotated[str, Field(min_length=1, max_length=20, pattern=r"^\S(.*\S)?$")]


class Say(BaseModel):
    text: Words
    message_id: MessageId


class HandBack(BaseModel):
    resolved: bool


class Settle(BaseModel):
    intent: Annotated[str, Field(pattern=r"^[a-z_]{1,40}$")] | None = None


def framed(name: str) -> str:
    """An operators' page: what is its own, in the frame of all of them. Its first line holds its title."""
    first, _, content = (HERE / f"{name}.html").read_text("utf-8").partition("\n")
    frame = (
        (HERE / "frame.html")
        .read_text("utf-8")
        .replace(f'"/dashboard/{name}"', f'"/dashboard/{name}" aria-current="page"')
    )
    for part, text in (("title", first.strip("<!-> ")), ("name", name), ("content", content)):
        frame = frame.replace(f"{{{part}}}", text)
    return frame


def router(
    ring: KeyRing,
    engine: AsyncEngine,
    desk: Desk,
    back_office: BackOffice,
    rules: HouseRules,
    news: DeskNews,
    channels: Channels,
    presence: Presence,
    graph: Graph,
    health: Health,
    rates: Rates,
    pages: Pages,
) -> APIRouter:
    operators = Operators(
        ring.derive("operator_cookie"),
        settings.admin_token(),
        rates,
        desk,
        secure=settings.public_url().startswith("https://"),
    )
    looked = [Depends(operators.look)]
    router = APIRouter(prefix="/dashboard", include_in_schema=False, dependencies=looked)

    async def page(request: Request, name: str) -> Response:
        read = partial(framed, name) if operators.identify(request) else partial(SIGN_IN.read_text, "utf-8")
        return await pages.page(await asyncio.to_thread(read), **{"Cache-Control": "no-store"})

    def shown(handoff: Handoff) -> dict[str, Any]:
        """The channel is told, the account on it is not."""
        told = asdict(handoff)
        sender = told.pop("sender")
        return told | {"channel": sender.partition(":")[0], "conversation": conversation_of(ring, sender)}

    @router.get("")
    async def desk_page(request: Request) -> Response:
        return await page(request, "desk")

    @router.get("/office")
    async def office_page(request: Request) -> Response:
        return await page(request, "office")

    @router.get("/graph")
    async def graph_page(request: Request) -> Response:
        return await page(request, "graph")

    @router.get("/gaps")
    async def gaps_page(request: Request) -> Response:
        return await page(request, "gaps")

    @router.get("/cards")
    async def cards_page(request: Request) -> Response:
        return await page(request, "cards")

    @router.get("/offers")
    async def offers_page(request: Request) -> Response:
        return await page(request, "offers")

    @router.get("/delivery")
    async def delivery_page(request: Request) -> Response:
        return await page(request, "delivery")

    @router.get("/broadcasts")
    async def broadcasts_page(request: Request) -> Response:
        return await page(request, "broadcasts")

    @router.get("/energy")
    async def energy_page(request: Request) -> Response:
        return await page(request, "energy")

    @router.get("/conversations/{conversation}")
    async def conversation_page(conversation: str, request: Request) -> Response:
        """The frame only: what was said comes, and is put on record, when its script asks for it."""
        conversations.require_hash(conversation)
        return await page(request, "conversation")

    @router.post("/api/session", status_code=204)
    async def sign_in(body: SignIn, request: Request, response: Response) -> None:
        await operators.sign_in(request, response, body.token, body.name)

    @router.delete("/api/session", status_code=204)
    async def sign_out(request: Request, response: Response) -> None:
        operators.writer(request)
        operators.sign_out(response)

    @router.get("/api/session")
    async def session(request: Request, response: Response) -> dict[str, Any]:
        response.headers["Cache-Control"] = "no-store"
        operator = operators.reader(request)
        return {"name": operator.name, "csrf": operator.csrf}

    @router.get("/api/health")
    async def parts(request: Request, response: Response) -> dict[str, Any]:
        operators.reader(request)
        response.headers["Cache-Control"] = "no-store"
        return asdict(await health.report())

    @router.get("/api/handoffs")
    async def handoffs(request: Request, response: Response) -> dict[str, Any]:
        operators.reader(request)
        response.headers["Cache-Control"] = "no-store"
        return {"open": desk.opens_at() is None, "handoffs": [shown(each) for each in await desk.open_handoffs()]}

    @router.get("/api/handoffs/{handoff_id}")
    async def conversation(
        handoff_id: RowId,
        request: Request,
        response: Response,
        after: Annotated[int | None, Query(ge=0, le=LARGEST)] = None,
    ) -> dict[str, Any]:
        """The hand-off, the transcript's lines from ``after`` on, what is still on its way to the bot, and whether the
        customer is typing."""
        operators.reader(request)
        response.headers["Cache-Control"] = "no-store"
        try:
            handoff = await desk.handoff(handoff_id)
        except NotFound:
            raise Refused(404, "not_found", NO_HANDOFF) from None
        unsent = await desk.unsent(handoff.sender)
        lines, after = await desk.transcript(handoff.sender, after)
        return {
            "handoff": shown(handoff),
            "lines": [asdict(line) for line in lines],
            "after": after,
            "unsent": unsent,
            "typing": await presence.is_typing(handoff.sender, "customer"),
        }

    async def done(doing: Awaitable[Handoff], code: str, words: str) -> dict[str, Any]:
        """What an operator did, on its way to the customer; refused with ``code`` and ``words`` if it came too late."""
        try:
            handoff = await doing
        except NotFound:
            raise Refused(404, "not_found", NO_HANDOFF) from None
        except InvalidTransition:
            raise Refused(409, code, words) from None
        await news.send_soon(handoff.sender)
        return shown(handoff)

    @router.post("/api/handoffs/{handoff_id}/claim")
    async def claim(handoff_id: RowId, request: Request) -> dict[str, Any]:
        actor = operators.writer(request).actor
        return await done(desk.claim(actor, handoff_id), "taken", "这位顾客已经有同事接手，或不再等了。")

    @router.post("/api/handoffs/{handoff_id}/say")
    async def say(handoff_id: RowId, body: Say, request: Request) -> dict[str, Any]:
        actor = operators.writer(request).actor
        saying = desk.say(actor, handoff_id, body.text, body.message_id)
        return await done(saying, "not_claimed", "这段对话不在人工服务中，消息没有发出。")

    @router.post("/api/handoffs/{handoff_id}/presence", status_code=204)
    async def attend(handoff_id: RowId, body: Seen, request: Request) -> None:
        """What the customer is to see of the operator who has claimed it."""
        actor = operators.writer(request).actor
        try:
            handoff = await desk.attend(actor, handoff_id, body.read)
        except NotFound:
            raise Refused(404, "not_found", NO_HANDOFF) from None
        except InvalidTransition:
            raise Refused(409, "not_claimed", "这段对话不是您在接待。") from None
        await presence.types(handoff.sender, "person", body.typing)

    @router.post("/api/handoffs/{handoff_id}/hand-back")
    async def hand_back(handoff_id: RowId, body: HandBack, request: Request) -> dict[str, Any]:
        actor = operators.writer(request).actor
        doing = desk.hand_back(actor, handoff_id, body.resolved)
        return await done(doing, "not_claimed", "这段对话已经交还给机器人了。")

    @router.get("/api/misunderstood")
    async def misunderstood(request: Request, response: Response) -> dict[str, Any]:
        operators.reader(request)
        response.headers["Cache-Control"] = "no-store"
        return {"messages": [asdict(each) for each in await desk.misunderstood(limit=100)]}

    @router.post("/api/misunderstood/{message_id}/settle", status_code=204)
    async def settle(message_id: RowId, body: Settle, request: Request) -> None:
        actor = operators.writer(request).actor
        try:
            await desk.settle(actor, message_id, body.intent)
        except NotFound:
            raise Refused(404, "not_found", "没有这条消息。") from None

    @router.get("/api/complaints")
    async def complaints(request: Request, response: Response) -> dict[str, Any]:
        operators.reader(request)
        response.headers["Cache-Control"] = "no-store"
        return {"complaints": [asdict(each) for each in await desk.complaints(limit=100)]}

    @router.post("/api/complaints/{complaint_id}/settle", status_code=204)
    async def settle_complaint(complaint_id: RowId, request: Request) -> None:
        actor = operators.writer(request).actor
        try:
            await desk.settle_complaint(actor, complaint_id)
        except NotFound:
            raise Refused(404, "not_found", "没有这条投诉。") from None

    router.include_router(conversations.router(operators, desk, channels.media), prefix="/api")
    router.include_router(broadcasts.router(operators, engine), prefix="/api")
    router.include_router(cards.router(operators, graph, Leads(engine)), prefix="/api")
    router.include_router(delivery.router(operators, ring, engine, channels.delivery), prefix="/api")
    router.include_router(energy.router(operators, engine), prefix="/api")
    router.include_router(offers.router(operators, engine, rules), prefix="/api")
    router.include_router(office.router(operators, back_office, rules), prefix="/api")
    router.include_router(knowledge.router(operators, graph), prefix="/api")
    return router
