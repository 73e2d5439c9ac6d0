"""The back office: what waits to be approved, received, paid back or shipped, and the steps that settle it.

Every step is a command of the mall's back office under a key that the page makes for one click: clicked twice, or sent
again over a broken network, it is done once.
"""

from __future__ import annotations

import asyncio
import unicodedata
from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, TypeVar

import yaml
from fastapi import APIRouter, Query, Request, Response
from fastapi import Path as PathParameter
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import PydanticCustomError

from connectors.dashboard.operators import Operators, Refused
from connectors.messages import MessageId
from mall_adapter import BackOffice, HouseRules
from mall_adapter.errors import (
    InvalidCursor,
    InvalidQuantity,
    InvalidRefund,
    InvalidTransition,
    MergeRefused,
    NotFound,
    OrderNotFound,
)
from mall_adapter.values import OrderFilter, OrderQueue, Reason, TicketFilter, TicketKind, TicketQueue, TicketStatus
from storage import Actor, IdempotencyConflict

CHOICES_FILE = Path(__file__).with_name("office.yml")

Answer = TypeVar("Answer")


class Choices(BaseModel):
    """What operators pick from, as they have written it down."""

    model_config = ConfigDict(extra="forbid")

    reasons: Mapping[TicketStatus, Sequence[Annotated[str, Field(min_length=1, max_length=200)]]]
    carriers: Sequence[Annotated[str, Field(min_length=1, max_length=20)]]


def read_choices(file: Path = CHOICES_FILE) -> tuple[Choices, str]:
    """Nothing to pick from, and what is wrong, where the file cannot be used: whoever works here types instead."""
    try:
        return Choices.model_validate(yaml.safe_load(file.read_text("utf-8"))), ""
    except (OSError, UnicodeError, yaml.YAMLError) as error:
        fault = type(error).__name__
    except ValidationError as error:
        fault = "，".join(".".join(map(str, each["loc"])) or each["type"] for each in error.errors()[:3])
    return Choices(reasons={}, carriers=[]), f"常用理由和快递读不出来：{file.name}（{fault}）。先手动填写。"


def _short(text: str) -> str:
    """Words on a line or a few, without marks that turn or hide text."""
    text = text.strip()
    if any(unicodedata.category(each) in ("Cc", "Cs", "Cf") and each not in "\n\u200d" for each in text):
        raise PydanticCustomError("unreadable_text", "说明里有无法识别的字符，请删掉后再试。")
    return text


def _tracking_number(text: str) -> str:
    return "".join(unicodedata.normalize("NFKC", text).upper().split())


