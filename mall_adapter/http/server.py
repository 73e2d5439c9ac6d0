"""The mall for other programs: a FastAPI application that serves both ports, made from the table of operations.

Every request but that for the document needs a client's key. Keys of idempotency belong to the client. Every answer
that is not 2xx is a problem (``application/problem+json``), and quotes nothing of what was sent.
"""

from __future__ import annotations

import inspect
import json
import logging
from collections.abc import Awaitable, Callable, Iterator, MutableMapping, Sequence
from typing import Annotated, Any
from urllib.parse import parse_qsl

from fastapi import Body, Depends, FastAPI, Header, Path, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.openapi.utils import get_openapi
from fastapi.responses import JSONResponse
from pydantic import TypeAdapter, ValidationError
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Receive, Scope, Send

from mall_adapter.clients import Client, Clients
from mall_adapter.cursors import from_cursor, to_cursor
from mall_adapter.errors import MallUnavailable, NotPermitted
from mall_adapter.http.operations import (
    ACTOR,
    ID,
    KEY,
    OPERATIONS,
    PAGE,
    SENDER,
    VERSION,
    Argument,
    Operation,
    Place,
    from_header,
)
from mall_adapter.http.problems import HOUSE, INVALID, KINDS, MALFORMED, MEDIA_TYPE, STATUS, Problem, problem_of
from mall_adapter.ports import BackOffice, CustomerMall
from mall_adapter.values import Page
from privacy import KeyRingError
from storage import Actor, Role

log = logging.getLogger(__name__)

DOCUMENT = "/openapi.json"

INT = 2**31 - 1
"""The largest whole number that a database of ours takes everywhere."""

LONGEST = 4_000
"""Characters of one text."""

MANY = 200
"""Items that one query may name, or one page of a short list may have."""

RETRY_SECONDS = 1
"""When to come again where the database is away."""

Spend = Callable[[str | None, MutableMapping[str, Any]], Awaitable[int | None]]
"""Takes one request out of a client's budget, or, for None, a wrong key out of that of the address (of an ASGI scope);
where nothing is left, the seconds until there is again."""

_SENDER = r"^([!-$&-~]|%(0[1-9A-Fa-f]|[1-9A-Fa-f][0-9A-Fa-f]))([ -$&-~]|%(0[1-9A-Fa-f]|[1-9A-Fa-f][0-9A-Fa-f]))*$"
_VISIBLE = r"^[!-~]([ -~]*[!-~])?$"
_VERSION = r'^"?[0-9]{1,9}"?$'  # quoted, as an ETag is; some programs leave the quotes out


def mall_api(mall: Callable[[], CustomerMall], office: BackOffice, clients: Clients, spend: Spend) -> FastAPI:
    """To be mounted at ``/mall``. ``mall`` is called at each request and raises MallUnavailable while there is none."""
    app = FastAPI(
        title="掌柜 mall",
        version="1",
        description="What a mall can do for customers and for those who work in it. See docs/mall-api.md.",
        openapi_url=None,
        docs_url=None,  # its pages would load outside assets
        redoc_url=None,
    )
    app.add_middleware(Admission, clients=clients, spend=spend)
    for operation in OPERATIONS:
        _serve(app, operation, mall if operation.port is CustomerMall else lambda: office)
    _explain(app)
    document: list[bytes] = []  # made when it is first asked for

    @app.get(DOCUMENT, include_in_schema=False)
    async def openapi() -> Response:
        if not document:
            document.append(json.dumps(_document(app), ensure_ascii=False).encode())
        return Response(document[0], media_type="application/json")

    return app


# ---- who calls


class Admission:
    """ASGI middleware: nothing of a request is read before it is known whose it is, and that it is not one too many."""

    def __init__(self, app: ASGIApp, clients: Clients, spend: Spend) -> None:
        self._app = app
        self._clients = clients
        self._spend = spend

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"].removeprefix(scope.get("root_path", "")) != DOCUMENT:
            try:
                refused = await self._admit(scope)
            except _AWAY as error:
                refused = _away(error)
            if refused is not None:
                await _response(refused)(scope, receive, send)
                return
        await self._app(scope, receive, send)

    async def _admit(self, scope: Scope) -> Problem | None:
        scheme, _, key = Headers(scope=scope).get("authorization", "").partition(" ")
        client = await self._clients.of_key(key.strip()) if scheme.lower() == "bearer" else None
        if seconds := await self._spend(client.id if client else None, scope):
            return Problem(
                429, "too_many_requests", f"come again in {seconds} s", headers={"Retry-After": str(seconds)}
            )
        if client is None:
            words = "a client's key is wanted: Authorization: Bearer zg_…"
            return Problem(401, "unauthorized", words, headers={"WWW-Authenticate": "Bearer"})
        scope.setdefault("state", {})["client"] = client
        return None


