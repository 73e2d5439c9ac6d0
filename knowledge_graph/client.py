"""One way to the graph, whichever server is behind it: the embedded one or Neo4j."""

from __future__ import annotations

import asyncio
import itertools
import logging
import random
from collections.abc import Sequence
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, LiteralString, Self

from neo4j import READ_ACCESS, WRITE_ACCESS, AsyncGraphDatabase, Query, Record
from neo4j.exceptions import (
    AuthError,
    ConnectionPoolError,
    ConstraintError,
    DatabaseUnavailable,
    DriverError,
    Neo4jError,
    ServiceUnavailable,
    SessionExpired,
)
from neo4j.time import Date, DateTime

import settings

# the servers remark on every label that no node has yet, with the whole statement
logging.getLogger("neo4j.notifications").setLevel(logging.ERROR)

SECONDS = 5.0
"""How long a question may take with all its repetitions, unless it says otherwise; a customer is waiting."""

CONNECT_SECONDS = 2.0

TRIES = 8
"""Of a statement that lost a race against another."""

UNREACHABLE = (ConnectionPoolError, DatabaseUnavailable, ServiceUnavailable, SessionExpired, OSError)
"""Tried twice: a connection may be left over from before the server was started again."""

Statement = tuple[LiteralString, dict[str, Any]]
Row = dict[str, Any]


class GraphDown(Exception):
    """The graph cannot be reached. Ask again later: the connection comes back by itself."""


class QueryTimeout(GraphDown):
    """The graph did not answer in time."""


class Graph:
    """``async with Graph.from_settings() as graph: rows = await graph.read("RETURN $one AS one", one=1)``.

    Raises :class:`GraphDown`, and whatever the driver raises for a statement that is wrong. Values come as parameters,
    never as part of a statement. Connects when it is first asked.
    """

    def __init__(self, uri: str, user: str, password: str, seconds: float = SECONDS) -> None:
        self._seconds = seconds
        self._driver = AsyncGraphDatabase.driver(
            uri,
            auth=(user, password),
            connection_timeout=CONNECT_SECONDS,
            connection_acquisition_timeout=CONNECT_SECONDS,
            max_connection_pool_size=50,
            telemetry_disabled=True,
        )

    @classmethod
    def from_settings(cls) -> Self:
        return cls(settings.graph_uri(), settings.graph_user(), settings.graph_password())

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        await self._driver.close()

    async def ping(self) -> bool:
        try:
            return await self.read("RETURN 1 AS one") == [{"one": 1}]
        except GraphDown:
            return False

    async def read(self, query: LiteralString, /, *, within: float | None = None, **parameters: Any) -> list[Row]:
        return await self._run(READ_ACCESS, [(query, parameters)], within)

    async def write(self, query: LiteralString, /, *, within: float | None = None, **parameters: Any) -> list[Row]:
        return await self._run(WRITE_ACCESS, [(query, parameters)], within)

    async def write_all(self, statements: Sequence[Statement], within: float | None = None) -> list[Row]:
        """All statements or none; returns the rows of the last."""
        return await self._run(WRITE_ACCESS, statements, within)

    async def _run(self, access: str, statements: Sequence[Statement], within: float | None) -> list[Row]:
        seconds = within or self._seconds
        try:
            async with asyncio.timeout(seconds):
                for attempt in itertools.count(1):
                    try:
                        return await self._once(access, statements, seconds)
                    except (DriverError, Neo4jError) as error:
                        # the driver would repeat most of this itself, but only after a second; and it takes the loser
                        # of two first MERGEs of the same node for a mistake
                        if not (error.is_retryable() or isinstance(error, ConstraintError)):
                            raise
                        if attempt >= (2 if isinstance(error, UNREACHABLE) else TRIES):
                            raise
                    await asyncio.sleep(random.uniform(0.5, 1.5) * 0.01 * 2**attempt)  # noqa: S311 (jitter)
        except TimeoutError as error:
            raise QueryTimeout(f"no answer within {seconds:g} s") from error
        except AuthError as error:
            raise GraphDown("the graph refuses GRAPH_USER and GRAPH_PASSWORD") from error
        except UNREACHABLE as error:
            raise GraphDown(f"the graph does not answer: {type(error).__name__}") from error
        except Neo4jError as error:
            if error.code and "TransactionTimedOut" in error.code:
                raise QueryTimeout("the graph has stopped a statement that took too long") from error
            raise
        raise AssertionError("unreachable")

    async def _once(self, access: str, statements: Sequence[Statement], seconds: float) -> list[Row]:
        rows: list[Row] = []
        if access == READ_ACCESS:  # without a transaction of its own: half of the way there and back
            async with self._driver.session(default_access_mode=access) as session:
                for query, parameters in statements:
                    result = await session.run(Query(query, timeout=seconds), parameters)
                    rows = [_native(record) async for record in result]
            return rows
        async with (
            self._driver.session(default_access_mode=access) as session,
            await session.begin_transaction(timeout=seconds) as transaction,
        ):
            for query, parameters in statements:
                result = await transaction.run(query, parameters)
                rows = [_native(record) async for record in result]
            await transaction.commit()
        return rows


def _native(record: Record) -> Row:
    """With Python's own dates and times instead of the driver's. Times are UTC, also where the server forgets that."""
    row: Row = dict(record)
    for key, value in row.items():
        if isinstance(value, Date | DateTime):
            native = value.to_native()
            row[key] = native.replace(tzinfo=native.tzinfo or UTC) if isinstance(native, datetime) else native
    return row
