"""The gateway: one HTTP address for customers' messages, the web chat, the operators and the health of the whole.

Whatever comes is in the inbox before it is worked on, and is worked on by another process if this one dies. The bot's
conversation store is the one place that knows what was answered: a message sent again under its id within the session
gets the recorded answer from there, even with another text.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict
from functools import partial
from secrets import token_hex
from typing import Annotated, Any, cast

import httpx
from fastapi import FastAPI, HTTPException, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, JSONResponse
from fastapi.routing import APIRoute
from fastapi.staticfiles import StaticFiles
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncEngine
from starlette.exceptions import HTTPException as StarletteHTTPException
from starlette.middleware.gzip import GZipMiddleware
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

import settings
from connectors import cards, copies, dashboard, metrics, retention, web
from connectors.background import Background
from connectors.bot_client import BotClient, BotUnavailable
from connectors.callers import Callers, Scope, address, address_hash
from connectors.cards.counting import keep_counting
from connectors.channel import Channel
from connectors.channels import Channels
from connectors.dashboard.operators import Refused
from connectors.desk_news import DeskNews
from connectors.erasing import keep_erasing
from connectors.hardening import Hardening
from connectors.health import Health
from connectors.inbound import Inbound
from connectors.leads import LeadTalks, keep_following
from connectors.messages import PICTURE, BotMessage, ChatRequest, Reply, Thumb, caller
from connectors.notices import keep_broadcasting, keep_noticing
from connectors.offers import keep_offering
from connectors.pages import Pages
from connectors.personal import personal
from connectors.presence import Presence
from connectors.rates import Limited, Rates
from connectors.turns import Busy, Turns
from connectors.upkeep import keep_earning, keep_expiring, keep_tidy
from connectors.words import WORDS
from connectors.worker import Worker
from knowledge_graph import Graph, GraphDown, content, feedback, products, reports
from mall_adapter import BackOffice, Desk, HouseRules, SqlBackOffice, read_catalogue
from mall_adapter.cards import Cards
from mall_adapter.data_rights import PARTS, Copies
from mall_adapter.errors import MallUnavailable, NotPermitted
from mall_adapter.http.client import HttpBackOffice, HttpMall, connection
from mall_adapter.http.own import own_mall_api
from mall_adapter.names import watch_names
from mall_adapter.offers import Rules
from privacy import KeyRing, KeyRingError, TamperedError
from privacy.columns import blind_index

log = logging.getLogger(__name__)

REFUSALS, COMPLAINTS, TASKS = WORDS.refusals, WORDS.complaints, WORDS.tasks

LISTENING = BotMessage(text=WORDS.receipts.listening, custom={"desk": "claimed"})
"""The receipt while a person has taken over and the bot keeps silent. A page that shows people's answers by themselves
need not show it; everybody else hears something rather than nothing."""


def create_app(ring: KeyRing, engine: AsyncEngine) -> FastAPI:
    """The gateway for this key ring, whose fit the caller has checked.

    ``/healthz`` asks the database, and while it runs it keeps the list of the goods' names for the bot up to date.
    It closes the engine when it stops.
    """
    http = httpx.AsyncClient(timeout=5.0, trust_env=False)  # the actions are neighbours: never through a proxy
    bot = BotClient(settings.rasa_urls())
    turns = Turns()
    thumbs = Turns(per_sender=3)  # a queue of their own: nobody waits with a thumb for the bot
    rules = HouseRules()
    health = Health(bot, http, engine)
    health.add("rules", rules.warnings)
    health.add("knowledge", _knowledge)
    rules.desk.look()
    desk = Desk(engine, settings.desk_hours(), rules=rules.desk.good())
    rules.offers.look()
    rules.budgets.look()
    offering = Rules(rules.offers.good(), rules.budgets.good())
    channels = Channels(engine, ring, bot, desk)
    kept = retention.read(settings.retention_file())
    worker = channels.worker
    news = DeskNews(desk, bot, worker.onward, channels.delivery.soon)
    lead_talks = LeadTalks(engine, bot, worker.onward, channels.delivery.soon, rules.desk.good())
    smart = Cards(engine)
    background = Background()
    for channel in channels:
        health.add(channel.name, channel.check)
    health.off = channels.off
    health.add("delivery", channels.delivery.check)
    health.add("tasks", background.check)
    rates = Rates(settings.rate_limits(), settings.redis_url())
    graph = Graph.from_settings()  # connects when it is first asked
    visitors = web.Visitors(ring.derive_each("visitor_cookie"), secure=settings.public_url().startswith("https://"))
    senders = ring.derive_each("api_sender")[0]  # gives names, which stay the same
    callers = Callers.from_settings()
    pages = Pages(engine)
    parts = (personal(settings.media_dir()), *PARTS)
    presence = Presence(settings.redis_url())
    seen = web.Seen(desk, presence)
    elsewhere = connection(url, settings.mall_key()) if (url := settings.mall_url()) else None
    catalogue = HttpMall(elsewhere).catalogue if elsewhere else partial(read_catalogue, engine)
    office = cast(BackOffice, HttpBackOffice(elsewhere)) if elsewhere else SqlBackOffice(engine)

    if elsewhere:
        mall = HttpMall(elsewhere)

        async def answers() -> list[str]:
            await mall.terms()
            return []

        health.add("mall", answers)

    async def limits() -> list[str]:
        return [*await rates.check(), *callers.check()]

    health.add("limits", limits)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        background.start(TASKS["names"], lambda: watch_names(catalogue, settings.catalogue_file()))
        background.start(TASKS["desk"], news.keep_sending)
        background.start(TASKS["upkeep"], lambda: keep_tidy(engine, channels.media, kept))
        if not elsewhere:
            background.start(TASKS["reservations"], lambda: keep_expiring(SqlBackOffice(engine)))
            background.start(TASKS["energy"], lambda: keep_earning(engine, rules))
            background.start(TASKS["noticing"], lambda: keep_noticing(engine))
            background.start(TASKS["broadcasts"], lambda: keep_broadcasting(engine))
            background.start(TASKS["leads"], lambda: keep_following(engine))
            background.start(TASKS["lead_talks"], lead_talks.keep_passing_on)
            background.start(TASKS["cards"], lambda: keep_counting(engine))
            background.start(TASKS["erasing"], lambda: keep_erasing(engine, parts))
            background.start(TASKS["offering"], lambda: keep_offering(engine, offering))
        background.start(TASKS["rules"], rules.watch)
        channels.start(background)
        for channel in channels:
            background.start(TASKS["listen"].format(name=channel.name), partial(_listen, channel))
        yield
        await background.close()
        await channels.close()
        await bot.aclose()
        await http.aclose()
        await presence.close()
        if elsewhere:
            await elsewhere.aclose()
        await graph.close()
        await engine.dispose()

    app = FastAPI(
        title="掌柜", lifespan=lifespan, openapi_url=None
    )  # its own pages of documentation load outside assets
    app.add_middleware(Limited, rates=rates, callers=callers)
    app.add_middleware(Hardening)
    app.add_middleware(ProxyHeadersMiddleware, trusted_hosts=settings.trusted_proxies())
    _explain_errors(app)

    app.include_router(web.router(pages, visitors, desk, channels.media, worker, smart, seen, settings.embed_origins()))
    app.mount("/static", GZipMiddleware(StaticFiles(directory=web.STATIC)))
    app.include_router(cards.router(smart, catalogue, visitors, channels.on, pages))
    app.mount("/cards/static", GZipMiddleware(StaticFiles(directory=cards.STATIC)))
    app.include_router(copies.router(Copies(engine, parts), pages))
    app.mount("/copies/static", GZipMiddleware(StaticFiles(directory=copies.STATIC)))

    def who(request: Request, conversation: str | None) -> str | None:
        """The sender of a caller's own conversation, or the visitor of the cookie, if there is one."""
        if conversation is not None:
            if not callers.may_name_sender(request.scope):
                raise Refused(401, "api_key_wanted", REFUSALS["api_key_wanted"])
            return caller(senders, conversation)
        visitor = visitors.identify(request)
        return f"web:{visitor}" if visitor else None

    @app.post("/api/chat")
    async def chat(body: ChatRequest, request: Request, response: Response) -> dict[str, Any]:
        """Say something to the bot, as the visitor of the cookie or in a caller's own conversation."""
        sender = who(request, body.sender) or f"web:{visitors.remember(response, None)}"
        response.headers["Cache-Control"] = "no-store"
        # a program calls from its own address, not from its customers'
        where = address_hash(request.scope) if body.sender is None else None
        channel, _, account = sender.partition(":")
        inbound = Inbound(
            channel=channel,
            account=account,
            message_id=body.message_id or token_hex(16),
            text=body.text,
            data={"address": where} if where else {},
        )
        async with turns.turn(sender):
            reply = await _answer(worker, inbound)
        if not sender.startswith("web:"):  # the web chat draws tables itself
            for each in reply.messages:
                each.show_picture(settings.public_url())
        return {"id": inbound.message_id, **reply.model_dump(exclude_unset=True)}

    @app.get("/pictures/{name}", include_in_schema=False)
    async def picture(name: str) -> Response:
        """A comparison that the bot has drawn; its name is a hash of what it shows."""
        path = settings.pictures_dir() / name
        if not PICTURE.fullmatch(name) or not path.is_file():
            raise HTTPException(404)
        return FileResponse(path, headers={"Cache-Control": "public, max-age=31536000, immutable"})

    @app.get("/api/chat/updates")
    async def updates(
        request: Request,
        response: Response,
        sender: Annotated[str | None, Query(min_length=1, max_length=256)] = None,
        after: Annotated[int | None, Query(ge=0, le=2**31 - 1)] = None,
    ) -> dict[str, Any]:
        """What came by itself after position ``after`` while a person talks; ``more``: ask again in a moment."""
        response.headers["Cache-Control"] = "no-store"
        found = who(request, sender)
        more, news = await desk.updates(found, after) if found else (False, [])
        last = news[-1].position if news else after
        return {"more": more, "after": last, "messages": [message for each in news for message in each.messages]}

    @app.get("/api/chat/history")
    async def history(
        request: Request, response: Response, after: Annotated[int | None, Query(ge=0, le=2**31 - 1)] = None
    ) -> dict[str, Any]:
        """What was said in the conversation of the cookie's visitor, from event ``after`` on, and where to go on;
        ``more``: ask again in a moment, as long as what whoever talks with them is seen doing (``typing``, ``read``).
        Without a ``visitor`` the browser sends no cookie, and there is none."""
        response.headers["Cache-Control"] = "no-store"
        if (visitor := visitors.identify(request)) is None:
            return {"visitor": False, "more": False, "after": 0, "said": []}
        sender = f"web:{visitor}"
        more, said, end = await desk.history(sender, after)
        found = {"visitor": True, "more": more, "after": end, "said": [asdict(each) for each in said]}
        return found | (await seen.by_person(sender) if more else {})

    @app.post("/api/feedback", status_code=204)
    async def judge(body: Thumb, request: Request) -> None:
        """Whether an answer helped: one thumb of a visitor for each answer, however often it comes."""
        if (visitor := visitors.identify(request)) is None:
            raise Refused(401, "no_visitor", REFUSALS["no_visitor"])
        voter = blind_index(f"{visitor} {body.source}", "feedback.voter")  # another one for each answer
        async with thumbs.turn(visitor):
            try:
                known = await content.answer(graph, body.source) or await products.product(graph, body.source)
                if known is None:
                    raise Refused(404, "not_found", REFUSALS["answer_gone"])
                await feedback.record(graph, body.source, body.helpful, voter)
            except GraphDown as error:  # of which a customer need not know
                log.warning("a thumb is lost: %s", error)
                raise Refused(503, "graph_unavailable", REFUSALS["thumb_lost"], 5) from None

    for channel in channels:
        if doors := channel.router():
            app.include_router(doors)
            rates.doors |= {route.path for route in doors.routes if isinstance(route, APIRoute)}
    app.include_router(
        dashboard.router(ring, engine, desk, office, rules, news, channels, presence, graph, health, rates, pages)
    )
    app.mount("/dashboard/static", GZipMiddleware(StaticFiles(directory=dashboard.STATIC)))

    if elsewhere is None:  # else others ask that mall itself

        async def spend(client: str | None, scope: Scope) -> int | None:
            return await (rates.spend("wrong_keys", address(scope)) if client is None else rates.spend("mall", client))

        app.mount("/mall", own_mall_api(engine, rules, spend))

    @app.get("/healthz")
    async def healthz(response: Response) -> dict[str, Any]:
        """Parts that are down make it 503; warnings do not: what is warned of goes on."""
        report = await health.report()
        response.status_code = 200 if report.status == "ok" else 503
        return {"status": report.status, **asdict(report)}

    app.include_router(metrics.router(callers, engine, health))
    return app