def _actor(client: Client, told: str | None) -> Actor:
    """A service may act for somebody who works in its house, and says so; its scopes hold all the same."""
    if told is None:
        return client.actor
    if client.actor.role is not Role.SERVICE:
        raise NotPermitted(f"a {client.actor.role} acts for themselves only")
    try:
        given = dict(parse_qsl(told, strict_parsing=True))
        return TypeAdapter(Actor).validate_python(given)
    except ValueError:
        raise Refused(Problem(400, INVALID, f"{ACTOR} must look like role=operator&principal_id=P-1")) from None


# ---- operations


def _serve(app: FastAPI, operation: Operation, target: Callable[[], object]) -> None:
    async def admitted(request: Request) -> None:
        client: Client = request.state.client
        if operation.scope not in client.scopes:
            told = f'Bearer error="insufficient_scope", scope="{operation.scope}"'
            words = f"this key lacks the scope {operation.scope}"
            raise Refused(Problem(403, "insufficient_scope", words, headers={"WWW-Authenticate": told}))

    async def answer(request: Request, **told: Any) -> Response:
        client: Client = request.state.client
        given = {one.name: told[one.name] for one in operation.at(Place.QUERY) + operation.at(Place.PATH)}
        for each in operation.at(Place.SENDER):
            given[each.name] = from_header(told[each.name])
        for each in operation.at(Place.KEY):
            given[each.name] = f"{client.id} {told[each.name]}"
        for each in operation.at(Place.VERSION):
            given[each.name] = told[each.name] and int(told[each.name].strip('"'))
        for each in operation.at(Place.ACTOR):
            given[each.name] = _actor(client, told[each.name])
        if operation.body is not None:
            given |= operation.read_body(_content(await request.body()))
        found = await getattr(target(), operation.name)(**given)
        if operation.pages:
            found = _page(found, told["cursor"], told["limit"])
        elif operation.listed:
            found = Page(tuple(found), None)
        if operation.status == 204:
            return Response(status_code=204)
        version = getattr(found, "version", None)
        headers = {} if version is None else {"ETag": f'"{version}"'}
        return Response(operation.adapter.dump_json(found), operation.status, headers, "application/json")

    answer.__signature__ = _signature(operation)  # type: ignore[attr-defined]
    app.add_api_route(
        operation.path,
        answer,
        methods=[operation.method],
        response_model=None if operation.status == 204 else operation.answer,
        status_code=operation.status,
        operation_id=operation.id,
        summary=operation.id.replace("_", " ").capitalize(),
        description=f"{operation.summary}\n\nScope: `{operation.scope}`".strip(),
        tags=["customer" if operation.port is CustomerMall else "office"],
        dependencies=[Depends(admitted)],
        responses={"4XX": {"description": "Refused"}, "5XX": {"description": "Not now"}},
    )


def _signature(operation: Operation) -> inspect.Signature:
    """What FastAPI reads: where each argument stands, and what it may be."""
    keyword = inspect.Parameter.KEYWORD_ONLY
    parameters = [inspect.Parameter("request", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=Request)]
    for one in operation.arguments:
        if one.place is not Place.BODY:
            kind, default = _place(one)
            parameters.append(inspect.Parameter(one.name, keyword, annotation=kind, default=default))
    if operation.body_type is not None:
        parameters.append(inspect.Parameter("body", keyword, annotation=Annotated[operation.body_type, Body()]))
    if operation.pages:
        cursor = Annotated[str | None, Query(max_length=LONGEST)]
        parameters.append(inspect.Parameter("cursor", keyword, annotation=cursor, default=None))
        limit = Annotated[int, Query(ge=1, le=PAGE)]
        parameters.append(inspect.Parameter("limit", keyword, annotation=limit, default=PAGE))
    return inspect.Signature(parameters)


