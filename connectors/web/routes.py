"""The web chat's pages: its own, the one that other sites hold in a frame, and what makes it an app on a phone."""

from __future__ import annotations

import asyncio
import html
import json
import re
from collections.abc import Sequence
from pathlib import Path

from fastapi import APIRouter, HTTPException, Request, Response
from fastapi.responses import FileResponse

from connectors.callers import from_own_page
from connectors.hardening import content_security
from connectors.media import MediaStore
from connectors.pages import Pages
from connectors.web import pictures
from connectors.web.languages import COOKIE, language, words
from connectors.web.seen import Seen
from connectors.web.visitor import HEADER, Visitors
from connectors.words import WORDS
from connectors.worker import Worker
from mall_adapter import Desk
from mall_adapter.cards import Cards

HERE = Path(__file__).parent
STATIC = HERE / "static"

YEAR = 365 * 24 * 3600

THEME = "#c8402f"
"""The colour that a phone gives the app's frame, in the light."""


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
    pages: Pages,
    visitors: Visitors,
    desk: Desk,
    media: MediaStore,
    worker: Worker,
    cards: Cards,
    seen: Seen,
    embed_origins: Sequence[str],
) -> APIRouter:
    """``embed_origins`` may hold the chat in a frame. Raises ValueError where a language lacks words."""
    words()
    router = APIRouter(include_in_schema=False)
    router.include_router(pictures.router(visitors, desk, media, worker, cards))
    router.include_router(seen.router(visitors))

    async def page(name: str, language: str, **data: object) -> Response:
        return await pages.page(await asyncio.to_thread(_filled, name, language, **data))

    @router.get("/")
    async def chat(request: Request) -> Response:
        response = await page("index.html", language(request))
        visitors.remember(response, visitors.identify(request))
        if request.query_params.get("lang") in words():
            response.set_cookie(COOKIE, language(request), max_age=YEAR, samesite="lax")
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
