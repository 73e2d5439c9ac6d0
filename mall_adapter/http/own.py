"""The mall of this house for other programs."""

from __future__ import annotations

from functools import cache

from fastapi import FastAPI
from sqlalchemy.ext.asyncio import AsyncEngine

from mall_adapter.clients import Clients
from mall_adapter.errors import MallUnavailable
from mall_adapter.house_rules import HouseRules
from mall_adapter.http.server import Spend, mall_api
from mall_adapter.policy import AfterSalesPolicy
from mall_adapter.proof_limits import ProofLimits
from mall_adapter.sql_back_office import SqlBackOffice
from mall_adapter.sql_mall import SqlMall
from mall_adapter.transactions import Transactions, utc_now


def own_mall_api(engine: AsyncEngine, rules: HouseRules, spend: Spend) -> FastAPI:
    """To be mounted at ``/mall``. Customers' requests wait for rules by which to decide them."""

    @cache
    def mall(policy: AfterSalesPolicy, limits: ProofLimits) -> SqlMall:
        return SqlMall(engine, policy, limits=limits)

    def decided() -> SqlMall:
        if rules.after_sales.now is None or rules.proofs.now is None:
            raise MallUnavailable("there are no rules yet")
        return mall(rules.after_sales.now, rules.proofs.now)

    return mall_api(decided, SqlBackOffice(engine), Clients(Transactions(engine, utc_now)), spend)
