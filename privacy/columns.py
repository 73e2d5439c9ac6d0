"""Encrypted columns, and the blind index that finds a row by a value that the database cannot read."""

from __future__ import annotations

import hashlib
import hmac
import unicodedata
from typing import TYPE_CHECKING

from sqlalchemy import LargeBinary
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator

from privacy.cipher import seal, unseal
from privacy.keyring import current_ring

if TYPE_CHECKING:
    _TextDecorator = TypeDecorator[str]
else:
    _TextDecorator = TypeDecorator  # SQLAlchemy 1.4 cannot subscript it


class EncryptedText(_TextDecorator):
    """Text sealed with AES-256-GCM: ``mapped_column(EncryptedText("customer.name"))``.

    ``place`` is ``table.column``: a value does not open in another column. The same text is sealed differently each
    time, so look it up by a :func:`blind_index` in a column beside it.
    """

    impl = LargeBinary
    cache_ok = True

    def __init__(self, place: str) -> None:
        super().__init__()
        self.place = place

    def process_bind_param(self, value: str | None, dialect: Dialect) -> bytes | None:
        return None if value is None else seal(current_ring(), value.encode(), self.place.encode())

    def process_result_value(self, value: bytes | None, dialect: Dialect) -> str | None:
        return None if value is None else unseal(current_ring(), bytes(value), self.place.encode()).decode()


def blind_index(value: str, purpose: str) -> str:
    """Keyed hash of ``value``, 64 hex digits; under another ``purpose`` (``"customer.phone"``) it is another hash.

    What people take for the same value hashes alike: full-width or not, upper or lower case, with or without spaces.
    """
    normal = "".join(unicodedata.normalize("NFKC", value).casefold().split())
    return hmac.new(current_ring().derive(f"blind_index:{purpose}"), normal.encode(), hashlib.sha256).hexdigest()
