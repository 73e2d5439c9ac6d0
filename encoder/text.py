"""A message as the encoder reads it: one spelling for full-width, traditional and repeated characters."""

from __future__ import annotations

import re
import unicodedata
from functools import cache

from opencc import OpenCC

_AGAIN = re.compile(r"([^0-9])\1{2,}")
_LONG = re.compile(r"[0-9]{5,}")


@cache
def _simplified() -> OpenCC:
    return OpenCC("t2s")


def plain(text: str) -> str:
    """NFKC, lower case, simplified, nothing more than twice in a row; a long number is ``00000``."""
    normal = "".join(c for c in unicodedata.normalize("NFKC", text).lower() if c.isprintable() or c.isspace())
    return " ".join(_LONG.sub("00000", _AGAIN.sub(r"\1\1", _simplified().convert(normal))).split())
