"""Pydantic's adapters, made once for each type: making one costs more than using it."""

from __future__ import annotations

from collections.abc import Hashable
from functools import cache
from typing import Any, cast

from pydantic import TypeAdapter


def adapter(kind: type[Any]) -> TypeAdapter[Any]:
    return _adapter(cast(Hashable, kind))


@cache
def _adapter(kind: Hashable) -> TypeAdapter[Any]:
    return TypeAdapter(kind)
