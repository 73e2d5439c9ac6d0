"""How an error is told over HTTP (RFC 9457, ``application/problem+json``) and understood again: one table for both.

``code`` is stable, and the fields of the error stand beside it; ``detail`` is for people who write programs.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, get_type_hints

from pydantic import TypeAdapter, ValidationError

from mall_adapter import errors
from mall_adapter.errors import MallError
from storage import IdempotencyConflict

MEDIA_TYPE = "application/problem+json"

STATUS: dict[type[Exception], int] = {
    errors.BindingLocked: 403,
    errors.CodeOver: 403,
    errors.CouponRefused: 409,
    errors.EnergyShort: 409,
    errors.EraseRefused: 409,
    errors.InPublic: 403,
    errors.InvalidCursor: 400,
    errors.InvalidDelivery: 400,
    errors.InvalidInvoice: 400,
    errors.InvalidQuantity: 409,
    errors.InvalidRefund: 409,
    errors.InvalidTransition: 409,
    errors.InvoiceExists: 409,
    errors.MergeRefused: 409,
    errors.NotAllowed: 409,
    errors.NotBound: 403,
    errors.NotFound: 404,
    errors.NotPermitted: 403,
    errors.OrderLocked: 403,
    errors.OrderNotFound: 404,
    errors.OutOfStock: 409,
    errors.OwnershipRequired: 403,
    errors.PhoneRequired: 403,
    errors.StaleVersion: 412,
    errors.StillAllocated: 409,
    errors.TicketExists: 409,
    errors.WrongPhoneTail: 403,
    errors.WrongProof: 403,
    IdempotencyConflict: 409,
}
"""What a mall refuses. None is 422, which is for what the document does not allow."""

INVALID, MALFORMED = "invalid_request", "malformed_request"
"""The values of a request cannot be right, or its form is not: a ValueError where it was asked from Python."""

HOUSE = {
    INVALID: 400,
    MALFORMED: 422,
    "unauthorized": 401,
    "insufficient_scope": 403,
    "no_such_address": 404,
    "method_not_allowed": 405,
    "request_timeout": 408,
    "content_too_large": 413,
    "too_many_requests": 429,
    "internal_error": 500,
    "unavailable": 503,
}
"""What goes wrong before a mall is asked, or while it is."""


@dataclass(frozen=True)
class Problem:
    status: int
    code: str
    detail: str = ""
    more: Mapping[str, Any] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)

    def content(self) -> dict[str, Any]:
        title = self.code.replace("_", " ").capitalize()
        known = {"type": f"/mall/problems/{self.code}", "title": title, "status": self.status, "code": self.code}
        return {**known, "detail": self.detail, **self.more}


def code_of(kind: type[Exception]) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", kind.__name__).lower()


KINDS = {code_of(kind): kind for kind in STATUS}


def fields_of(kind: type[Exception]) -> dict[str, Any]:
    """Names and types of what an error is made of, besides its words."""
    if kind.__init__ is Exception.__init__:
        return {}
    own = get_type_hints(kind.__init__)
    return {name: own[name] for name in inspect.signature(kind).parameters}


def problem_of(error: Exception) -> Problem:
    """Of an error whose kind is in the table."""
    kind = next(one for one in type(error).__mro__ if one in STATUS)
    more = {
        name: TypeAdapter(type_).dump_python(getattr(error, name), mode="json")
        for name, type_ in fields_of(kind).items()
    }
    return Problem(STATUS[kind], code_of(kind), str(error), more)


def error_of(content: Mapping[str, Any]) -> Exception | None:
    """What a mall has refused, None where it is no mall's refusal. Raises ValueError for what makes no sense."""
    code, detail = content.get("code"), str(content.get("detail", ""))
    if code in (INVALID, MALFORMED):
        return ValueError(detail)
    if not isinstance(code, str) or code in HOUSE:
        return None
    kind = KINDS.get(code)
    if kind is None:
        return MallError(detail or code)  # of a mall that knows more reasons than we do
    try:
        known = {name: TypeAdapter(type_).validate_python(content[name]) for name, type_ in fields_of(kind).items()}
    except (KeyError, ValidationError) as error:
        raise ValueError(f"a problem {code} without what belongs to it") from error
    return kind(**known) if known else kind(detail)