Note = Annotated[str, Field(max_length=200), AfterValidator(_short)]
Number = Annotated[str, PathParameter(pattern=r"^[A-Z]{2,3}[0-9]{4,16}$")]
CustomerId = Annotated[str, PathParameter(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
Pieces = Annotated[
    dict[Annotated[str, Field(max_length=64)], Annotated[int, Field(ge=0, le=10**6)]], Field(max_length=100)
]
Id = Annotated[str | None, Query(max_length=64)]
Cursor = Annotated[str | None, Query(max_length=200)]
Days = Annotated[int, Query(ge=0, le=365)]
Text = Annotated[str, Query(max_length=64)]


class Step(BaseModel):
    to: TicketStatus
    note: Note = ""
    key: MessageId


class Goods(BaseModel):
    """Pieces by order line, as far as they came back; ``sellable`` of them can be sold again."""

    received: Pieces
    sellable: Pieces
    note: Note = ""
    key: MessageId


class Refund(BaseModel):
    """``cents`` None: all that is due; ``refunded_cents`` had gone back when it was decided."""

    cents: Annotated[int, Field(gt=0, le=10**9)] | None
    refunded_cents: Annotated[int, Field(ge=0, le=10**9)]
    note: Note = ""
    key: MessageId


class Parcel(BaseModel):
    """``lines``: pieces by order line, None: all that waits."""

    carrier: Annotated[str, Field(min_length=2, max_length=20), AfterValidator(_short)]
    tracking_number: Annotated[
        str, Field(max_length=64), AfterValidator(_tracking_number), Field(pattern=r"^[A-Z0-9-]{5,40}$")
    ]
    lines: Pieces | None = None
    key: MessageId


class Merge(BaseModel):
    key: MessageId


def router(operators: Operators, back_office: BackOffice, rules: HouseRules) -> APIRouter:
    router = APIRouter(prefix="/office")

    def reading(request: Request, response: Response) -> Actor:
        actor = operators.reader(request).actor
        response.headers["Cache-Control"] = "no-store"
        return actor

    def writing(request: Request) -> Actor:
        return operators.writer(request).actor

    @router.get("")
    async def choices(request: Request, response: Response) -> dict[str, Any]:
        """What does not change while the page is open: suppliers to filter by, words and carriers to pick from."""
        actor = reading(request, response)
        picked, trouble = await asyncio.to_thread(read_choices)
        suppliers = await done(back_office.suppliers(actor))
        return {**picked.model_dump(mode="json"), "trouble": trouble, "suppliers": [asdict(each) for each in suppliers]}

    @router.get("/waiting")
    async def waiting(request: Request, response: Response) -> dict[str, Any]:
        found = await done(back_office.waiting(reading(request, response)))
        return asdict(found)

    @router.get("/tickets")
    async def tickets(
        request: Request,
        response: Response,
        queue: TicketQueue | None = None,
        kind: TicketKind | None = None,
        reason: Reason | None = None,
        supplier: Id = None,
        overdue: bool = False,
        days: Days = 0,
        text: Text = "",
        newest: bool = False,
        cursor: Cursor = None,
    ) -> dict[str, Any]:
        actor = reading(request, response)
        wanted = TicketFilter(queue, kind, reason, supplier, overdue, days, text, newest)
        page = await done(back_office.tickets(actor, wanted, cursor))
        return asdict(page)

    @router.get("/tickets/{ticket_id}")
    async def ticket(ticket_id: Number, request: Request, response: Response) -> dict[str, Any]:
        case = await done(back_office.ticket(reading(request, response), ticket_id))
        rule = case.ticket.decision.rule
        told = rules.after_sales.now.descriptions.get(rule) if rules.after_sales.now else None
        return asdict(case) | {"rule": told or rule}

    @router.post("/tickets/{ticket_id}/steps")
    async def step(ticket_id: Number, body: Step, request: Request) -> dict[str, Any]:
        actor = writing(request)
        if body.to is TicketStatus.REJECTED and not body.note:
            raise Refused(422, "reason_wanted", "拒绝要写明原因，顾客会看到。")
        return asdict(await done(back_office.advance_ticket(actor, ticket_id, body.to, body.note, body.key)))

    @router.post("/tickets/{ticket_id}/goods")
    async def goods(ticket_id: Number, body: Goods, request: Request) -> dict[str, Any]:
        receiving = back_office.receive_goods(
            writing(request), ticket_id, body.received, body.note, body.key, sellable=body.sellable
        )
        return asdict(await done(receiving))

    @router.post("/tickets/{ticket_id}/refund")
    async def refund(ticket_id: Number, body: Refund, request: Request) -> dict[str, Any]:
        paying = back_office.refund(
            writing(request), ticket_id, body.cents, body.note, body.key, if_refunded=body.refunded_cents
        )
        return asdict(await done(paying))

    @router.get("/orders")
    async def orders(
        request: Request,
        response: Response,
        queue: OrderQueue | None = None,
        supplier: Id = None,
        days: Days = 0,
        text: Text = "",
        newest: bool = False,
        cursor: Cursor = None,
    ) -> dict[str, Any]:
        actor = reading(request, response)
        page = await done(back_office.orders(actor, OrderFilter(queue, supplier, days, text, newest), cursor))
        return asdict(page)

    @router.get("/orders/{order_id}")
    async def order(order_id: Number, request: Request, response: Response) -> dict[str, Any]:
        return asdict(await done(back_office.order(reading(request, response), order_id)))

    @router.post("/orders/{order_id}/ship")
    async def ship(order_id: Number, body: Parcel, request: Request) -> dict[str, Any]:
        lines = None if body.lines is None else {line: pieces for line, pieces in body.lines.items() if pieces}
        if lines == {}:
            raise Refused(422, "quantity", "包裹里至少要有一件。")
        actor = writing(request)
        shipping = back_office.ship(actor, order_id, body.carrier, body.tracking_number, body.key, lines=lines)
        return asdict(await done(shipping))

    @router.get("/customers/{kept_id}/mergers/{gone_id}")
    async def merging(kept_id: CustomerId, gone_id: CustomerId, request: Request, response: Response) -> dict[str, Any]:
        return asdict(await done(back_office.merging(reading(request, response), kept_id, gone_id)))

    @router.post("/customers/{kept_id}/mergers/{gone_id}")
    async def merge(kept_id: CustomerId, gone_id: CustomerId, body: Merge, request: Request) -> dict[str, Any]:
        return asdict(await done(back_office.merge_customers(writing(request), kept_id, gone_id, body.key)))

    return router


async def done(doing: Awaitable[Answer]) -> Answer:
    """What the back office answers; where it refuses, the reason in words. Raises Refused."""
    try:
        return await doing
    except (NotFound, OrderNotFound):
        raise Refused(404, "not_found", "没有这张单或这位顾客，号码可能不对。") from None
    except MergeRefused:
        raise Refused(409, "not_mergeable", "这两位顾客现在不能合并，请重新打开看看原因。") from None
    except InvalidTransition:
        raise Refused(409, "meanwhile", "这一步现在不能做：单子刚才已经变了，最新情况见下面的经过。") from None
    except IdempotencyConflict:
        raise Refused(409, "key_used", "这一步和刚才点的不一样，请重新打开再点。") from None
    except InvalidQuantity as error:
        raise Refused(422, "quantity", f"件数不对，最多 {error.most} 件，至少要有一件。") from None
    except InvalidRefund as error:
        raise Refused(422, "too_much", f"金额不对，最多能退 {error.most / 100:.2f} 元。") from None
    except InvalidCursor:
        raise Refused(422, "no_such_page", "这一页已经没有了，请回到第一页。") from None
