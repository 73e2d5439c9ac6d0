"""Guessing what proves an order: over senders, orders and addresses; and owners, who get in all the same."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, event, func, select
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

import settings
from mall_adapter import SqlMall, models
from mall_adapter.errors import (
    BindingLocked,
    MallError,
    NotFound,
    OrderLocked,
    OwnershipRequired,
    PhoneRequired,
    WrongPhoneTail,
    WrongProof,
)
from mall_adapter.proof_limits import ProofLimits
from mall_adapter.rules import BrokenRules
from mall_adapter.values import DeliveryChange, InvoiceKind, InvoiceRequest, Proof, Reason, TicketKind, TicketRequest
from storage import WRITES, IdempotencyConflict, create_engine, migrate
from tests.mall_adapter.offices import bind, new_key

from .conftest import Clock, Postgres, Sqlite, add_small_mall

LIMITS = ProofLimits.load()
ORDER = LIMITS.of(Proof.TAIL)["order"].tries
MINE, NOBODYS = "ORD10003", "ORD99999"
RIGHT, PHONE = "5678", "13800005678"


async def refused(attempt: Coroutine[Any, Any, Any]) -> MallError | None:
    try:
        await attempt
    except MallError as error:
        return error
    return None


def as_said(error: MallError | None) -> tuple[str, object]:
    """All that a refusal tells."""
    return type(error).__name__, getattr(error, "tries_left", None) or getattr(error, "until", None)


async def guess(mall: SqlMall, order_id: str = MINE, count: int = ORDER, **address: str) -> list[MallError | None]:
    """``count`` wrong tails, each of another sender."""
    tails = (f"{number:04}" for number in range(count))
    return [await refused(mall.prove_ownership(f"web:g{tail}", order_id, tail, new_key(), **address)) for tail in tails]


async def lock_tails(mall: SqlMall, order_id: str = MINE) -> OrderLocked:
    *_, last = await guess(mall, order_id)
    assert isinstance(last, OrderLocked)
    return last


async def lock_phones(mall: SqlMall, order_id: str = MINE) -> BindingLocked:
    for number in range(LIMITS.of(Proof.PHONE)["order"].tries):
        error = await refused(mall.prove_phone(f"web:p{number}", order_id, f"1380000{number:04}", new_key()))
    assert isinstance(error, BindingLocked)
    return error


# ---- 10,000 senders -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("databases", ["sqlite"], indirect=True)  # counted in the same way, and faster
async def test_thousands_of_senders_open_nothing_and_the_owner_gets_in(mall: SqlMall) -> None:
    """Each of another fifth tail, half of them from one address, half from one each; before the count over all senders
    one in five would have been in. All ten thousand are no different, and take five times as long."""
    tails = [f"{number % 10_000:04}" for number in range(9003, 19_003, 5)]
    assert RIGHT in tails[ORDER:]
    said: Counter[str] = Counter()
    for first in range(0, len(tails), 100):
        tries = (
            mall.prove_ownership(
                f"web:{number}", MINE, tails[number], new_key(), address=f"a{max(0, number - len(tails) // 2)}"
            )
            for number in range(first, first + 100)
        )
        said.update(type(error).__name__ for error in await asyncio.gather(*tries, return_exceptions=True))
    assert said == {"WrongPhoneTail": ORDER - 1, "OrderLocked": len(tails) + 1 - ORDER}

    assert isinstance(await refused(mall.prove_ownership("web:owner", MINE, RIGHT, new_key())), OrderLocked)
    await mall.bind_with_proof("web:owner", PHONE, MINE, new_key())
    assert (await mall.order("web:owner", MINE)).id == MINE


async def test_senders_who_know_all_but_four_digits_of_a_phone_open_nothing(mall: SqlMall) -> None:
    opened = 0
    for number in range(200):
        sender, phone = f"web:{number}", f"1380000{5600 + number:04}"
        proof = (
            mall.prove_phone(sender, MINE, phone, new_key())
            if number % 2
            else mall.bind_with_proof(sender, phone, MINE, new_key())
        )
        opened += await refused(proof) is None
    assert opened == 0


async def test_guesses_at_once_are_all_counted(malls: list[SqlMall]) -> None:
    tries = (malls[n % 3].prove_ownership(f"web:{n}", MINE, f"{n:04}", new_key(), address="a") for n in range(30))
    said = Counter(type(error).__name__ for error in await asyncio.gather(*tries, return_exceptions=True))
    assert said == {"WrongPhoneTail": ORDER - 1, "OrderLocked": 31 - ORDER}


async def test_one_tail_at_many_orders_is_guessing_too(mall: SqlMall) -> None:
    """It finds the order whose tail it is, sooner or later: counted for the sender, and for the address."""
    one = [
        type(await refused(mall.prove_ownership("web:one", f"ORD77{number:03}", "8888", new_key())))
        for number in range(LIMITS.of(Proof.TAIL)["sender"].tries + 3)
    ]
    assert one.index(OrderLocked) == LIMITS.of(Proof.TAIL)["sender"].tries - 1
    assert set(one[LIMITS.of(Proof.TAIL)["sender"].tries :]) == {OrderLocked}
    many = [
        type(await refused(mall.prove_ownership(f"web:{number}", f"ORD88{number:03}", "8888", new_key(), address="a")))
        for number in range(LIMITS.of(Proof.TAIL)["address"].tries + 3)
    ]
    assert many.index(OrderLocked) == LIMITS.of(Proof.TAIL)["address"].tries - 1
    assert isinstance(await refused(mall.prove_ownership("web:new", MINE, RIGHT, new_key(), address="a")), OrderLocked)
    assert (await mall.prove_ownership("web:new", MINE, RIGHT, new_key(), address="b")).id == MINE


async def test_what_was_typed_for_an_order_is_kept_as_a_keyed_hash(mall: SqlMall, engine: AsyncEngine) -> None:
    await guess(mall, NOBODYS, count=3)
    async with engine.connect() as connection:
        stored = repr((await connection.execute(select(models.WrongProofs.__table__))).all())
    assert models.typed_order_index(NOBODYS) in stored and NOBODYS not in stored


async def test_an_address_is_kept_as_a_keyed_hash_and_not_for_good(
    mall: SqlMall, engine: AsyncEngine, clock: Clock
) -> None:
    await guess(mall, count=3, address="203.0.113.9")
    async with engine.connect() as connection:
        stored = (await connection.execute(select(models.WrongProofs.__table__))).all()
    assert models.address_index("203.0.113.9") in repr(stored)
    assert "203.0.113.9" not in repr(stored)
    clock.advance(days=2)
    await guess(mall, NOBODYS, count=1)
    async with AsyncSession(engine) as session:
        assert await session.scalar(select(func.count()).select_from(models.WrongProofs)) == 3  # those of the last


# ---- owners, and other honest people --------------------------------------------------------------------------------


async def test_a_lock_touches_nobody_who_is_bound_or_has_proved(mall: SqlMall) -> None:
    await mall.prove_ownership("web:proved", MINE, RIGHT, new_key())
    await lock_tails(mall)
    await lock_phones(mall)
    for sender in ("web:proved", "web:zhou"):
        assert (await mall.order(sender, MINE)).id == MINE
        assert (await mall.prove_ownership(sender, MINE, "0000", new_key())).id == MINE
    await mall.change_delivery("web:zhou", MINE, DeliveryChange(address="上海市静安区 9 号"), "k")


async def test_what_is_locked_for_tails_opens_by_the_whole_phone(mall: SqlMall) -> None:
    await lock_tails(mall)
    assert isinstance(await refused(mall.order("web:owner", MINE)), OrderLocked)
    assert (await mall.prove_phone("web:owner", MINE, PHONE, new_key())).id == MINE


async def test_an_order_that_is_locked_for_phones_too_leaves_the_others(mall: SqlMall) -> None:
    await lock_phones(mall)
    assert isinstance(await refused(mall.bind_with_proof("web:owner", PHONE, MINE, new_key())), BindingLocked)
    assert await mall.bind_with_proof("web:owner", PHONE, "ORD10004", new_key())
    assert (await mall.order("web:owner", MINE)).id == MINE


async def test_every_lock_ends_and_the_next_lasts_longer(mall: SqlMall, clock: Clock) -> None:
    lasted = []
    for _ in range(7):
        until = (await lock_tails(mall)).until
        lasted.append((until - clock.now) / timedelta(hours=1))
        clock.now = until + timedelta(seconds=1)
        assert isinstance(await refused(mall.order("web:owner", MINE)), OwnershipRequired)
    assert lasted == [1, 2, 4, 8, 16, 24, 24]
    clock.advance(days=LIMITS.lock.remembered_days)
    assert (await lock_tails(mall)).until - clock.now == timedelta(hours=1)  # forgotten
    clock.advance(hours=2)
    assert (await mall.prove_ownership("web:owner", MINE, RIGHT, new_key())).id == MINE


async def test_slips_of_a_day_do_not_add_up(mall: SqlMall, clock: Clock) -> None:
    for _ in range(3 * ORDER):
        assert isinstance(await refused(mall.prove_ownership("web:forgetful", MINE, "0000", new_key())), WrongPhoneTail)
        clock.advance(hours=25)


async def test_an_office_of_honest_people_is_not_locked(mall: SqlMall) -> None:
    """Sixty of one address, each of whom is wrong once; then each is right."""
    for number in range(60):
        await refused(mall.prove_ownership(f"web:{number}", f"ORD66{number:03}", "0000", new_key(), address="office"))
    assert (await mall.prove_ownership("web:late", MINE, RIGHT, new_key(), address="office")).id == MINE


@pytest.mark.parametrize("way", ["prove_ownership", "prove_phone", "bind_with_proof"])
async def test_a_try_that_comes_again_under_its_key_is_one(mall: SqlMall, way: str) -> None:
    """A message that is delivered twice counts once and is refused alike, even when it is locked meanwhile."""
    wrong = "0000" if way == "prove_ownership" else "13800000000"

    async def tries(key: str, told: str = wrong) -> tuple[str, object]:
        order = (told, MINE) if way == "bind_with_proof" else (MINE, told)
        return as_said(await refused(getattr(mall, way)("web:guest", *order, key)))

    first = await tries("k1")
    assert [await tries("k1") for _ in range(10)] == [first] * 10
    assert await tries("k2") != first  # another try, and one fewer is left
    said = [await tries(f"more {number}") for number in range(10)]
    assert said[-1][0] in {"OrderLocked", "BindingLocked"}
    assert await tries("k1") == first
    with pytest.raises(IdempotencyConflict):
        await getattr(mall, way)("web:guest", *((PHONE, MINE) if way == "bind_with_proof" else (MINE, RIGHT)), "k1")


async def test_a_proof_that_comes_again_is_one(mall: SqlMall) -> None:
    for _ in range(2):
        assert (await mall.prove_ownership("web:guest", MINE, RIGHT, "k1")).id == MINE
        assert (await mall.prove_phone("web:guest", MINE, PHONE, "k2")).id == MINE
        assert (await mall.bind_with_proof("web:guest", PHONE, MINE, "k3")).id == "C1"


# ---- which orders there are -----------------------------------------------------------------------------------------


@contextmanager
def statements(engine: AsyncEngine) -> Iterator[list[str]]:
    """What is asked of the database meanwhile, without its values."""
    asked: list[str] = []

    @event.listens_for(engine.sync_engine, "before_cursor_execute")
    def note(_: Connection, __: object, statement: str, *___: object) -> None:
        asked.append(statement)

    yield asked
    event.remove(engine.sync_engine, "before_cursor_execute", note)


async def everything_that_takes_a_number(
    mall: SqlMall, engine: AsyncEngine, sender: str, order_id: str, run: str
) -> list[tuple[object, ...]]:
    """How each request of the mall is refused, and by which statements."""
    ticket = TicketRequest(order_id, TicketKind.RETURN, Reason.DISLIKE)
    invoice = InvoiceRequest(order_id, InvoiceKind.PERSONAL, "周琳")
    change = DeliveryChange(phone="13911112222")
    doors: list[Callable[[], Coroutine[Any, Any, Any]]] = [
        lambda: mall.order(sender, order_id),
        *[lambda tail=f"000{n}": mall.prove_ownership(sender, order_id, tail, run + tail, run) for n in range(6)],
        lambda: mall.order(sender, order_id),
        *[lambda n=n: mall.prove_phone(sender, order_id, f"1390000000{n}", f"p{run}{n}", run) for n in range(3)],
        *[lambda n=n: mall.bind_with_proof(sender, f"1390000000{n}", order_id, f"b{run}{n}", run) for n in range(3)],
        lambda: mall.assess(sender, ticket),
        lambda: mall.create_ticket(sender, ticket, f"ticket {run}"),
        lambda: mall.cancel_order(sender, order_id, f"cancel {run}"),
        lambda: mall.change_delivery(sender, order_id, change, f"change {run}"),
        lambda: mall.request_invoice(sender, invoice, f"invoice {run}"),
        lambda: mall.invoice_of(sender, order_id),
    ]
    told: list[tuple[object, ...]] = []
    for door in doors:
        with statements(engine) as asked:
            error = await refused(door())
        assert error is not None
        told.append((*as_said(error), asked))
    return told


@pytest.mark.parametrize("kind", ["guest", "bound"])
async def test_a_number_of_nobodys_is_refused_like_somebody_elses(
    mall: SqlMall, engine: AsyncEngine, kind: str
) -> None:
    if kind == "bound":
        for sender in ("web:one", "web:two"):
            await bind(mall, sender, "C2")
    await refused(mall.order("web:one", MINE))  # whatever is prepared once
    for sender, order_id in (("web:one", MINE), ("web:two", NOBODYS)):
        await everything_that_takes_a_number(mall, engine, f"{sender}:warm", order_id, f"warm {sender}")
    somebodys = await everything_that_takes_a_number(mall, engine, "web:one", "ORD10001", "first")
    nobodys = await everything_that_takes_a_number(mall, engine, "web:two", "ORD99998", "second")
    assert [told[:2] for told in nobodys] == [told[:2] for told in somebodys]
    assert nobodys == somebodys
    assert [said for said, *_ in somebodys[1:7]] == ["WrongPhoneTail"] * 4 + ["OrderLocked"] * 2


async def test_over_many_senders_too(mall: SqlMall) -> None:
    somebodys = [as_said(error) for error in await guess(mall, MINE)]
    nobodys = [as_said(error) for error in await guess(mall, NOBODYS)]
    assert [said for said, _ in somebodys] == [said for said, _ in nobodys]
    assert somebodys[:5] == nobodys[:5]
    for order_id in (MINE, NOBODYS):
        assert isinstance(await refused(mall.order("web:stranger", order_id)), OrderLocked)


async def test_a_ticket_of_nobodys_is_refused_like_somebody_elses(mall: SqlMall, engine: AsyncEngine) -> None:
    ticket = await mall.create_ticket("web:zhou", TicketRequest("ORD10001", TicketKind.RETURN, Reason.QUALITY), "k")
    told = []
    for ticket_id in (ticket.id, "RT1"):
        for door in (mall.ticket("web:guest", ticket_id), mall.cancel_ticket("web:guest", ticket_id, f"k {ticket_id}")):
            with statements(engine) as asked:
                assert isinstance(await refused(door), NotFound)
            told.append(asked)
    assert told[:2] == told[2:]


@pytest.mark.parametrize("typed", ["", "ORD" + "9" * 100_000, "'; DROP TABLE orders; --", "订单一"])
async def test_what_can_be_no_number_is_refused_as_well(mall: SqlMall, typed: str) -> None:
    assert isinstance(await refused(mall.order("web:guest", typed)), OwnershipRequired)
    assert isinstance(await refused(mall.prove_ownership("web:guest", typed, RIGHT, new_key())), WrongPhoneTail)
    assert isinstance(await refused(mall.prove_phone("web:guest", typed, PHONE, new_key())), WrongProof)


# ---- changing where an order goes -----------------------------------------------------------------------------------

ELSEWHERE = DeliveryChange(address="上海市浦东新区张江路 12 号")


async def test_four_digits_are_not_enough_to_send_an_order_elsewhere(mall: SqlMall) -> None:
    await mall.prove_ownership("web:guest", MINE, RIGHT, new_key())
    assert await mall.proved("web:guest", MINE) is Proof.TAIL
    for change in (ELSEWHERE, DeliveryChange(phone="13911112222"), DeliveryChange(recipient_name="王小明")):
        assert isinstance(await refused(mall.change_delivery("web:guest", MINE, change, f"k {change}")), PhoneRequired)
    wrong = await refused(mall.prove_phone("web:guest", MINE, "13900005678", new_key()))
    assert as_said(wrong) == ("WrongProof", 4)
    await mall.prove_phone("web:guest", MINE, PHONE, new_key())
    assert await mall.proved("web:guest", MINE) is Proof.PHONE
    assert (await mall.change_delivery("web:guest", MINE, ELSEWHERE, "k")).id == MINE


async def test_the_phone_of_another_order_of_theirs_proves_nothing(mall: SqlMall) -> None:
    await mall.prove_phone("web:guest", "ORD10001", PHONE, new_key())
    assert isinstance(await refused(mall.change_delivery("web:guest", MINE, ELSEWHERE, "k")), OwnershipRequired)


async def test_a_new_phone_ends_what_the_old_one_proved(mall: SqlMall) -> None:
    await mall.prove_ownership("web:ex", MINE, RIGHT, new_key())
    await mall.prove_phone("web:phone", MINE, PHONE, new_key())
    await mall.prove_phone("web:owner", MINE, PHONE, new_key())
    await mall.change_delivery("web:owner", MINE, ELSEWHERE, "k1")
    assert (await mall.order("web:ex", MINE)).id == MINE  # another address alone ends nothing
    await mall.change_delivery("web:owner", MINE, DeliveryChange(phone=PHONE), "k2")
    assert (await mall.order("web:ex", MINE)).id == MINE  # nor the same phone once more

    await mall.change_delivery("web:owner", MINE, DeliveryChange(phone="13911115678"), "k3")  # with the same tail
    for sender in ("web:ex", "web:phone"):
        assert isinstance(await refused(mall.order(sender, MINE)), OwnershipRequired)
        assert MINE not in {order.id for order in await mall.orders_of(sender)}
    for sender in ("web:owner", "web:zhou"):  # who told the new one, and who is bound
        assert await mall.proved(sender, MINE) is Proof.PHONE
    assert isinstance(await refused(mall.prove_phone("web:phone", MINE, PHONE, new_key())), WrongProof)
    assert (await mall.prove_ownership("web:ex", MINE, RIGHT, new_key())).id == MINE


# ---- what an operator may write -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        ("order: { tries: 10, hours: 24 }", "order: { tries: 0, hours: 24 }", "tail.order.tries"),
        ("order: { tries: 10, hours: 24 }", "", "tail.order"),
        ("hours: 24 }", "hours: viele }", "hours"),
        ("longest_hours: 24", "longest_hours: 100000", "lock.longest_hours"),
        ("tail:", "tale:", "tail"),
        ("tail:", "tail: [", "not YAML"),
    ],
)
def test_limits_that_would_lock_wrongly_are_refused(tmp_path: Path, old: str, new: str, named: str) -> None:
    written = settings.proofs_file().read_text(encoding="utf-8")
    assert old in written
    (broken := tmp_path / "proofs.yml").write_text(written.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(BrokenRules, match=named):
        ProofLimits.load(broken)


def test_without_limits_nothing_starts(tmp_path: Path) -> None:
    (empty := tmp_path / "proofs.yml").write_text("", encoding="utf-8")
    for path in (empty, tmp_path / "nowhere.yml"):
        with pytest.raises(BrokenRules):
            ProofLimits.load(path)


# ---- what was there before ------------------------------------------------------------------------------------------


async def test_proofs_tries_and_locks_of_before_are_kept(databases: Sqlite | Postgres) -> None:
    url = databases.create()
    await migrate(url)
    engine = create_engine(url)
    async with AsyncSession(engine.execution_options(**WRITES)) as session, session.begin():
        add_small_mall(session)
    mall = SqlMall(engine)
    await mall.prove_ownership("web:proved", MINE, RIGHT, new_key())
    for _ in range(2):
        await refused(mall.prove_ownership("web:wrong", MINE, "0000", new_key()))
        await refused(mall.bind_with_proof("web:wrong", PHONE, "ORD20001", new_key()))
    for _ in range(5):
        locked = await refused(mall.prove_ownership("web:locked", "ORD10001", "0000", new_key()))
    assert isinstance(locked, OrderLocked)

    await migrate(url, "0006", down=True)
    await migrate(url)
    assert (await mall.order("web:proved", MINE)).id == MINE
    assert as_said(await refused(mall.prove_ownership("web:wrong", MINE, "0000", new_key()))) == ("WrongPhoneTail", 2)
    assert as_said(await refused(mall.bind_with_proof("web:wrong", PHONE, "ORD20001", new_key()))) == ("WrongProof", 2)
    assert as_said(await refused(mall.order("web:locked", "ORD10001"))) == as_said(locked)
    async with AsyncSession(engine) as session:
        ways = await session.scalars(select(models.WrongProofs.way).distinct())
        assert set(ways) == {Proof.TAIL, Proof.PHONE}
    await engine.dispose()
