"""``/dashboard``: the page, signing in, and what the page asks for."""

from __future__ import annotations

import hashlib
import hmac
import time
from collections import deque
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Cookie, Depends, Header, HTTPException, Response
from fastapi.responses import FileResponse
from itsdangerous import BadSignature, TimestampSigner
from pydantic import BaseModel, Field

import settings
from connectors.bot_client import BotClient
from mall_adapter import Desk, DeskError, Handoff

PAGE = Path(__file__).parent / "index.html"
COOKIE = "zhanggui_operator"
SIGNED_IN_FOR = 12 * 3600
"""Seconds."""

TRIES, TRIES_WITHIN = 10, 300.0
"""Wrong tokens of all callers together, within so many seconds, after which nobody may try."""

GOODBYE = "人工客服已结束本次服务，掌柜继续为您服务。方便的话请打个分：回“五星”到“一星”就行。"


class SignIn(BaseModel):
    token: Annotated[str, Field(max_length=256)]


class Words(BaseModel):
    text: Annotated[str, Field(min_length=1, max_length=2000)]
    key: Annotated[str, Field(pattern=r"^[A-Za-z0-9]{8,64}$")]


class HandBack(BaseModel):
    resolved: bool


def dashboard(desk: Desk, bot: BotClient, key: bytes) -> APIRouter:
    """The router; ``key`` signs the operators' cookies."""
    signer = TimestampSigner(key, digest_method=hashlib.sha256, key_derivation="hmac")
    wrong: deque[float] = deque(maxlen=TRIES)

    def signed_in(zhanggui_operator: Annotated[str, Cookie()] = "") -> None:
        try:
            signer.unsign(zhanggui_operator, max_age=SIGNED_IN_FOR)
        except BadSignature:
            raise HTTPException(401) from None

    def own_page(x_requested_with: Annotated[str, Header()] = "") -> None:
        """A foreign page cannot send this header without asking first, and is not answered when it asks."""
        if x_requested_with != "zhanggui":
            raise HTTPException(403)

    reading, writing = [Depends(signed_in)], [Depends(signed_in), Depends(own_page)]
    router = APIRouter(prefix="/dashboard", include_in_schema=False)

    @router.get("")
    async def page() -> FileResponse:
        return FileResponse(PAGE)

    @router.post("/session", dependencies=[Depends(own_page)])
    async def sign_in(body: SignIn, response: Response) -> dict[str, Any]:
        now = time.monotonic()
        if len(wrong) == TRIES and now - wrong[0] < TRIES_WITHIN:
            raise HTTPException(429)
        if not hmac.compare_digest(body.token.strip().encode(), settings.admin_token().encode()):
            wrong.append(now)
            raise HTTPException(401)
        response.set_cookie(
            COOKIE,
            signer.sign(b"operator").decode("ascii"),
            max_age=SIGNED_IN_FOR,
            httponly=True,
            samesite="strict",
            secure=settings.public_url().startswith("https://"),
            path="/dashboard",
        )
        return {}

    @router.delete("/session", dependencies=[Depends(own_page)])
    async def sign_out(response: Response) -> dict[str, Any]:
        response.delete_cookie(COOKIE, path="/dashboard")
        return {}

    @router.get("/handoffs", dependencies=reading)
    async def handoffs() -> list[dict[str, Any]]:
        return [_public(handoff) for handoff in await desk.queue()]

    @router.get("/handoffs/{handoff_id}", dependencies=reading)
    async def conversation(handoff_id: str) -> dict[str, Any]:
        handoff = await _known(desk, handoff_id)
        lines = await desk.transcript(handoff.sender)
        shown = [{"who": line.who, "text": line.text, "time": line.time.isoformat()} for line in lines]
        return {**_public(handoff), "lines": shown}

    @router.post("/handoffs/{handoff_id}/claim", dependencies=writing)
    async def claim(handoff_id: str) -> dict[str, Any]:
        handoff = await _settled(desk.claim(handoff_id))
        await bot.tell(handoff.sender, "pause")
        return _public(handoff)

    @router.post("/handoffs/{handoff_id}/messages", dependencies=writing)
    async def say(handoff_id: str, body: Words) -> dict[str, Any]:
        """Written for the customer first, then into the conversation; sent again under its key it is said once."""
        handoff = await _known(desk, handoff_id)
        key = f"{handoff_id}:{body.key}"
        await _settled(desk.say(handoff_id, body.text, key))
        await bot.tell(handoff.sender, "said", body.text, key)
        return {}

    @router.post("/handoffs/{handoff_id}/end", dependencies=writing)
    async def end(handoff_id: str, body: HandBack) -> dict[str, Any]:
        handoff = await _known(desk, handoff_id)
        await bot.tell(handoff.sender, "resume")
        return _public(await _settled(desk.hand_back(handoff_id, body.resolved, GOODBYE)))

    @router.get("/misunderstood", dependencies=reading)
    async def misunderstood() -> list[dict[str, Any]]:
        return [
            {"id": entry.id, "text": entry.text, "guesses": entry.guesses, "time": entry.time.isoformat()}
            for entry in await desk.misunderstood()
        ]

    @router.post("/misunderstood/{entry_id}/settle", dependencies=writing)
    async def settle(entry_id: int) -> dict[str, Any]:
        await desk.settle(entry_id)
        return {}

    return router


async def _known(desk: Desk, handoff_id: str) -> Handoff:
    return await _settled(desk.handoff(handoff_id))


async def _settled(doing: Any) -> Handoff:
    try:
        done: Handoff = await doing
    except DeskError:
        raise HTTPException(409) from None
    return done


def _public(handoff: Handoff) -> dict[str, Any]:
    return {
        "id": handoff.id,
        "channel": handoff.sender.partition(":")[0],
        "reason": handoff.reason,
        "status": handoff.status.value,
        "requested_at": handoff.requested_at.isoformat(),
    }
