"""Encrypted columns, and the blind index that finds a row by a value that the database cannot read.

A sealed value is bound to its table, its column and the primary key of its row: moved anywhere else it does not open.
A type sees only the value of its column, so the key is brought to it. On the way in, :func:`_seal_rows` looks at every
INSERT and UPDATE before it is compiled; a key that the database would number is drawn first. On the way out, a SELECT
hands over the key before the sealed value. Whatever goes another way is refused, never stored open.
"""

from __future__ import annotations

import hashlib
import logging
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from sqlalchemy import LargeBinary, String, Table, event, func, select, text
from sqlalchemy.engine import Connection, Dialect, Engine
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql import ColumnElement, Insert, Update, operators
from sqlalchemy.sql.elements import BinaryExpression, BindParameter, BooleanClauseList
from sqlalchemy.types import TypeDecorator

from privacy.cipher import TamperedError, seal, unseal
from privacy.keyring import KeyRingError, current_ring

if TYPE_CHECKING:
    _TextDecorator = TypeDecorator[str]
    _TextElement = ColumnElement[str]
    _Bind = BindParameter[Any]
else:  # SQLAlchemy 1.4 cannot subscript them
    _TextDecorator, _TextElement, _Bind = TypeDecorator, ColumnElement, BindParameter

log = logging.getLogger(__name__)

_PART, _END = "\x1f", "\x1e"
"""Between the parts of a row's key, and behind it: ASCII's own separators, which no key of ours contains."""


class Damaged(str):
    """Stands for a value that does not open, where :func:`damaged_as` allows it."""


class KeyedHash(String):
    """A column of keyed hashes (:meth:`privacy.KeyRing.hash`): 64 hex digits. ``python -m privacy rotate-index`` finds
    by it what has to follow the index key."""

    def __init__(self) -> None:
        super().__init__(64)


class EncryptedText(_TextDecorator):
    """Text sealed with AES-256-GCM: ``mapped_column(EncryptedText("customer.name"))``.

    ``place`` is ``table.column`` and stays the column's for good, as what is sealed is bound to it and to the row. The
    same text is sealed differently each time, so look it up by a :func:`blind_index` in a column beside it.

    An UPDATE must name its row by its whole primary key. A read raises TamperedError or KeyRingError.
    """

    impl = LargeBinary
    cache_ok = True

    def __init__(self, place: str) -> None:
        super().__init__()
        self.place = place

    def process_bind_param(self, value: str | None, dialect: Dialect) -> bytes | None:
        if value is None or isinstance(value, _SealedBytes):
            return value
        raise TypeError(f"{self.place} is sealed: write it in a row that its primary key names, and compare an index")

    def column_expression(self, column: Any) -> _TextElement:
        return _WithKey(column)

    def process_result_value(self, value: bytes | None, dialect: Dialect) -> str | None:
        if value is None:
            return None
        key, _, sealed = bytes(value).partition(_END.encode())
        try:
            return unseal(current_ring(), sealed, f"{self.place}{_END}".encode() + key).decode()
        except (TamperedError, KeyRingError) as error:
            row = key.decode(errors="replace").replace(_PART, " ")
            log.error("%s of row %r does not open: %s", self.place, row, error)
            if (words := _damaged_as.get()) is not None:
                return Damaged(words)
            raise type(error)(f"{self.place} of row {row!r}: {error}") from None


_damaged_as: ContextVar[str | None] = ContextVar("damaged_as", default=None)


@contextmanager
def damaged_as(words: str) -> Iterator[None]:
    """Inside, a value that does not open is read as :class:`Damaged` with these words: for lists, which go on."""
    token = _damaged_as.set(words)
    try:
        yield
    finally:
        _damaged_as.reset(token)


def place_of(place: str, key: Sequence[object]) -> bytes:
    """Where a value belongs: its ``table.column``, and the parts of its row's primary key."""
    parts = [str(part) for part in key]
    if any(separator in part for part in parts for separator in (_PART, _END)):
        raise ValueError(f"a primary key of {place} contains a separator")
    return f"{place}{_END}{_PART.join(parts)}".encode()


