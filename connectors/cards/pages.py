"""``/c/{token}``: a card's page, picture and contact.

Looking at it notes nothing. The page itself tells that somebody looks at it, which crawlers and previews do not; then
the visitor gets a link of their own. Whoever declines is not noted, and a cookie keeps that.
"""

from __future__ import annotations

import asyncio
import base64
import html
import re
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from urllib.parse import quote

from fastapi import APIRouter, HTTPException, Request, Response
from fastapi.responses import FileResponse, RedirectResponse

import settings
from connectors.callers import SHORT, address_hash, from_own_page
from connectors.cards.contact import contact
from connectors.cards.drawing import draw
from connectors.cards.words import AGENTS, WORDS, Page
from connectors.channel import Channel
from connectors.pages import Pages
from connectors.web.languages import language
from connectors.web.languages import words as chat_words
from connectors.web.visitor import Visitors
from mall_adapter.cards import Cards, Copy
from mall_adapter.values import Listing
from privacy.columns import exact_index

HERE = Path(__file__).parent
STATIC = HERE / "static"

DECLINED = "zhanggui_unrecorded"
"""The cookie of whoever does not want to be noted."""

YEAR = 365 * 24 * 3600

GOODS_SECONDS = 60.0
"""For which the goods' names and prices are remembered."""

TOKEN = re.compile(r"[A-Za-z0-9_-]{1,64}")

Catalogue = Callable[[], Awaitable[Sequence[Listing]]]


class _Goods:
    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        self._known: Mapping[str, Listing] = {}
        self._asked = -GOODS_SECONDS

    async def of(self, ids: Sequence[str]) -> list[Listing]:
        if ids and time.monotonic() - self._asked >= GOODS_SECONDS:
            self._known = {one.id: one for one in await self._catalogue()}
            self._asked = time.monotonic()
        return [self._known[each] for each in ids if each in self._known]


def router(
    cards: Cards, catalogue: Catalogue, visitors: Visitors, channels: Mapping[str, Channel], pages: Pages
) -> APIRouter:
    router = APIRouter(prefix="/c", include_in_schema=False)
    shelf = _Goods(catalogue)

    async def found(token: str) -> Copy:
        if TOKEN.fullmatch(token) and (copy := await cards.look(token)):
            return copy
        raise HTTPException(404)

    @router.get("/{token}.png")
    async def picture(token: str) -> Response:
        copy = await found(token)
        names = [one.name for one in await shelf.of(copy.face.product_ids)]
        name = await asyncio.to_thread(draw, copy.face, names, _link(copy.token))
        headers = {"Cache-Control": "public, max-age=300"}
        return FileResponse(settings.pictures_dir() / name, media_type="image/png", headers=headers)

    @router.get("/{token}.vcf")
    async def save(token: str, request: Request) -> Response:
        copy, words = await found(token), _words(request)
        text = contact(copy.face, copy.face.title or words.title, words.shop, _link(copy.token))
        named = f"attachment; filename=\"card.vcf\"; filename*=UTF-8''{quote(copy.face.name)}.vcf"
        return Response(text, media_type="text/vcard; charset=utf-8", headers={"Content-Disposition": named})

    @router.api_route("/{token}", methods=["GET", "HEAD"])
    async def page(token: str, request: Request) -> Response:
        words = _words(request)
        copy = await cards.look(token) if TOKEN.fullmatch(token) else None
        if copy is None:
            response = await pages.page(_filled("gone.html", words.model_dump(), {}))
            response.status_code = 404
            return response
        goods = await shelf.of(copy.face.product_ids)
        first = AGENTS.channel(request.headers.get("User-Agent", ""))
        on = sorted(channels, key=lambda name: name != first)
        order = [*on, "web"] if first in channels else ["web", *on]
        declined = DECLINED in request.cookies
        fields, snippets = _shown(copy, goods, words, order, declined)
        return await pages.page(_filled("page.html", fields, snippets))

    @router.post("/{token}/open")
    async def opened(token: str, request: Request, response: Response) -> dict[str, object]:
        """Somebody looks at the page: their own token from now on."""
        return await note(token, request, response)

    @router.post("/{token}/accept")
    async def accept(token: str, request: Request, response: Response) -> dict[str, object]:
        response.delete_cookie(DECLINED)
        return await note(token, request, response, anyway=True)

    @router.post("/{token}/decline")
    async def decline(token: str, request: Request, response: Response) -> dict[str, object]:
        if not from_own_page(request.headers):
            raise HTTPException(403)
        if visitor := visitors.identify(request):
            await cards.decline(f"web:{visitor}")
        response.set_cookie(DECLINED, "1", max_age=YEAR, httponly=True, samesite="lax")
        return {"token": token, "declined": True}

    async def note(token: str, request: Request, response: Response, *, anyway: bool = False) -> dict[str, object]:
        if not from_own_page(request.headers):
            raise HTTPException(403)
        response.headers["Cache-Control"] = "no-store"
        agent, declined = request.headers.get("User-Agent", ""), DECLINED in request.cookies and not anyway
        if declined or AGENTS.is_crawler(agent) or _fetched_before(request):
            return {"token": token, "declined": declined}
        visitor = visitors.remember(response, visitors.identify(request))
        if anyway:
            await cards.accept(f"web:{visitor}")
        signals = {"device": exact_index(agent, "card.device")[:SHORT]}
        if where := address_hash(request.scope):
            signals["address"] = where
        own = await cards.open(token, f"web:{visitor}", signals) if TOKEN.fullmatch(token) else None
        if own is None:
            raise HTTPException(404)
        return {"token": own, "declined": False}

    @router.get("/{token}/{channel}")
    async def go_on(token: str, channel: str) -> Response:
        """Into the chat of this channel, where the token says by which card they come."""
        copy = await found(token)
        address = await channels[channel].invite(copy.token) if channel in channels else None
        if address is None:
            raise HTTPException(404)
        return RedirectResponse(address, 302, {"Cache-Control": "no-store"})

    return router


