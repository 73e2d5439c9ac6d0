"""Energy in the conversation: balance and why, what waits, coupons after one yes, nothing for who only asks for it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncSession

from bot.actions import malls
from bot.actions.conversation import digest
from bot.actions.energy import (
    AskConfirmRedeemEnergy,
    AwardEnergy,
    EnergyBalance,
    RedeemEnergy,
    RedeemEnergyValidation,
    RefuseRedeemEnergy,
)
from mall_adapter import SqlMall, models
from mall_adapter.models import EnergyAccount, EnergyEntry, EnergyLot
from storage import WRITES, Role, create_engine, migrate
from tests.bot.actions.asking import Customer, add_orders
from tests.mall_adapter.goods import empty

_numbers = count(1)


@pytest.fixture(scope="module")
def address(house: Path) -> str:
    url = f"sqlite+aiosqlite:///{house}/energy.db"
    asyncio.run(migrate(url))
    return url


@pytest.fixture
async def session(address: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[AsyncSession]:
    """Ann's mall."""
    engine = create_engine(address)
    monkeypatch.setattr(malls._mall, "room", SqlMall(engine))
    async with AsyncSession(engine.execution_options(**WRITES)) as session:
        async with session.begin():
            await empty(session)
            add_orders(session)
        yield session
    await engine.dispose()


async def give(session: AsyncSession, place: str, points: int, days: int = 300, event: str = "order") -> None:
    """Points of Ann's, which end in so many days."""
    now = datetime.now(UTC)
    async with session.begin():
        if await session.get(EnergyAccount, "customer:C1") is None:
            session.add(EnergyAccount(person="customer:C1", balance=0))
            await session.flush()
        number = next(_numbers)
        sums = dict.fromkeys(("held", "pending", "active", "owed"), 0) | {place: points}
        lot = EnergyLot(
            person="customer:C1", invitee=f"account:{number}", event=event, level=1, rule=event, channel="web",
            card_id="CARD1", cause=f"{number}", points=points, reasons=[], earned_at=now - timedelta(days=3),
            frozen_until=None, expires_at=now + timedelta(days=days), **sums,
        )  # fmt: skip
        session.add(lot)
        await session.flush()
        session.add(EnergyEntry(lot_id=lot.id, target=place, points=points, cause=f"e{number}", at=now))
        if place in ("active", "owed"):
            change = points if place == "active" else -points
            account = update(EnergyAccount).where(EnergyAccount.person == "customer:C1")
            await session.execute(account.values(balance=EnergyAccount.balance + change))


def said(customer: Customer) -> str:
    """All that the last action has said."""
    told, texts = customer.told, []
    for message in told:
        customer.told = [message]
        texts.append(customer.text())
    customer.told = told
    return "\n".join(texts)


def titles_of(customer: Customer) -> list[str]:
    return [one["title"] for one in customer.told[-1]["buttons"]]


async def test_balance(session: AsyncSession) -> None:
    await give(session, "active", 130)
    await give(session, "active", 20, days=5)
    await give(session, "pending", 20)
    await give(session, "held", 2, event="opening")
    customer = Customer("energy_balance").says("我有多少能量")
    assert await customer.meets(EnergyBalance()) == ["utter_energy_balance"]
    for told in ("150 点", "20 点待确认", "2 点核对中", "20 点到", "每 100 点", "¥5"):
        assert told in said(customer)
    assert titles_of(customer) == ["看明细", "能量兑换"]


async def test_why(session: AsyncSession) -> None:
    await give(session, "active", 20)
    await give(session, "held", 2, event="opening")
    customer = Customer("energy_balance").says("这20点哪来的", energy_fact=("哪来的", "why"))
    assert await customer.meets(EnergyBalance()) == ["utter_energy_history", "utter_energy_balance"]
    assert "朋友的首单 +20" in said(customer)
    assert "新朋友点开名片 +2（核对中）" in said(customer)


async def test_what_is_owed(session: AsyncSession) -> None:
    await give(session, "owed", 20)
    customer = Customer("energy_balance").says("能量余额")
    await customer.meets(EnergyBalance())
    assert "还欠 20 点" in said(customer)
    assert titles_of(customer) == ["看明细"]


