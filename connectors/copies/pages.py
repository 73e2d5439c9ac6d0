"""``/my-data/{token}``: whoever has the link and knows the end of the phone fetches the copy, once.

Looking at the page, as messengers do with every link, uses nothing up.
"""

from __future__ import annotations

import asyncio
import html
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, HTTPException, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field

from connectors.callers import from_own_page
from connectors.copies.bundle import bundle
from connectors.copies.words import WORDS, Page
from connectors.pages import Pages
from connectors.web.languages import language
from connectors.web.languages import words as chat_words
from mall_adapter.data_rights import Copies
from mall_adapter.errors import NotFound

HERE = Path(__file__).parent
STATIC = HERE / "static"

TOKEN = re.compile(r"[0-9a-f]{64}")

PRIVATE = {"Cache-Control": "no-store", "X-Robots-Tag": "noindex"}


class Proof(BaseModel):
    """Body of the request for the file."""

    model_config = ConfigDict(extra="forbid")

    tail: Annotated[str, Field(pattern=r"^\d{4}$")]


def router(copies: Copies, pages: Pages) -> APIRouter:
    router = APIRouter(prefix="/my-data", include_in_schema=False)

    @router.get("/{token}")
    async def look(token: str, request: Request) -> Response:
        words = WORDS.page[language(request)]
        good = bool(TOKEN.fullmatch(token)) and await copies.is_good(token)
        response = await pages.page(_filled(words, good), **PRIVATE)
        response.status_code = 200 if good else 404
        return response

    @router.post("/{token}")
    async def fetch(token: str, body: Proof, request: Request) -> Response:
        words = WORDS.page[language(request)]
        if not from_own_page(request.headers):
            raise HTTPException(403)
        try:
            if not TOKEN.fullmatch(token):
                raise NotFound("no such copy")
            copy, left = await copies.fetch(token, body.tail)
        except NotFound:
            return _told(404, "over", words.over)
        if copy is None:
            return _told(403, "wrong", words.wrong.format(left=left)) if left else _told(404, "over", words.over)
        content = await asyncio.to_thread(bundle, copy, datetime.now(UTC))
        named = f'attachment; filename="{WORDS.file.name}.zip"'
        return Response(content, media_type="application/zip", headers=PRIVATE | {"Content-Disposition": named})

    return router


def _told(status: int, code: str, message: str) -> JSONResponse:
    return JSONResponse({"error": {"code": code, "message": message}}, status, PRIVATE)


def _filled(words: Page, good: bool) -> str:
    fields = {name: html.escape(value) for name, value in words.model_dump().items()}
    fields |= {
        "demo": html.escape(chat_words()[words.language]["demo"]),
        "name": WORDS.file.name,
        "good_hidden": "" if good else " hidden",
        "over_hidden": " hidden" if good else "",
    }
    text = (HERE / "page.html").read_text("utf-8")
    return re.sub(r"\{([a-z]\w*)\}", lambda found: fields[found[1]], text)
