"""What follows when a key changes: sealed values, batch by batch while the house runs; keyed hashes, while it stands.

A hash cannot be made anew, as what was hashed is not stored. A new index key is therefore laid over it
(:meth:`privacy.KeyRing.lift`), and what is sealed for a place whose name holds a hash is sealed for the new name.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from sqlalchemy import (
    LargeBinary,
    MetaData,
    String,
    bindparam,
    column,
    func,
    insert,
    select,
    table,
    text,
    tuple_,
    update,
)
from sqlalchemy.engine import Connection
from sqlalchemy.ext.asyncio import AsyncEngine

from privacy.cipher import TamperedError, mark_of, seal, unseal, version_of
from privacy.columns import EncryptedText, KeyedHash, place_of
from privacy.conversations import place_of_row
from privacy.keyring import KeyRing, KeyRingError
from privacy.tables import conversation_event

BATCH = 500
"""Rows that are read, and written in one transaction: some hundredths of a second."""

_HASH = re.compile("[0-9a-f]{64}")


@dataclass(frozen=True)
class SealedColumn:
    """A column of sealed values. ``place`` names the cell in a row, which has the columns ``named_by``."""

    table: str
    name: str
    key: tuple[str, ...]
    named_by: tuple[str, ...]
    place: Callable[[Any], bytes]

    def __str__(self) -> str:
        return f"{self.table}.{self.name}"

    @cached_property
    def rows(self) -> Any:
        """The table without its types: what lies in the database."""
        names = dict.fromkeys((*self.key, *self.named_by))
        return table(self.table, *map(column, names), column(self.name, LargeBinary))


@dataclass(frozen=True)
class HashColumn:
    table: str
    name: str

    @cached_property
    def rows(self) -> Any:
        return table(self.table, column(self.name, String))


@dataclass(frozen=True)
class Batch:
    """What became of some rows."""

    column: SealedColumn
    resealed: int
    damaged: Sequence[str]  # keys of rows whose value does not open; it stays as it is


def sealed_columns(*schemas: MetaData) -> list[SealedColumn]:
    """Of these tables, and of the conversations."""
    found = []
    for schema in schemas:
        for one in schema.sorted_tables:
            key = tuple(each.name for each in one.primary_key)
            found += [
                SealedColumn(one.name, each.name, key, key, _place_in(each.type.place, key))
                for each in one.c
                if isinstance(each.type, EncryptedText)
            ]
    names = ("conversation", "position", "length", "session")
    events = SealedColumn(
        conversation_event.name, "sealed", names[:2], names, lambda row: place_of_row(*(row[name] for name in names))
    )
    return [*found, events]


def _place_in(place: str, key: Sequence[str]) -> Callable[[Any], bytes]:
    return lambda row: place_of(place, [row[part] for part in key])


def hash_columns(*schemas: MetaData) -> list[HashColumn]:
    """Of these tables, and of the conversations."""
    tables = [*(one for schema in schemas for one in schema.sorted_tables), conversation_event]
    return [HashColumn(one.name, each.name) for one in tables for each in one.c if isinstance(each.type, KeyedHash)]


def usage(connection: Connection, columns: Sequence[SealedColumn]) -> dict[int, dict[str, int]]:
    """Of each version of the key the columns that have values sealed with it, and how many."""
    found: dict[int, dict[str, int]] = defaultdict(dict)
    for one in columns:
        mark = func.substr(one.rows.c[one.name], 1, 4)
        for beginning, count in connection.execute(select(mark, func.count()).where(mark.is_not(None)).group_by(mark)):
            version = version_of(bytes(beginning).ljust(4, b"\0"))
            found[version][str(one)] = found[version].get(str(one), 0) + count
    return found


async def reseal(reading: AsyncEngine, writing: AsyncEngine, one: SealedColumn, ring: KeyRing) -> AsyncIterator[Batch]:
    """Seals with the active key what is sealed with another. Stop it after any batch, and begin it again.

    A value that somebody else writes at the same time is theirs: they use the active key, too.
    """
    rows, mark = one.rows, mark_of(ring.active)
    names = [rows.c[part] for part in one.key]
    key = tuple_(*names)
    query = select(rows).where(func.substr(rows.c[one.name], 1, 4) != mark).order_by(*names).limit(BATCH)
    change = (
        update(rows)
        .where(*(rows.c[part] == bindparam(f"key_{part}") for part in one.key), rows.c[one.name] == bindparam("old"))
        .values({one.name: bindparam("new")})
    )
    last: tuple[Any, ...] | None = None
    while True:
        async with reading.connect() as connection:
            found = (await connection.execute(query if last is None else query.where(key > last))).mappings().all()
        if not found:
            return
        changes, damaged = [], []
        for row in found:
            named = {f"key_{part}": row[part] for part in one.key}
            old = bytes(row[one.name])
            try:
                new = seal(ring, unseal(ring, old, one.place(row)), one.place(row))
            except (TamperedError, KeyRingError):
                damaged.append(" ".join(str(part) for part in named.values()))
            else:
                changes.append({**named, "old": old, "new": new})
        if changes:
            async with writing.begin() as connection:
                await connection.execute(change, changes)
        last = tuple(found[-1][part] for part in one.key)
        yield Batch(one, len(changes), damaged)


def lift(connection: Connection, ring: KeyRing, layers: int, *schemas: MetaData) -> None:
    """Brings every hash, made when there were ``layers`` index keys, to those of ``ring``. In one transaction."""
    hashes = hash_columns(*schemas)
    lifted = table("index_lift", column("old", String), column("new", String))
    connection.execute(text("CREATE TEMPORARY TABLE index_lift (old VARCHAR(64) PRIMARY KEY, new VARCHAR(64) UNIQUE)"))
    for one in hashes:
        for chunk in _values_of(connection, one):
            pairs = [{"old": value, "new": ring.lift(value, layers)} for value in chunk if _HASH.fullmatch(value)]
            known = lifted.c.old.in_([pair["old"] for pair in pairs])
            seen = set(connection.execute(select(lifted.c.old).where(known)).scalars())
            if new := [pair for pair in pairs if pair["old"] not in seen]:
                connection.execute(insert(lifted), new)
    for one in hashes:
        value = one.rows.c[one.name]
        of_today = select(lifted.c.new).where(lifted.c.old == value).scalar_subquery()
        connection.execute(update(one.rows).where(value.in_(select(lifted.c.old))).values({one.name: of_today}))
    for sealed in sealed_columns(*schemas):
        for name in sealed.named_by:
            if HashColumn(sealed.table, name) in hashes:
                _rename(connection, ring, sealed, name, lifted)
    connection.execute(text("DROP TABLE index_lift"))


def _values_of(connection: Connection, one: HashColumn) -> Iterator[Sequence[str]]:
    value = one.rows.c[one.name]
    query = select(value).distinct().where(value.is_not(None)).order_by(value).limit(BATCH)
    chunk = connection.execute(query).scalars().all()
    while chunk:
        yield chunk
        chunk = connection.execute(query.where(value > chunk[-1])).scalars().all()


def _rename(connection: Connection, ring: KeyRing, one: SealedColumn, name: str, lifted: Any) -> None:
    """Seals for the new name of their row what is sealed for the name of before, in which ``name`` was another hash."""
    rows = one.rows
    names = [rows.c[part] for part in one.key]
    key = tuple_(*names)
    query = (
        select(rows, lifted.c.old.label("before"))
        .join(lifted, lifted.c.new == rows.c[name])
        .where(rows.c[one.name].is_not(None))
        .order_by(*names)
        .limit(BATCH)
    )
    here = (rows.c[part] == bindparam(f"key_{part}") for part in one.key)
    change = update(rows).where(*here).values({one.name: bindparam("new")})
    found = connection.execute(query).mappings().all()
    while found:
        changes = []
        for row in found:
            try:
                plain = unseal(ring, bytes(row[one.name]), one.place({**row, name: row["before"]}))
            except (TamperedError, KeyRingError):
                continue  # damaged before, and still
            new = seal(ring, plain, one.place(row))
            changes.append({**{f"key_{part}": row[part] for part in one.key}, "new": new})
        if changes:
            connection.execute(change, changes)
        last = tuple(found[-1][part] for part in one.key)
        found = connection.execute(query.where(key > last)).mappings().all()