def blind_index(value: str, purpose: str) -> str:
    """Keyed hash of ``value``, 64 hex digits; under another ``purpose`` (``"customer.phone"``) it is another hash.

    What people take for the same value hashes alike: full-width or not, upper or lower case, with or without spaces.
    """
    normal = "".join(unicodedata.normalize("NFKC", value).casefold().split())
    return current_ring().hash(f"blind_index:{purpose}", normal)


def exact_index(value: str, purpose: str) -> str:
    """The same for what is equal only to the letter, as ids of channels and keys of programs are."""
    return blind_index(hashlib.sha256(value.encode()).hexdigest(), purpose)


# ---- out of the database ----


class _WithKey(_TextElement):
    """A sealed column as it is read: the parts of its row's key before it, as :func:`place_of` joins them."""

    inherit_cache = False

    def __init__(self, sealed: Any) -> None:
        self.sealed, self.type = sealed, sealed.type
        self.row_key = list(sealed.table.primary_key)
        if not self.row_key:
            raise TypeError(f"{sealed} is read from something that does not tell its row")


@compiles(_WithKey, "sqlite")
def _with_key_sqlite(element: _WithKey, compiler: Any, **options: Any) -> str:
    key, sealed = _rendered(element, compiler, options)
    joined = " || x'1f' || ".join(key)
    return f"CAST({joined} || x'1e' || {sealed} AS BLOB)"


@compiles(_WithKey, "postgresql")
def _with_key_postgresql(element: _WithKey, compiler: Any, **options: Any) -> str:
    key, sealed = _rendered(element, compiler, options)
    joined = " || E'\\x1f' || ".join(f"CAST({part} AS TEXT)" for part in key)
    return f"convert_to({joined} || E'\\x1e', 'UTF8') || {sealed}"


def _rendered(element: _WithKey, compiler: Any, options: dict[str, Any]) -> tuple[list[str], str]:
    options = {**options, "within_columns_clause": False}
    key = [compiler.process(part, **options) for part in element.row_key]
    return key, compiler.process(element.sealed, **options)


# ---- into the database ----


class _SealedBytes(bytes):
    """Sealed for its place, and ready to be stored."""


@dataclass(frozen=True)
class _Layout:
    """How the rows of a table are named, and which of their columns are sealed."""

    key: tuple[str, ...]
    sealed: dict[str, str]  # name of a column → its place
    numbered: Any  # the column of the key that the database numbers, or None


@lru_cache(maxsize=256)
def _layout(table: Table) -> _Layout:
    sealed = {column.key: column.type.place for column in table.c if isinstance(column.type, EncryptedText)}
    return _Layout(tuple(column.key for column in table.primary_key), sealed, table._autoincrement_column)


@event.listens_for(Engine, "before_execute", retval=True)
def _seal_rows(
    connection: Connection, statement: Any, multiparams: Any, params: Any, execution_options: Mapping[str, Any]
) -> tuple[Any, Any, Any]:
    if not isinstance(statement, (Insert, Update)) or not isinstance(statement.table, Table):
        return statement, multiparams, params
    layout = _layout(statement.table)
    if not layout.sealed:
        return statement, multiparams, params
    rows: list[dict[str, Any]] = [dict(row) for row in multiparams or ([params] if params else [])]
    if isinstance(statement, Insert):
        if layout.numbered is not None:
            statement = _numbered(connection, statement, rows, layout.numbered)
        statement = _sealed(statement, rows, layout, {})
    else:
        statement = _sealed(statement, rows, layout, _compared(statement))
    return (statement, rows, {}) if len(rows) > 1 else (statement, [], rows[0] if rows else {})


