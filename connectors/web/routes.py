"""The web chat's pages: its own, the one that other sites hold in a frame, and what makes it an app on a phone."""

from __future__ import annotations

import asyncio
import html
import json
import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from fastapi import APIRouter, HTTPException, Request, Response
from fastapi.responses import FileResponse

from connectors.callers import from_own_page
from connectors.dashboard.operators import Refused
from connectors.hardening import content_security
from connectors.inbound import Inbound
from connectors.media import MediaStore
from connectors.messages import MessageId
from connectors.pages import Pages
from connectors.web.pictures import NoPicture, rewritten
from connectors.web.visitor import HEADER, Visitors
from connectors.words import WORDS
from connectors.worker import Worker
from mall_adapter import Desk
from mall_adapter.handoff import HandoffStatus
from privacy import current_ring
from privacy.conversations import conversation_of

HERE = Path(__file__).parent
STATIC = HERE / "static"

REFUSALS = WORDS.refusals

PICTURES_AT_ONCE = 2
"""That are read: each takes much memory for a moment."""

LANGUAGE = "zhanggui_language"
"""The cookie of who has chosen one."""

YEAR = 365 * 24 * 3600

THEME = "#c8402f"
"""The colour that a phone gives the app's frame, in the light."""


@cache
def words() -> dict[str, dict[str, Any]]:
    """The page's words by language, the first of which is everybody's who has asked for none of them.

    Raises ValueError where a language lacks some."""
    languages: dict[str, dict[str, Any]] = yaml.safe_load((HERE / "words.yml").read_text("utf-8"))
    first, *others = languages.values()
    for language, other in zip(list(languages)[1:], others, strict=True):
        if odd := first.keys() ^ other.keys():
            raise ValueError(f"words.yml: {language} differs in {', '.join(sorted(odd))}")
    return languages


def language(request: Request) -> str:
    """The one asked for in the address, chosen earlier, or liked best by the browser."""
    known = words()
    for asked in (request.query_params.get("lang"), request.cookies.get(LANGUAGE)):
        if asked in known:
            return asked
    for liked in _by_preference(request.headers.get("Accept-Language", "")):
        for each in known:
            if liked.partition("-")[0] == each.partition("-")[0].lower():
                return each
    return next(iter(known))


def _by_preference(header: str) -> Sequence[str]:
    """The languages of an ``Accept-Language`` header in lower case, the best first."""
    weighed = []
    for entry in header.lower().split(",")[:20]:
        name, _, weight = entry.partition(";")
        if found := re.fullmatch(r"\s*(?:q=([01](?:\.\d{1,3})?))?\s*", weight):
            weighed.append((-float(found[1] or 1), name.strip()))
    return [name for weight, name in sorted(weighed, key=lambda each: each[0]) if weight]


def _as_data(value: object) -> str:
    """JSON that may stand in a page's ``script``."""
    return json.dumps(value, ensure_ascii=False).replace("<", "\\u003c")


def _filled(name: str, language: str, **data: object) -> str:
    """A page in this language; ``data`` is for its script."""
    mine = words()[language]
    other = next(each for each in words() if each != language)
    fields = mine | {"language": language, "other": other, "other_name": words()[other]["name"]}
    fields["words"] = _as_data(mine | {"language": language, "mark": WORDS.marks["picture"]} | data)
    text = (HERE / name).read_text("utf-8")
    return re.sub(
        r"\{(\w+)\}", lambda found: fields["words"] if found[1] == "words" else html.escape(fields[found[1]]), text
    )


def router(
    pages: Pages, visitors: Visitors, desk: Desk, media: MediaStore, worker: Worker, embed_origins: Sequence[str]
) -> APIRouter:
    """``embed_origins``: the sites that may hold the chat in a frame."""
    router = APIRouter(include_in_schema=False)
    reading = asyncio.Semaphore(PICTURES_AT_ONCE)

    async def page(name: str, language: str, **data: object) -> Response:
        return await pages.page(await asyncio.to_thread(_filled, name, language, **data))

    @router.get("/")
    async def chat(request: Request) -> Response:
        response = await page("index.html", language(request))
        visitors.remember(response, visitors.identify(request))
        if request.query_params.get("lang") in words():
            response.set_cookie(LANGUAGE, language(request), max_age=YEAR, samesite="lax")
        return response

    @router.get("/embed")
    async def framed(request: Request) -> Response:
        """The chat in a frame of another site."""
        if not embed_origins:
            raise HTTPException(404)
        response = await page("index.html", language(request), embedded_in=embed_origins)
        response.headers["Content-Security-Policy"] = content_security(embed_origins)
        visitors.remember_framed(response, visitors.framed(request))
        return response

    @router.post("/api/chat/visitor")
    async def visitor(request: Request, response: Response) -> dict[str, str | None]:
        """A fresh token for the visitor who shows one, or for a new one; none for whom a cookie makes known."""
        if not from_own_page(request.headers):
            raise HTTPException(403)
        response.headers["Cache-Control"] = "no-store"
        known = visitors.identify(request)
        return {"token": None if known and HEADER not in request.headers else visitors.token(known)}

    @router.post("/api/chat/pictures")
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
        live = await desk.live(sender)
        if live is None or live.status is not HandoffStatus.CLAIMED:
            return {"id": message_id, "messages": [{"text": WORDS.receipts.media["picture"]}]}
        marked = Inbound(channel="web", account=visitor, message_id=message_id, text=WORDS.marks["picture"])
        reply = await worker.turn(marked)
        return {"id": message_id, "messages": [each.model_dump(exclude_unset=True) for each in reply.messages]}

    @router.get("/api/chat/pictures/{message_id}")
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

    @router.get("/embed.js")
    async def embed() -> Response:
        if not embed_origins:
            raise HTTPException(404)
        shown = {name: {key: each[key] for key in ("open", "close", "news")} for name, each in words().items()}
        text = await asyncio.to_thread((HERE / "embed.js").read_text, "utf-8")
        script = text.replace('"{words}"', json.dumps(shown, ensure_ascii=False))
        return Response(script, media_type="text/javascript; charset=utf-8")

    @router.get("/manifest.webmanifest")
    async def manifest(request: Request) -> Response:
        mine = words()[language(request)]
        app = {
            "id": "/",
            "name": mine["title"],
            "short_name": mine["short_title"],
            "description": mine["subtitle"],
            "lang": language(request),
            "start_url": "/",
            "scope": "/",
            "display": "standalone",
            "theme_color": THEME,
            "background_color": "#faf6f2",
            "icons": [
                {"src": "/static/icon.svg", "sizes": "any", "type": "image/svg+xml", "purpose": purpose}
                for purpose in ("any", "maskable")
            ],
        }
        return Response(json.dumps(app, ensure_ascii=False), media_type="application/manifest+json")

    @router.get("/offline")
    async def offline(request: Request) -> Response:
        """What the service worker shows without a network."""
        return await page("offline.html", language(request))

    @router.get("/service-worker.js")
    async def service_worker() -> Response:
        """At the root: it looks after the page there."""
        return FileResponse(HERE / "service-worker.js", media_type="text/javascript; charset=utf-8")

    return router