def _place(one: Argument) -> tuple[Any, Any]:
    match one.place:
        case Place.PATH:
            return Annotated[str, Path(pattern=ID)], one.default
        case Place.SENDER:
            return Annotated[str, Header(alias=SENDER, pattern=_SENDER, max_length=768)], one.default
        case Place.KEY:
            return Annotated[str, Header(alias=KEY, pattern=_VISIBLE, max_length=512)], one.default
        case Place.VERSION:
            return Annotated[str | None, Header(alias=VERSION, pattern=_VERSION)], one.default
        case Place.ACTOR:
            return Annotated[str | None, Header(alias=ACTOR, pattern=_VISIBLE, max_length=256)], None
    if one.kind is int:
        return Annotated[int, Query(ge=1, le=MANY)], one.default
    if one.kind == Sequence[str]:
        return Annotated[list[Annotated[str, Query(pattern=ID)]], Query(max_length=MANY)], []
    return Annotated[one.kind, Query()], one.default


def _page(items: Sequence[Any], cursor: str | None, limit: int) -> Page[Any]:
    """Items by id, after the one that the cursor names: what came or went meanwhile moves nothing."""
    after = "" if cursor is None else from_cursor(cursor, 1)[0]
    rest = [item for item in items if item.id > after] if after else list(items)
    rest.sort(key=lambda item: str(item.id))
    more = len(rest) > limit
    return Page(tuple(rest[:limit]), to_cursor(rest[limit - 1].id) if more else None)


# ---- what cannot be


def _invalid(where: Sequence[str | int], words: str) -> RequestValidationError:
    return RequestValidationError([{"loc": tuple(where), "msg": words, "type": "value_error"}])


def _content(body: bytes) -> str:
    """JSON whose numbers are whole where they can be: for a schema 1.0 is an integer, too."""
    content = json.loads(body, parse_float=lambda told: int(float(told)) if float(told).is_integer() else float(told))
    _bounded(content, ("body",))
    return json.dumps(content)


def _bounded(value: Any, where: tuple[str | int, ...]) -> None:
    """What no database of ours could keep is refused here. Raises RequestValidationError."""
    match value:
        case bool():
            pass
        case int() if abs(value) > INT:
            raise _invalid(where, f"must be at most {INT}")
        case str() if len(value) > LONGEST or "\0" in value:
            raise _invalid(where, f"must have at most {LONGEST} characters, none of them NUL")
        case list():
            for position, each in enumerate(value):
                _bounded(each, (*where, position))
        case dict():
            for name, each in value.items():
                _bounded(name, where)
                _bounded(each, (*where, name))


# ---- problems


class Refused(Exception):
    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.code)
        self.problem = problem


_AWAY = (OperationalError, InterfaceError, PoolTimeout, KeyRingError, MallUnavailable, OSError)


def _response(problem: Problem) -> JSONResponse:
    return JSONResponse(problem.content(), problem.status, dict(problem.headers), MEDIA_TYPE)


def _away(error: Exception) -> Problem:
    log.warning("what is stored cannot be reached: %s", type(error).__name__)
    return Problem(503, "unavailable", "the mall cannot be reached", headers={"Retry-After": str(RETRY_SECONDS)})


def _explain(app: FastAPI) -> None:
    async def refused(_: Request, error: Exception) -> Response:
        return _response(problem_of(error))

    async def away(_: Request, error: Exception) -> Response:
        return _response(_away(error))

    for kind in STATUS:
        app.add_exception_handler(kind, refused)
    for fault in _AWAY:
        app.add_exception_handler(fault, away)

    def invalid_request(errors: Sequence[Any]) -> Response:
        told = [{"where": ".".join(map(str, one["loc"])), "problem": one["msg"]} for one in errors[:20]]
        return _response(Problem(422, MALFORMED, "the request is not as the document wants it", {"errors": told}))

    @app.exception_handler(RequestValidationError)
    async def invalid(_: Request, error: RequestValidationError) -> Response:
        return invalid_request(error.errors())

    @app.exception_handler(ValidationError)
    async def invalid_body(_: Request, error: ValidationError) -> Response:
        return invalid_request([{**one, "loc": ("body", *one["loc"])} for one in error.errors(include_input=False)])

    @app.exception_handler(ValueError)
    async def senseless(request: Request, error: ValueError) -> Response:
        if type(error) is not ValueError:  # a mall says with a plain one what is wrong, anything else is our fault
            return await broken(request, error)
        return _response(Problem(400, INVALID, str(error)))

    @app.exception_handler(Refused)
    async def not_admitted(_: Request, error: Refused) -> Response:
        return _response(error.problem)

    @app.exception_handler(HTTPException)
    async def http(request: Request, error: HTTPException) -> Response:
        headers = dict(error.headers or {})
        code = next((name for name, status in HOUSE.items() if status == error.status_code), INVALID)
        if error.status_code == 405:
            path = request.scope["path"].removeprefix(request.scope.get("root_path", ""))
            headers["Allow"] = ", ".join(sorted({one.method for one in OPERATIONS if one.pattern.fullmatch(path)}))
        return _response(Problem(error.status_code, code, str(error.detail), headers=headers))

    @app.exception_handler(Exception)
    async def broken(_: Request, error: Exception) -> Response:
        return _response(Problem(500, "internal_error", "this is our fault, and was noted"))


