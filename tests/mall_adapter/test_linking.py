"""One customer in several channels: codes that bind another account, and accounts that are unbound."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import Connection, event, select
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from mall_adapter import SqlMall, models, people
from mall_adapter.errors import BindingLocked, CodeOver, NotBound, NotPermitted, OwnershipRequired, WrongProof
from mall_adapter.values import Customer, Masked
from storage import EventRow, Role
from tests.mall_adapter.offices import new_key

from .conftest import Clock

ZHOU = Customer("C1", "周琳", "上海")


async def refused(doing: Awaitable[object]) -> Exception | None:
    try:
        await doing
    except Exception as error:
        return error
    return None


async def a_code(mall: SqlMall, sender: str = "web:zhou") -> str:
    return (await mall.make_binding_code(sender, new_key())).code


def another(code: str) -> str:
    return f"{(int(code) + 1) % 10**6:06d}"


# ---- a code ----


async def test_a_code_from_one_channel_binds_in_another(mall: SqlMall, clock: Clock) -> None:
    made = await mall.make_binding_code("web:zhou", new_key())
    assert made.code.isdecimal()
    assert len(made.code) == 6
    assert (made.good_until - clock()).total_seconds() == 300
    assert await mall.whose_code("telegram:7", made.code, new_key()) == Masked("周*")
    assert await mall.customer_of("telegram:7") is None  # nothing was confirmed yet
    assert await mall.bind_with_code("telegram:7", made.code, new_key()) == ZHOU
    for told in (mall.orders_of, mall.tickets_of, mall.coupons_of):
        assert await told("telegram:7") == await told("web:zhou")
    assert await mall.customer_of("web:zhou") == ZHOU


async def test_width_and_spaces_are_forgiven(mall: SqlMall) -> None:
    code = await a_code(mall)
    wide = "".join(chr(ord(each) + 0xFEE0) for each in code)
    for typed in (f" {code} ", f"{code[:3]} {code[3:]}", wide):
        assert await mall.whose_code("telegram:7", typed, new_key()) == Masked("周*")
    assert await mall.bind_with_code("telegram:7", wide, new_key()) == ZHOU


async def test_a_visitor_gets_no_code(mall: SqlMall) -> None:
    assert isinstance(await refused(mall.make_binding_code("web:guest", new_key())), NotBound)


async def test_a_code_is_good_once_for_five_minutes_and_until_the_next(mall: SqlMall, clock: Clock) -> None:
    first = await a_code(mall)
    second = await a_code(mall)
    assert isinstance(await refused(mall.whose_code("telegram:7", first, new_key())), CodeOver)  # replaced
    await mall.bind_with_code("telegram:7", second, new_key())
    for door in (mall.whose_code, mall.bind_with_code):
        assert isinstance(await refused(door("wechat:8", second, new_key())), CodeOver)  # used
    third = await a_code(mall)
    clock.advance(minutes=5)
    assert isinstance(await refused(mall.bind_with_code("wechat:8", third, new_key())), CodeOver)  # too old
    assert await mall.customer_of("wechat:8") is None
    fourth = await a_code(mall)
    clock.advance(minutes=4, seconds=59)
    assert await mall.bind_with_code("wechat:8", fourth, new_key()) == ZHOU


async def test_what_is_over_says_so_however_often(mall: SqlMall) -> None:
    old = await a_code(mall)
    new = await a_code(mall)
    for _ in range(6):
        assert isinstance(await refused(mall.whose_code("telegram:7", old, new_key())), CodeOver)
    assert await mall.bind_with_code("telegram:7", new, new_key()) == ZHOU


async def test_five_wrong_codes_lock_the_sender_for_an_hour(mall: SqlMall, clock: Clock) -> None:
    code = await a_code(mall)
    for left in (4, 3, 2, 1):
        wrong = await refused(mall.whose_code("telegram:7", another(code), new_key()))
        assert isinstance(wrong, WrongProof)
        assert wrong.tries_left == left
    for told in (another(code), code):  # even the right one
        assert isinstance(await refused(mall.bind_with_code("telegram:7", told, new_key())), BindingLocked)
    assert await mall.whose_code("telegram:8", code, new_key()) == Masked("周*")  # somebody else's tries are their own
    assert await mall.bind_with_proof("telegram:7", "13800005678", "ORD10001", new_key())  # and so is another way
    clock.advance(minutes=61)
    assert await mall.bind_with_code("telegram:9", await a_code(mall), new_key()) == ZHOU


async def test_many_senders_of_one_address_are_one_guesser(mall: SqlMall) -> None:
    code = await a_code(mall)
    for number in range(50):
        said = await refused(mall.whose_code(f"web:{number}", another(code), new_key(), "one address"))
    assert isinstance(said, BindingLocked)
    assert isinstance(await refused(mall.whose_code("web:50", code, new_key(), "one address")), BindingLocked)
    assert await mall.whose_code("web:51", code, new_key(), "another address") == Masked("周*")


async def test_what_can_be_no_code_is_a_wrong_one(mall: SqlMall) -> None:
    await a_code(mall)
    for number, typed in enumerate(("", "1", "1234567", "abcdef", "一二三四五六", "'; DROP TABLE", "9" * 4_000)):
        assert isinstance(await refused(mall.whose_code(f"telegram:{number}", typed, new_key())), WrongProof)


async def test_a_request_that_comes_again_is_one(mall: SqlMall) -> None:
    made = [await mall.make_binding_code("web:zhou", "k1") for _ in range(2)]
    assert made[0] == made[1]
    tries = [await refused(mall.whose_code("telegram:7", another(made[0].code), "k2")) for _ in range(3)]
    assert [error.tries_left for error in tries if isinstance(error, WrongProof)] == [4, 4, 4]
    assert [await mall.bind_with_code("telegram:7", made[0].code, "k3") for _ in range(2)] == [ZHOU, ZHOU]
    assert await mall.make_binding_code("web:zhou", "k1") == made[0]  # used by now, and told alike


async def test_of_many_who_tell_a_code_at_once_one_is_bound(malls: list[SqlMall]) -> None:
    code = await a_code(malls[0])
    said = await asyncio.gather(
        *(malls[n % 3].bind_with_code(f"telegram:{n}", code, new_key()) for n in range(6)), return_exceptions=True
    )
    assert sorted(type(each).__name__ for each in said) == ["CodeOver"] * 5 + ["Customer"]


async def test_of_codes_that_are_asked_for_at_once_one_is_good(malls: list[SqlMall]) -> None:
    made = await asyncio.gather(*(malls[n % 3].make_binding_code("web:zhou", new_key()) for n in range(6)))
    said = [await refused(malls[0].whose_code("telegram:7", each.code, new_key())) for each in made]
    assert [type(each).__name__ for each in said if each] == ["CodeOver"] * 5


@contextmanager
def told_to(engine: AsyncEngine) -> Iterator[list[str]]:
    """Every statement with its values, as it goes to the database."""
    told: list[str] = []

    @event.listens_for(engine.sync_engine, "before_cursor_execute")
    def note(_: Connection, __: object, statement: str, parameters: object, *___: object) -> None:
        told.append(f"{statement} {parameters!r}")

    yield told
    event.remove(engine.sync_engine, "before_cursor_execute", note)


@pytest.mark.parametrize("databases", ["sqlite", "postgresql"], indirect=True)
async def test_no_code_reaches_the_database(mall: SqlMall, engine: AsyncEngine) -> None:
    with told_to(engine) as told:
        code = await a_code(mall)
        await mall.bind_with_code("telegram:7", code, new_key())
    assert told
    assert not [each for each in told if f"'{code}'" in each or f'"{code}"' in each]
    assert code not in repr(await mall.make_binding_code("web:he", new_key()))


# ---- unbinding ----


async def test_who_unbinds_is_a_visitor_again_and_the_others_are_not(mall: SqlMall, engine: AsyncEngine) -> None:
    await mall.bind_with_code("telegram:7", await a_code(mall), new_key())
    await mall.prove_ownership("telegram:7", "ORD20001", "4321", new_key())
    await mall.unbind("telegram:7", "k1")
    assert await mall.customer_of("telegram:7") is None
    assert await mall.orders_of("telegram:7") == []
    for order_id in ("ORD10001", "ORD20001"):
        assert isinstance(await refused(mall.order("telegram:7", order_id)), OwnershipRequired)
    assert await mall.customer_of("web:zhou") == ZHOU
    for key in ("k1", "k2"):  # again, and once more
        await mall.unbind("telegram:7", key)
    await mall.unbind("web:nobody", "k1")
    async with AsyncSession(engine) as session:
        found = await session.scalars(select(EventRow).where(EventRow.kind == "account_unbound"))
        assert [(each.subject, each.data) for each in found] == [("principal:P-C1", {"channel": "telegram"})]


async def test_an_unbound_account_can_be_bound_again(mall: SqlMall) -> None:
    await mall.unbind("web:zhou", new_key())
    assert isinstance(await refused(mall.make_binding_code("web:zhou", new_key())), NotBound)
    assert await mall.bind_with_proof("web:zhou", "13800005678", "ORD10001", new_key()) == ZHOU


# ---- a channel proves no role ----


@pytest.mark.parametrize(
    "sender", ["operator:1", "P-wang:1", "web:P-wang", "web:小王", "dashboard:小王", "shell:operator", "supplier:S1"]
)
@pytest.mark.parametrize("databases", ["sqlite"], indirect=True)
async def test_what_a_sender_is_called_proves_no_role(mall: SqlMall, sender: str) -> None:
    await mall.bind_with_code(sender, await a_code(mall), new_key())
    async with mall.database.reading() as session:
        for role in set(Role) - {Role.CUSTOMER}:
            with pytest.raises(NotPermitted):
                await people.actor_of(session, sender, role)
        assert (await people.actor_of(session, sender)).role is Role.CUSTOMER
        row = await session.scalar(
            select(models.ChannelAccount).where(models.ChannelAccount.sender_index == models.sender_index(sender))
        )
        assert row is not None
        assert row.principal_id == "P-C1"
        events = await session.scalars(select(EventRow).where(EventRow.kind == "account_bound"))
        assert {each.role for each in events} == {Role.CUSTOMER}
        assert json.dumps([each.data for each in events]).count(sender) == 0