async def _knowledge() -> list[str]:
    """What files of answers could not be read."""
    return (await asyncio.to_thread(reports.read)).warnings()


async def _listen(channel: Channel) -> None:
    """Until cancelled, also where there is nothing to do."""
    await channel.listen()
    await asyncio.Event().wait()


async def _answer(worker: Worker, inbound: Inbound) -> Reply:
    started = time.perf_counter()
    try:
        reply = await worker.turn(inbound)
    except BotUnavailable as error:
        log.error("turn %s: %s", inbound.message_id, error)
        raise
    if not reply.messages:
        reply.messages.append(LISTENING)
    log.info("turn %s: %.0f ms", inbound.message_id, (time.perf_counter() - started) * 1000)
    return reply


def _error(status: int, code: str, message: str, retry_after: int | None = None) -> JSONResponse:
    headers = {} if retry_after is None else {"Retry-After": str(retry_after)}
    return JSONResponse({"error": {"code": code, "message": message}}, status, headers)


def _refusal(status: int, code: str, retry_after: int | None = None) -> JSONResponse:
    return _error(status, code, REFUSALS[code], retry_after)


def _explain_errors(app: FastAPI) -> None:
    """Every refusal is JSON with a stable code and a reason in Chinese, and quotes nothing of what was sent."""

    @app.exception_handler(RequestValidationError)
    async def invalid(_: Request, error: RequestValidationError) -> JSONResponse:
        fault = error.errors()[0]
        kind, field = fault["type"], str(fault["loc"][-1])
        if kind in {"blank_text", "unreadable_text", "text_too_long"}:
            return _error(422, kind, fault["msg"])
        return _error(422, kind, COMPLAINTS.get(kind, COMPLAINTS["other"]).format(field=field))

    @app.exception_handler(StarletteHTTPException)
    async def refused(_: Request, error: HTTPException) -> JSONResponse:
        code = f"http_{error.status_code}"
        return _error(error.status_code, code, REFUSALS.get(code, REFUSALS["http_other"]))

    @app.exception_handler(Busy)
    async def busy(_: Request, error: Busy) -> JSONResponse:
        return _refusal(429, "too_many_messages", error.retry_after)

    @app.exception_handler(BotUnavailable)
    async def bot_away(_: Request, error: BotUnavailable) -> JSONResponse:
        return _refusal(503, "bot_unavailable", 5)

    @app.exception_handler(GraphDown)
    async def graph_away(_: Request, error: GraphDown) -> JSONResponse:
        log.warning("%s", error)
        return _refusal(503, "graph_unavailable", 5)

    @app.exception_handler(MallUnavailable)
    async def mall_away(_: Request, error: MallUnavailable) -> JSONResponse:
        return _refusal(503, "mall_unavailable", 5)

    async def storage_away(_: Request, error: Exception) -> JSONResponse:
        log.warning("what is stored cannot be reached: %s", type(error).__name__)
        return _refusal(503, "storage_unavailable", 5)

    for fault in (OperationalError, InterfaceError, PoolTimeout, KeyRingError, OSError):  # health says which
        app.add_exception_handler(fault, storage_away)

    @app.exception_handler(Refused)
    async def refused_operator(_: Request, error: Refused) -> JSONResponse:
        return _error(error.status, error.code, error.words, error.retry_after)

    @app.exception_handler(NotPermitted)
    async def not_permitted(_: Request, error: NotPermitted) -> JSONResponse:
        """Of an operator who is signed in, and is none any more."""
        log.warning("%s", error)
        return _refusal(401, "signed_out")

    @app.exception_handler(TamperedError)
    async def tampered(_: Request, error: TamperedError) -> JSONResponse:
        log.error("%s", error)
        return _refusal(409, "damaged")

    @app.exception_handler(Exception)
    async def broken(_: Request, error: Exception) -> JSONResponse:
        return _refusal(500, "internal_error")
