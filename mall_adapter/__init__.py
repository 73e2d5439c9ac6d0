"""What the mall can do: orders, after-sales tickets, coupons, goods and their stock. SQL lives only here.

``async with open_mall() as mall`` gives the mall that the settings name; :class:`CustomerMall` says what it can.
``python -m mall_adapter migrate`` makes the tables of the whole house, ``python -m mall_adapter seed`` the demo mall.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import cast

from sqlalchemy.ext.asyncio import AsyncEngine

import settings
from mall_adapter.cards import Cards
from mall_adapter.catalogue import read_catalogue
from mall_adapter.data_rights import DataRights
from mall_adapter.demo_mark import is_demo, was_demo
from mall_adapter.desk import Desk
from mall_adapter.desk_rules import DeskRules
from mall_adapter.house_rules import HouseRules
from mall_adapter.leads import Leads
from mall_adapter.notices import Notices
from mall_adapter.offers import Offers, Rules
from mall_adapter.people import Accounts, in_public
from mall_adapter.ports import BackOffice, CustomerMall
from mall_adapter.rules import AnyRules, BrokenRules, RulesFile
from mall_adapter.sql_back_office import SqlBackOffice
from mall_adapter.sql_mall import SqlMall
from privacy import verify_keyring
from storage import WRITES, create_engine

__all__ = [
    "Accounts",
    "BackOffice",
    "BrokenRules",
    "CustomerMall",
    "DataRights",
    "Desk",
    "DeskRules",
    "HouseRules",
    "Leads",
    "Offers",
    "SqlBackOffice",
    "SqlMall",
    "in_public",
    "is_demo",
    "open_back_office",
    "open_cards",
    "open_data_rights",
    "open_desk",
    "open_leads",
    "open_mall",
    "open_notices",
    "open_offers",
    "read_catalogue",
    "was_demo",
]


@asynccontextmanager
async def open_mall() -> AsyncIterator[CustomerMall]:
    """The mall at ``settings.mall_url()``, or where there is none that of ``settings.database_url()``.

    Of the latter: raises :class:`privacy.KeyRingError` where the key ring is not its own; a database that never had a
    key ring gets one. While it is open, rules that an operator saves are taken. Raises :class:`BrokenRules` where a
    file of rules is broken and there never was a good one.
    """
    if elsewhere := settings.mall_url():
        from mall_adapter.http.client import HttpMall, connection  # only where it is asked

        async with connection(elsewhere, settings.mall_key()) as http:
            yield cast(CustomerMall, HttpMall(http))
        return
    rules = HouseRules()
    async with _taken(rules.after_sales) as policy, _taken(rules.proofs) as limits, _checked_engine() as engine:
        yield SqlMall(engine, policy, limits=limits)


@asynccontextmanager
async def open_back_office() -> AsyncIterator[BackOffice]:
    """The back office of the mall that :func:`open_mall` gives; raises :class:`privacy.KeyRingError` as that does."""
    if elsewhere := settings.mall_url():
        from mall_adapter.http.client import HttpBackOffice, connection

        async with connection(elsewhere, settings.mall_key()) as http:
            yield cast(BackOffice, HttpBackOffice(http))
        return
    async with _checked_engine() as engine:
        yield SqlBackOffice(engine)


@asynccontextmanager
async def open_desk() -> AsyncIterator[Desk]:
    """The service desk of this house, whatever the mall; raises what :func:`open_mall` raises."""
    async with _taken(HouseRules().desk) as rules, _checked_engine() as engine:
        yield Desk(engine, settings.desk_hours(), rules=rules)


@asynccontextmanager
async def open_leads() -> AsyncIterator[Leads]:
    """The leads of this house's salespeople; raises :class:`privacy.KeyRingError` as :func:`open_mall` does."""
    async with _checked_engine() as engine:
        yield Leads(engine)


@asynccontextmanager
async def open_notices() -> AsyncIterator[Notices]:
    """What customers want to be told of this house; raises :class:`privacy.KeyRingError` as :func:`open_mall` does."""
    async with _checked_engine() as engine:
        yield Notices(engine)


@asynccontextmanager
async def open_cards() -> AsyncIterator[Cards]:
    """The smart cards of this house; raises :class:`privacy.KeyRingError` as :func:`open_mall` does."""
    async with _checked_engine() as engine:
        yield Cards(engine)


@asynccontextmanager
async def open_data_rights() -> AsyncIterator[DataRights]:
    """What customers of this house ask for as owners of their data; raises what :func:`open_mall` raises."""
    async with _taken(HouseRules().proofs) as limits, _checked_engine() as engine:
        yield DataRights(engine, limits)


@asynccontextmanager
async def open_offers() -> AsyncIterator[Offers]:
    """What worried customers of this house are offered; raises what :func:`open_mall` raises."""
    rules = HouseRules()
    async with _taken(rules.offers) as table, _taken(rules.budgets) as limits, _checked_engine() as engine:
        yield Offers(engine, Rules(table, limits))


@asynccontextmanager
async def _taken(file: RulesFile[AnyRules]) -> AsyncIterator[AnyRules]:
    """What stands in the file, which is what an operator saves meanwhile."""
    await asyncio.to_thread(file.look)
    rules = file.good()
    watching = asyncio.create_task(file.watch())
    try:
        yield rules
    finally:
        watching.cancel()


@asynccontextmanager
async def _checked_engine() -> AsyncIterator[AsyncEngine]:
    engine = create_engine(settings.database_url())
    try:
        async with engine.execution_options(**WRITES).begin() as connection:
            await connection.run_sync(verify_keyring)
        yield engine
    finally:
        await engine.dispose()