def _numbered(connection: Connection, statement: Any, rows: list[dict[str, Any]], column: Any) -> Any:
    """Gives rows the number that the database would give them, as what is sealed in them is bound to it."""
    if _literals(statement).get(column.key) is not None:
        return statement
    missing = [row for row in rows if row.get(column.key) is None]
    if rows and not missing:
        return statement
    numbers = iter(_draw(connection, column, len(missing) or 1))
    if not rows:
        return statement.values({column.key: next(numbers)})
    for row in missing:
        row[column.key] = next(numbers)
    return statement


def _draw(connection: Connection, column: Any, count: int) -> Iterable[int]:
    if connection.dialect.name == "postgresql":
        drawn = text("SELECT nextval(pg_get_serial_sequence(:owner, :name)) FROM generate_series(1, :count)")
        names = {"owner": column.table.name, "name": column.name, "count": count}
        return [number for (number,) in connection.execute(drawn, names)]
    # a transaction that writes has the database to itself
    last = connection.execute(_last(column)).scalar() or 0
    return range(last + 1, last + 1 + count)


@lru_cache(maxsize=256)
def _last(column: Any) -> Any:
    return select(func.max(column))


def _sealed(statement: Any, rows: list[dict[str, Any]], layout: _Layout, compared: Mapping[str, _Bind]) -> Any:
    """Seals what stands in ``rows`` and in the statement's own values, each for the row that it goes into.

    ``compared`` are the parts of the key by which an UPDATE finds its row; an INSERT has them among its values.
    """
    literals = _literals(statement)
    own = [name for name in layout.sealed if isinstance(literals.get(name), str)]
    writes = {name for row in rows for name in row} | literals.keys()
    if compared and writes.intersection(layout.key):
        raise TypeError(f"the key of {statement.table.name} cannot change: what is sealed is bound to it")
    if own and len(rows) > 1:
        raise TypeError(f"{statement.table.name}: one sealed value for several rows")

    def seal_for(row: Mapping[str, Any], name: str, value: str) -> _SealedBytes:
        if isinstance(value, Damaged):
            raise TypeError(f"{layout.sealed[name]} is sealed, and does not open: its stand-in is not to be stored")
        key = [row.get(bind.key, bind.value) for bind in compared.values()] or [
            row.get(part, literals.get(part)) for part in layout.key
        ]
        if len(key) != len(layout.key) or any(part is None for part in key):
            raise TypeError(f"{layout.sealed[name]} is sealed: name the row by its whole primary key")
        return _SealedBytes(seal(current_ring(), value.encode(), place_of(layout.sealed[name], key)))

    for row in rows:
        for name in layout.sealed.keys() & row.keys():
            if isinstance(value := row[name], str):
                row[name] = seal_for(row, name, value)
    if own:
        row = rows[0] if rows else {}
        sealed = {name: seal_for(row, name, literals[name]) for name in own}
        keys = {_name(column): column for column in statement._values}
        statement = statement.values({keys[name]: value for name, value in sealed.items()})
    return statement


def _literals(statement: Any) -> dict[str, Any]:
    """What stands in ``.values(…)``, but for SQL expressions."""
    return {
        _name(column): bind.value
        for column, bind in (statement._values or {}).items()
        if isinstance(bind, BindParameter)
    }


def _name(column: Any) -> str:
    return column if isinstance(column, str) else str(column.key)


def _compared(statement: Any) -> dict[str, _Bind]:
    """The parts of the key that the UPDATE compares with a value, in the key's order."""
    found: dict[str, _Bind] = {}
    pending = list(statement._where_criteria)
    for condition in pending:
        if isinstance(condition, BooleanClauseList) and condition.operator is operators.and_:
            pending += condition.clauses
        elif isinstance(condition, BinaryExpression) and condition.operator is operators.eq:
            column, bind = condition.left, condition.right
            if isinstance(bind, BindParameter) and getattr(column, "table", None) is not None:
                found[str(column.key)] = bind
    key = [str(column.key) for column in statement.table.primary_key]
    return {part: found[part] for part in key} if found.keys() >= set(key) else {}
