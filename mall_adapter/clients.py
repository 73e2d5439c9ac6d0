"""Programs that may call the mall's API: each has a key of its own, and scopes that say what the key opens.

A key is ``zg_<id>_<secret>``. It is told once, when the client is made; kept is only its hash.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import logging
import re
import secrets
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from sqlalchemy import select, update
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession

from mall_adapter.errors import NotFound
from mall_adapter.models.clients import ApiClient
from mall_adapter.models.goods import Supplier
from mall_adapter.transactions import Transactions
from storage import Actor, Role

log = logging.getLogger(__name__)

USED_EVERY = timedelta(minutes=1)
"""How exactly it is kept when a client last called: not every call shall write."""

KNOWN_SECONDS = 2.0
"""For so long a client is not looked up again."""

_KEY = re.compile(r"zg_([0-9a-f]{12})_[0-9A-Za-z_-]{43}")
_NAME = re.compile(r"[^\x00-\x1f\x7f]{1,64}")


class Scope(StrEnum):
    """What a key opens. Those of customers are for whoever talks with customers: they name any sender."""

    CATALOGUE_READ = "catalogue:read"
    CUSTOMER_READ = "customer:read"
    CUSTOMER_WRITE = "customer:write"
    ORDERS_READ = "orders:read"
    ORDERS_WRITE = "orders:write"
    TICKETS_READ = "tickets:read"
    TICKETS_WRITE = "tickets:write"
    STOCK_READ = "stock:read"
    STOCK_WRITE = "stock:write"
    PRICES_READ = "prices:read"
    PRICES_WRITE = "prices:write"


HELD_BY: dict[Role, frozenset[Scope]] = {
    Role.SERVICE: frozenset(Scope),
    Role.OPERATOR: frozenset(Scope) - {Scope.CUSTOMER_READ, Scope.CUSTOMER_WRITE},
    Role.SUPPLIER: frozenset(Scope) - {Scope.CUSTOMER_READ, Scope.CUSTOMER_WRITE},
}
"""Which scopes a client of this role may have; other roles call no API."""


@dataclass(frozen=True, slots=True)
class Client:
    """``actor`` is who acts when it calls."""

    id: str
    name: str
    scopes: frozenset[Scope]
    actor: Actor
    created_at: datetime
    revoked_at: datetime | None
    last_used_at: datetime | None


class Clients:
    def __init__(self, database: Transactions) -> None:
        self._database = database
        self._noted: dict[str, datetime] = {}
        self._known: dict[str, tuple[Client, float]] = {}  # by the hash of a key that is right
        self._notes: set[asyncio.Task[None]] = set()

    async def add(
        self, name: str, scopes: Iterable[str], role: Role = Role.SERVICE, supplier_id: str | None = None
    ) -> str:
        """The new client's key. Raises ValueError, whose text says what is wrong, and NotFound for the supplier."""
        if not _NAME.fullmatch(name):
            raise ValueError("a client needs a name of at most 64 characters / 名称最多 64 个字")
        if (role is Role.SUPPLIER) != (supplier_id is not None):
            raise ValueError("a supplier's client names its supplier, no other does / 供货商的密钥要带 --supplier")
        granted = _scopes(scopes, role)
        number, secret = secrets.token_hex(6), secrets.token_urlsafe(32)
        key = f"zg_{number}_{secret}"
        async with self._database.writing() as session:
            if supplier_id is not None and await session.get(Supplier, supplier_id) is None:
                raise NotFound(f"there is no supplier {supplier_id} / 没有供货商 {supplier_id}")
            if await _named(session, name) is not None:
                raise ValueError(f"there is a client {name!r} already / 已经有名为 {name!r} 的密钥")
            session.add(
                ApiClient(
                    id=number,
                    name=name,
                    key_hash=_hash(key),
                    scopes=granted,
                    role=role,
                    supplier_id=supplier_id,
                    created_at=self._database.clock(),
                )
            )
        return key

    async def all(self) -> Sequence[Client]:
        """The oldest first."""
        async with self._database.reading() as session:
            return [_client(row) for row in await session.scalars(select(ApiClient).order_by(ApiClient.created_at))]

    async def revoke(self, name: str) -> None:
        """Within ``KNOWN_SECONDS`` the key opens nothing any more. Raises NotFound."""
        async with self._database.writing() as session:
            row = await _named(session, name)
            if row is None:
                raise NotFound(f"there is no client {name!r} / 没有名为 {name!r} 的密钥")
            row.revoked_at = row.revoked_at or self._database.clock()
        self._known.clear()

    async def of_key(self, key: str) -> Client | None:
        """Whose key it is; None for one that is wrong, or was revoked ``KNOWN_SECONDS`` ago."""
        if (found := _KEY.fullmatch(key)) is None:
            return None
        known, since = self._known.get(hashed := _hash(key), (None, -KNOWN_SECONDS))
        if known is not None and time.monotonic() - since < KNOWN_SECONDS:
            return known
        async with self._database.reading() as session:
            row = await session.get(ApiClient, found[1])
        if row is None or row.revoked_at is not None or not hmac.compare_digest(row.key_hash, hashed):
            self._known.pop(hashed, None)
            return None
        now = self._database.clock()
        last = max(filter(None, (row.last_used_at, self._noted.get(row.id))), default=None)
        if last is None or now - last >= USED_EVERY:
            self._noted[row.id] = now
            task = asyncio.create_task(self._note_use(row.id, now))  # nobody waits for it, whoever else writes
            self._notes.add(task)
            task.add_done_callback(self._notes.discard)
        self._known[hashed] = _client(row), time.monotonic()
        return self._known[hashed][0]

    async def close(self) -> None:
        """Waits for what is being noted: whoever goes away in the middle leaves the database locked for a while."""
        await asyncio.gather(*self._notes)

    async def _note_use(self, number: str, now: datetime) -> None:
        try:
            async with self._database.writing() as session:
                await session.execute(update(ApiClient).where(ApiClient.id == number).values(last_used_at=now))
        except SQLAlchemyError as error:
            log.warning("when a client called was not kept: %s", type(error).__name__)


def _scopes(wanted: Iterable[str], role: Role) -> list[str]:
    may = HELD_BY.get(role, frozenset())
    asked = list(dict.fromkeys(wanted))
    if wrong := [one for one in asked if one not in {*may}]:
        raise ValueError(
            f"a client that is a {role} has no scope {', '.join(wrong)}; there are {', '.join(sorted(may))}"
            f" / 没有这个权限范围"
        )
    if not asked:
        raise ValueError(f"say what it may do: --scope {' --scope '.join(sorted(may)[:2])} … / 请用 --scope 指定权限")
    return asked


async def _named(session: AsyncSession, name: str) -> ApiClient | None:
    row: ApiClient | None = await session.scalar(select(ApiClient).where(ApiClient.name == name))
    return row


def _client(row: ApiClient) -> Client:
    actor = Actor(row.role, f"client:{row.name}", row.supplier_id, "api")
    scopes = frozenset(Scope(one) for one in row.scopes)
    return Client(row.id, row.name, scopes, actor, row.created_at, row.revoked_at, row.last_used_at)


def _hash(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()
