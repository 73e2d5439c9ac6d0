"""The gateway: one HTTP address for customers' messages, the web chat, the operators and the health of the whole.

It keeps nothing of a message: the bot's conversation store is the one place that knows which were answered. A message
sent again under its id within the session gets the recorded answer from there, even with another text. The gateway
only sees to it that the id reaches the bot unchanged and that a sender's messages come one at a time.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict
from functools import partial
from pathlib import Path
from secrets import token_hex
from typing import Annotated, Any, cast

import httpx
from fastapi import FastAPI, HTTPException, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, JSONResponse
from fastapi.staticfiles import StaticFiles
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncEngine
from starlette.exceptions import HTTPException as StarletteHTTPException
from starlette.middleware.gzip import GZipMiddleware
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

import settings
from connectors import dashboard
from connectors.background import Background
from connectors.bot_client import BotClient, BotUnavailable
from connectors.callers import Callers, Scope, address, address_hash
from connectors.dashboard.operators import Refused
from connectors.hardening import Hardening
from connectors.health import Health
from connectors.messages import PICTURE, BotMessage, ChatRequest, InboundMessage, Reply, Thumb, caller
from connectors.outbox import Outbox
from connectors.pages import Pages
from connectors.rates import Limited, Rates
from connectors.turns import Busy, Turns
from connectors.upkeep import keep_expiring, keep_tidy
from connectors.web.visitor import Visitors
from knowledge_graph import Graph, GraphDown, content, feedback, products, reports
from mall_adapter import Accounts, BackOffice, Desk, HouseRules, SqlBackOffice, read_catalogue
from mall_adapter.errors import MallUnavailable, NotPermitted
from mall_adapter.http.client import HttpBackOffice, HttpMall, connection
from mall_adapter.http.own import own_mall_api
from mall_adapter.names import watch_names
from privacy import KeyRing, KeyRingError, TamperedError
from privacy.columns import blind_index

log = logging.getLogger(__name__)

WEB = Path(__file__).parent / "web"

LISTENING = BotMessage(text="已转给人工客服。", custom={"desk": "claimed"})
"""The receipt while a person has taken over and the bot keeps silent. A page that shows people's answers by themselves
need not show it; everybody else hears something rather than nothing."""

# what a caller did wrong, by the type of pydantic's complaint; our own complaints carry their words themselves
COMPLAINTS = {
    "json_invalid": "请求不是有效的 JSON。",
    "missing": "缺少 {field}。",
    "string_type": "{field} 必须是文字。",
    "string_unicode": "{field} 里有不完整的字符，请检查编码。",
    "string_too_short": "{field} 不能为空。",
    "string_too_long": "{field} 太长了。",
    "string_pattern_mismatch": "{field} 只能用字母、数字和 . _ : -，最多 64 个。",
}
KEY_WANTED = "用自己的 sender 说话需要 API key：请带上 Authorization: Bearer <key>。"
REFUSALS = {
    404: "没有这个地址。",
    405: "这个地址不支持这种请求。",
    408: "请求没有发完，请再试一次。",
    413: "内容太大了，请缩短后再发。",
}


def create_app(ring: KeyRing, engine: AsyncEngine) -> FastAPI:
    """The gateway for this key ring, whose fit the caller has checked.

    ``/healthz`` asks the database, and while it runs it keeps the list of the goods' names for the bot up to date.
    It closes the engine when it stops.
    """
    http = httpx.AsyncClient(
        timeout=httpx.Timeout(5.0, connect=2.0),
        limits=httpx.Limits(max_connections=None),  # Turns bounds them
        trust_env=False,  # the bot and the actions are neighbours: never through a proxy
    )
    bot = BotClient(http, settings.rasa_url())
    turns = Turns()
    thumbs = Turns(per_sender=3)  # a queue of their own: nobody waits with a thumb for the bot
    rules = HouseRules()
    health = Health(bot, http, engine)
    health.add("rules", rules.warnings)
    health.add("knowledge", _knowledge)
    rules.desk.look()
    desk = Desk(engine, settings.desk_hours(), rules=rules.desk.good())
    outbox = Outbox(desk, bot)
    accounts = Accounts(engine)
    background = Background()
    health.add("tasks", background.check)
    rates = Rates(settings.rate_limits(), settings.redis_url())
    graph = Graph.from_settings()  # connects when it is first asked
    visitors = Visitors(ring.derive_each("visitor_cookie"), secure=settings.public_url().startswith("https://"))
    senders = ring.derive_each("api_sender")[0]  # gives names, which stay the same
    callers = Callers(settings.api_key(), settings.bind_host(), settings.public_url(), settings.trusted_proxies())
    pages = Pages(engine)
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
        background.start("商品名称更新 (names)", lambda: watch_names(catalogue, settings.catalogue_file()))
        background.start("人工消息发送 (outbox)", outbox.keep_sending)
        background.start("过期记录清理 (upkeep)", lambda: keep_tidy(engine))
        if not elsewhere:
            background.start("未付款订单到期 (reservations)", lambda: keep_expiring(SqlBackOffice(engine)))
        background.start("售后规则检查 (rules)", rules.watch)
        yield
        await background.close()
        await http.aclose()
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

    @app.get("/", include_in_schema=False)
    async def page(request: Request) -> Response:
        response = await pages.page(await asyncio.to_thread((WEB / "index.html").read_text, "utf-8"))
        visitors.remember(response, visitors.identify(request))
        return response

    app.mount("/static", GZipMiddleware(StaticFiles(directory=WEB / "static")))

    def who(request: Request, conversation: str | None) -> str | None:
        """The sender of a caller's own conversation, or the visitor of the cookie, if there is one."""
        if conversation is not None:
            if not callers.may_name_sender(request.scope):
                raise Refused(401, "api_key_wanted", KEY_WANTED)
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
        message = InboundMessage(sender, body.message_id or token_hex(16), body.text, where)
        async with turns.turn(sender):
            await accounts.meet(sender)
            reply = await _answer(bot, message)
        if not sender.startswith("web:"):  # the web chat draws tables itself
            for each in reply.messages:
                each.show_picture(settings.public_url())
        return {"id": message.message_id, **reply.model_dump(exclude_unset=True)}

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
        ``more``: ask again in a moment; without a ``visitor`` the browser sends no cookie, and there is none."""
        response.headers["Cache-Control"] = "no-store"
        if (visitor := visitors.identify(request)) is None:
            return {"visitor": False, "more": False, "after": 0, "said": []}
        more, said, end = await desk.history(f"web:{visitor}", after)
        return {"visitor": True, "more": more, "after": end, "said": [asdict(each) for each in said]}

    @app.post("/api/feedback", status_code=204)
    async def judge(body: Thumb, request: Request) -> None:
        """Whether an answer helped: one thumb of a visitor for each answer, however often it comes."""
        if (visitor := visitors.identify(request)) is None:
            raise Refused(401, "no_visitor", "请先打开聊天页面，再来点评。")
        voter = blind_index(f"{visitor} {body.source}", "feedback.voter")  # another one for each answer
        async with thumbs.turn(visitor):
            try:
                known = await content.answer(graph, body.source) or await products.product(graph, body.source)
                if known is None:
                    raise Refused(404, "not_found", "这条答案已经更新了，谢谢您的反馈。")
                await feedback.record(graph, body.source, body.helpful, voter)
            except GraphDown as error:  # of which a customer need not know
                log.warning("a thumb is lost: %s", error)
                raise Refused(503, "graph_unavailable", "您的评价暂时没记上，请稍后再点一下。", 5) from None

    app.include_router(dashboard.router(ring, desk, office, rules, outbox, graph, health, rates, pages))
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

    return app


async def _knowledge() -> list[str]:
    """What files of answers could not be read."""
    return (await asyncio.to_thread(reports.read)).warnings()


async def _answer(bot: BotClient, message: InboundMessage) -> Reply:
    started = time.perf_counter()
    try:
        reply = await bot.send(message)
    except BotUnavailable as error:
        log.error("turn %s: %s", message.message_id, error)
        raise
    if not reply.messages:
        reply.messages.append(LISTENING)
    log.info("turn %s: %.0f ms", message.message_id, (time.perf_counter() - started) * 1000)
    return reply


def _error(status: int, code: str, message: str, retry_after: int | None = None) -> JSONResponse:
    headers = {} if retry_after is None else {"Retry-After": str(retry_after)}
    return JSONResponse({"error": {"code": code, "message": message}}, status, headers)


def _explain_errors(app: FastAPI) -> None:
    """Every refusal is JSON with a stable code and a reason in Chinese, and quotes nothing of what was sent."""

    @app.exception_handler(RequestValidationError)
    async def invalid(_: Request, error: RequestValidationError) -> JSONResponse:
        fault = error.errors()[0]
        kind, field = fault["type"], str(fault["loc"][-1])
        if kind in {"blank_text", "unreadable_text", "text_too_long"}:
            return _error(422, kind, fault["msg"])
        words = COMPLAINTS.get(kind, '请求的格式不对，应为 JSON：{{"text": "…"}}。')
        return _error(422, kind, words.format(field=field))

    @app.exception_handler(StarletteHTTPException)
    async def refused(_: Request, error: HTTPException) -> JSONResponse:
        words = REFUSALS.get(error.status_code, "请求无法读取。")
        return _error(error.status_code, f"http_{error.status_code}", words)

    @app.exception_handler(Busy)
    async def busy(_: Request, error: Busy) -> JSONResponse:
        return _error(429, "too_many_messages", "消息有点多，掌柜正在一条条回复，请稍等几秒再发。", error.retry_after)

    @app.exception_handler(BotUnavailable)
    async def bot_away(_: Request, error: BotUnavailable) -> JSONResponse:
        return _error(503, "bot_unavailable", "掌柜暂时走开了，马上回来。您的消息没有丢，请稍后重发。", 5)

    @app.exception_handler(GraphDown)
    async def graph_away(_: Request, error: GraphDown) -> JSONResponse:
        log.warning("%s", error)
        return _error(503, "graph_unavailable", "知识图谱暂时连不上，请稍后再试。", 5)

    @app.exception_handler(MallUnavailable)
    async def mall_away(_: Request, error: MallUnavailable) -> JSONResponse:
        return _error(503, "mall_unavailable", "商城的系统暂时没有应答，请稍后再试。", 5)

    async def storage_away(_: Request, error: Exception) -> JSONResponse:
        log.warning("what is stored cannot be reached: %s", type(error).__name__)
        return _error(503, "storage_unavailable", "掌柜的账本暂时打不开，请稍后再试。", 5)

    for fault in (OperationalError, InterfaceError, PoolTimeout, KeyRingError, OSError):  # health says which
        app.add_exception_handler(fault, storage_away)

    @app.exception_handler(Refused)
    async def refused_operator(_: Request, error: Refused) -> JSONResponse:
        return _error(error.status, error.code, error.words, error.retry_after)

    @app.exception_handler(NotPermitted)
    async def not_permitted(_: Request, error: NotPermitted) -> JSONResponse:
        """Of an operator who is signed in, and is none any more."""
        log.warning("%s", error)
        return _error(401, "signed_out", "您的权限有变动，请重新登录。")

    @app.exception_handler(TamperedError)
    async def tampered(_: Request, error: TamperedError) -> JSONResponse:
        log.error("%s", error)
        return _error(409, "damaged", "这条记录无法解密，可能被改动过，已经记下来了。请联系管理员。")

    @app.exception_handler(Exception)
    async def broken(_: Request, error: Exception) -> JSONResponse:
        return _error(500, "internal_error", "掌柜这边出了点问题，已经记下来了，请稍后再试。")