# ---- the document


def _document(app: FastAPI) -> dict[str, Any]:
    """FastAPI's, with what it cannot know: that bodies are read strictly, who may ask, and how refusals look."""
    found = get_openapi(
        title=app.title,
        version=app.version,
        openapi_version="3.1.0",
        description=app.description,
        routes=app.routes,
        servers=[{"url": "/mall"}],
    )
    schemas = found["components"]["schemas"]
    asked: set[str] = set()
    for methods in found["paths"].values():
        for operation in methods.values():
            operation["security"] = [{"key": []}]
            operation["responses"].pop("422", None)
            for status in ("4XX", "5XX"):
                operation["responses"][status] = {"$ref": "#/components/responses/Problem"}
            for parameter in operation.get("parameters", ()):
                _be_absent_or_right(parameter)
            for _, body in _references(operation.get("requestBody", {})):
                asked |= _reached(schemas, body)
    for name in asked:
        _be_strict(schemas[name])
    schemas.pop("HTTPValidationError", None)
    schemas.pop("ValidationError", None)
    schemas["Problem"] = _problem_schema()
    found["components"]["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
    content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    found["components"]["responses"] = {"Problem": {"description": "Why not", "content": content}}
    return found


def _be_absent_or_right(parameter: dict[str, Any]) -> None:
    """No header and no query can be null: it is there or not."""
    match parameter["schema"].pop("anyOf", None):
        case [dict() as schema, {"type": "null"}]:
            parameter["schema"] |= schema
        case list() as several:
            parameter["schema"]["anyOf"] = several


def _references(value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        if isinstance(found := value.get("$ref"), str):
            yield found, found.rsplit("/", 1)[1]
        for each in value.values():
            yield from _references(each)
    elif isinstance(value, list):
        for each in value:
            yield from _references(each)


def _reached(schemas: dict[str, Any], name: str) -> set[str]:
    return {name}.union(*(_reached(schemas, each) for _, each in _references(schemas[name])))


def _be_strict(schema: Any) -> None:
    """As :meth:`Operation.read_body` and :func:`_bounded` are."""
    if isinstance(schema, list):
        for each in schema:
            _be_strict(each)
    if not isinstance(schema, dict):
        return
    match schema.get("type"):
        case "object" if "properties" in schema:
            schema["additionalProperties"] = False
        case "object":
            schema["propertyNames"] = {"maxLength": LONGEST, "pattern": "^[^\\u0000]*$"}
        case "integer":
            schema.setdefault("minimum", -INT)
            schema.setdefault("maximum", INT)
        case "string" if not {"enum", "const", "format"} & schema.keys():
            schema |= {"maxLength": LONGEST, "pattern": "^[^\\u0000]*$"}
    for key, each in schema.items():
        if key != "propertyNames":
            _be_strict(each)


def _problem_schema() -> dict[str, Any]:
    codes = sorted([*HOUSE, *KINDS])
    text = {"type": "string"}
    return {
        "type": "object",
        "title": "Problem",
        "description": "RFC 9457. Beside these members stand those of the error: tries_left, until, ticket, field, …",
        "required": ["type", "title", "status", "code"],
        "properties": {
            "type": text,
            "title": text,
            "status": {"type": "integer"},
            "code": {"type": "string", "enum": codes},
            "detail": text,
        },
    }