def _fetched_before(request: Request) -> bool:
    """By a browser that thinks somebody might want to look."""
    purpose = request.headers.get("Sec-Purpose", "") + request.headers.get("Purpose", "")
    return "prefetch" in purpose.lower()


def _link(token: str) -> str:
    return f"{settings.public_url()}/c/{token}"


def _words(request: Request) -> Page:
    return WORDS.page[language(request)]


def _shown(
    copy: Copy, goods: Sequence[Listing], words: Page, chats: Sequence[str], declined: bool
) -> tuple[dict[str, str], dict[str, str]]:
    """What is filled in as text, and as pieces of the page."""
    face, token = copy.face, copy.token
    title = face.title or words.title
    fields = words.model_dump() | {
        "token": token,
        "link": _link(token),
        "name": face.name,
        "title": title,
        "heading": words.heading.format(name=face.name, title=title),
        "about": face.greeting or words.description,
        "demo": chat_words()[words.language]["demo"],
    }
    portrait = f'<div class="portrait" aria-hidden="true">{html.escape(face.name[:1])}</div>'
    if face.portrait:
        data = base64.b64encode(face.portrait).decode()
        portrait = f'<img class="portrait" alt="" width="112" height="112" src="data:image/jpeg;base64,{data}">'
    links = (
        f'<a class="chat" href="{"/" if name == "web" else f"/c/{token}/{name}"}">'
        f"{html.escape(str(getattr(words, f'chat_{name}')))}</a>"
        for name in chats
    )
    rows = "".join(f"<li>{html.escape(one.name)}<span>{html.escape(_price(one, words))}</span></li>" for one in goods)
    number = html.escape(face.phone or "")
    snippets = {
        "portrait": portrait,
        "greeting": f'<p class="greeting">{html.escape(face.greeting)}</p>' if face.greeting else "",
        "phone": f'<p class="phone"><a href="tel:{quote(face.phone or "")}">{number}</a></p>' if number else "",
        "chats": "".join(links),
        "goods": f'<section class="goods"><h2>{html.escape(words.goods)}</h2><ul>{rows}</ul></section>' if rows else "",
        "decline_hidden": " hidden" if declined else "",
        "declined_hidden": "" if declined else " hidden",
    }
    return fields, snippets


def _price(one: Listing, words: Page) -> str:
    return words.price_from.format(price=f"{one.price_min_cents / 100:.2f}".removesuffix(".00"))


@cache
def _template(name: str) -> str:
    return (HERE / name).read_text("utf-8")


def _filled(name: str, fields: Mapping[str, str], snippets: Mapping[str, str]) -> str:
    def value(found: re.Match[str]) -> str:
        return snippets[found[1]] if found[1] in snippets else html.escape(fields[found[1]])

    return re.sub(r"\{(\w+)\}", value, _template(name))