async def test_others_energy_is_nobodys_business(session: AsyncSession) -> None:
    customer = Customer("energy_balance").says("谁的能量最多", energy_fact=("最多", "rank"))
    assert await customer.meets(EnergyBalance()) == ["utter_energy_rank_private", "utter_energy_balance"]
    async with session.begin():
        session.add(models.Membership(principal_id="P-C1", role=Role.SALES, granted_at=datetime.now(UTC)))
    customer = Customer("energy_balance").says("谁的能量最多", energy_fact=("最多", "rank"))
    assert await customer.meets(EnergyBalance()) == ["utter_energy_no_carriers"]


@pytest.mark.parametrize("action", [EnergyBalance(), AwardEnergy()])
async def test_a_stranger_binds_first(action: EnergyBalance | AwardEnergy, session: AsyncSession) -> None:
    customer = Customer("energy_balance", "web:guest").says("能量到账没")
    assert await customer.meets(action) == []
    assert customer.slots["missing"] == "binding"


async def test_what_waits(session: AsyncSession) -> None:
    customer = Customer("energy_arrived").says("能量到账没")
    assert await customer.meets(AwardEnergy()) == ["utter_energy_nothing_waits"]
    await give(session, "pending", 20)
    await give(session, "held", 5)
    customer.says("能量到账没")
    assert await customer.meets(AwardEnergy()) == ["utter_energy_waiting"]
    assert "20 点待确认" in said(customer) and "5 点核对中" in said(customer)
    async with session.begin():
        past = datetime.now(UTC) - timedelta(minutes=1)
        await session.execute(update(EnergyLot).where(EnergyLot.pending > 0).values(frozen_until=past))
    customer.says("到了没")
    assert await customer.meets(AwardEnergy()) == ["utter_energy_settled", "utter_energy_waiting"]
    assert "刚到账 20 点" in said(customer)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("兑换能量", 1),
        ("换两张", 2),
        ("把能量都兑了", 3),
        ("用200能量换券", 2),
        ("拿50点换", 1),
        ("spend all my energy", 3),
    ],
)
async def test_how_many_coupons(session: AsyncSession, text: str, wanted: int) -> None:
    await give(session, "active", 330)
    customer = Customer("redeem_energy").says(text)
    await customer.meets(RedeemEnergyValidation())
    assert (customer.slots["energy_coupons"], customer.slots.get("refusal")) == (wanted, None)


@pytest.mark.parametrize(
    ("points", "owed", "wanted", "response", "titles"),
    [
        (99, 0, 1, "utter_energy_short", ["看明细"]),
        (250, 0, 3, "utter_energy_short_of_many", ["换 2 张", "看明细"]),
        (0, 20, 1, "utter_energy_owed", ["看明细"]),
    ],
)
async def test_more_than_there_is(
    session: AsyncSession, points: int, owed: int, wanted: int, response: str, titles: list[str]
) -> None:
    for place, number in (("active", points), ("owed", owed)):
        if number:
            await give(session, place, number)
    customer = Customer("redeem_energy").says(f"换{wanted}张券")
    await customer.meets(RedeemEnergyValidation())
    customer.says("换券")
    assert await customer.meets(RefuseRedeemEnergy()) == [response]
    assert titles_of(customer) == titles


async def test_a_stranger_redeems_nothing(session: AsyncSession) -> None:
    customer = Customer("redeem_energy", "web:guest").says("换券")
    await customer.meets(RedeemEnergyValidation())
    assert await customer.meets(RefuseRedeemEnergy()) == ["utter_energy_unbound"]


async def test_one_yes_and_the_coupon_is_there(session: AsyncSession) -> None:
    """The same yes again changes nothing; a yes to other values is none; what another window has spent is told."""
    await give(session, "active", 150)
    values: dict[str, Any] = {"energy_coupons": 1, "energy_price": 100}
    customer = Customer("redeem_energy", **values).says("换券")
    assert await customer.meets(AskConfirmRedeemEnergy()) == ["utter_ask_confirm_redeem_energy"]
    assert await customer.meets(RedeemEnergy()) == []
    for _ in range(2):
        customer = Customer("redeem_energy", **values, confirmed=digest(values)).says("确认")
        assert await customer.meets(RedeemEnergy()) == ["utter_energy_redeemed"]
        assert "还剩 50 点" in said(customer)
    mall = await malls.get_mall()
    assert len(await mall.coupons_of("web:ann")) == 1
    other = Customer("redeem_energy", **values, confirmed=digest(values)).says("确认")
    other.frame["key"] = "another window"
    assert await other.meets(RedeemEnergy()) == ["utter_energy_short"]
    assert len(await mall.coupons_of("web:ann")) == 1
