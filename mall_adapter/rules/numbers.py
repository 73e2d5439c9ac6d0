"""A YAML file of rules that are only numbers, read into a pydantic model that says which there are and how large."""

from __future__ import annotations

from typing import TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import ErrorDetails

from mall_adapter.rules.faults import BrokenRules, Fault


class Numbers(BaseModel):
    """Whole numbers, every one of them written down; a name that there is not is a slip of the pen."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


AnyNumbers = TypeVar("AnyNumbers", bound=Numbers)

_CHINESE = {
    "missing": "没有写",
    "extra_forbidden": "没有这一项，写错了吗？",
    "greater_than_equal": "太小，最小 {ge}",
    "less_than_equal": "太大，最大 {le}",
    "literal_error": "只能写 {expected}",
    "enum": "只能写 {expected}",
    "value_error": "{error}",
}
"""What is wrong with an entry, by pydantic's name for it."""


def numbers(kind: type[AnyNumbers], content: str, file: str) -> AnyNumbers:
    """Raises :class:`BrokenRules` with everything that is wrong."""
    try:
        return kind.model_validate(yaml.safe_load(content))
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        at = (f"第 {mark.line + 1} 行附近", f" near line {mark.line + 1}") if mark else ("", "")
        raise BrokenRules(file, [Fault(f"{at[0]}不是 YAML", f"not YAML{at[1]}")]) from None
    except ValidationError as error:
        raise BrokenRules(file, [_fault(one) for one in error.errors()]) from None


def _fault(error: ErrorDetails) -> Fault:
    where = ".".join(map(str, error["loc"])) or "…"
    chinese = _CHINESE.get(error["type"], "应该是整数").format_map(error.get("ctx", {}))
    return Fault(f"{where}：{chinese}", f"{where}: {error['msg']}")
