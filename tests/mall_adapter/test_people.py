"""Who is who: senders, principals and their roles, on SQLite and PostgreSQL."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator, Awaitable
from dataclasses import replace
from datetime import datetime, time, timedelta
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete, event, insert, select, text, update
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from mall_adapter import BackOffice, Desk, SqlMall, models, people, permissions
from mall_adapter.actors import SHELL
from mall_adapter.customer_record import look_up
from mall_adapter.errors import NotFound, NotPermitted
from mall_adapter.handoff import ComplaintKind, HandoffReason, Speaker
from mall_adapter.policy import Trade
from mall_adapter.values import Reason, TicketKind, TicketRequest, TicketStatus
from privacy import current_ring, verify_keyring
from privacy.conversations import conversation_of, seal_events
from privacy.tables import conversation_event
from storage import WRITES, Actor, Role, create_engine, migrate
from storage.events import EventRow
from tests.mall_adapter.offices import OPERATOR, WANG, bind, new_key, office

from .conftest import NOW, Clock, Postgres, Sqlite


@pytest.fixture
def shop(engine: AsyncEngine, clock: Clock) -> SqlMall:
    """The small mall on our own tables, which alone know people."""
    return SqlMall(engine, clock=clock)


@pytest.fixture
async def shops(url: str, clock: Clock) -> AsyncIterator[list[SqlMall]]:
    """The same one seen by three processes' worth of connections."""
    engines = [create_engine(url) for _ in range(3)]
    yield [SqlMall(engine, clock=clock) for engine in engines]
    for engine in engines:
        await engine.dispose()


def conversation(sender: str) -> str:
    return conversation_of(current_ring(), sender)


# ---- the last release ----


async def test_accounts_of_the_last_release_become_principals_and_back(databases: Sqlite | Postgres) -> None:
    """One wrote and is bound, one is bound and left no conversation, one wrote and is nobody."""
    url = databases.create()
    await migrate(url, "0010")
    engine = create_engine(url)
    bound = {"web:zhou": "C1", "api:Silent": "C1"}
    async with engine.execution_options(**WRITES).begin() as connection:
        ring = await connection.run_sync(verify_keyring)
        for customer_id in ("C1", "C2"):
            await connection.execute(
                text(
                    "INSERT INTO customer (id, name, phone, phone_index, address, region, registered_at, demo)"
                    " VALUES (:id, :sealed, :sealed, :id, :sealed, '华东', :now, :demo)"
                ),
                {"id": customer_id, "sealed": b"", "now": NOW, "demo": customer_id == "C2"},
            )
        for sender, customer_id in bound.items():
            await connection.execute(
                text("INSERT INTO channel_account VALUES (:sender, :customer, 'customer', :now)"),
                {"sender": models.sender_index(sender), "customer": customer_id, "now": NOW},
            )
        for sender in ("web:zhou", "web:guest"):
            for position in range(2):
                event = {"event": "user", "text": "在吗", "timestamp": (NOW + timedelta(hours=position)).timestamp()}
                row = seal_events(ring, sender, position, 0, [event])
                await connection.execute(conversation_event.insert(), vars(row))

    async def accounts() -> list[tuple[str | None, str | None, str | None, str | None, datetime, datetime | None]]:
        table = models.ChannelAccount
        async with AsyncSession(engine) as session:
            rows = await session.scalars(select(table))
            told = [
                (each.sender, each.channel, each.conversation, each.principal_id, each.first_seen_at, each.bound_at)
                for each in rows
            ]
        return sorted(told, key=str)

    zhou = ("web:zhou", "web", conversation("web:zhou"), "P-C1", NOW, NOW)
    guest = ("web:guest", "web", conversation("web:guest"), None, NOW, None)
    silent = (None, None, None, "P-C1", NOW, NOW)
    for _ in range(2):
        await migrate(url)
        assert await accounts() == sorted([zhou, guest, silent], key=str)
        async with AsyncSession(engine) as session:
            found = await session.execute(
                select(models.Principal.id, models.Principal.demo, models.Membership.role)
                .join(models.Membership)
                .order_by(models.Principal.id)
            )
            assert [tuple(row) for row in found] == [("P-C1", False, Role.CUSTOMER), ("P-C2", True, Role.CUSTOMER)]
        await migrate(url, "0010", down=True)
        async with engine.connect() as connection:
            kept = await connection.execute(text("SELECT sender_index, customer_id, role FROM channel_account"))
            assert {tuple(row) for row in kept} == {
                (models.sender_index(sender), customer_id, "customer") for sender, customer_id in bound.items()
            }
    await engine.dispose()


# ---- senders ----


async def accounts(engine: AsyncEngine) -> dict[str | None, models.ChannelAccount]:
    async with AsyncSession(engine) as session:
        return {each.sender: each for each in await session.scalars(select(models.ChannelAccount))}


async def test_a_sender_is_known_from_its_first_message_on(engine: AsyncEngine, clock: Clock) -> None:
    met = people.Accounts(engine, clock)
    for _ in range(2):
        await met.meet("wechat:oAbc")
        clock.advance(hours=2)
    account = (await accounts(engine))["wechat:oAbc"]
    assert (account.channel, account.conversation) == ("wechat", conversation("wechat:oAbc"))
    assert (account.principal_id, account.first_seen_at, account.bound_at) == (None, NOW, None)


async def test_who_was_known_by_a_hash_is_known_by_name_when_they_write(engine: AsyncEngine, clock: Clock) -> None:
    async with engine.execution_options(**WRITES).begin() as connection:
        unknown = {"sender": None, "channel": None, "conversation": None}
        await connection.execute(update(models.ChannelAccount).values(unknown))
    clock.advance(days=1)
    await people.Accounts(engine, clock).meet("web:zhou")
    account = (await accounts(engine))["web:zhou"]
    assert (account.principal_id, account.first_seen_at, account.channel) == ("P-C1", NOW, "web")


async def test_each_sender_is_written_once_and_again_after_it_was_erased(engine: AsyncEngine, clock: Clock) -> None:
    written: list[str] = []

    @event.listens_for(engine.sync_engine, "before_cursor_execute")
    def note(_: object, __: object, statement: str, *rest: object) -> None:
        if statement.startswith("INSERT"):
            written.append(statement)

    met = people.Accounts(engine, clock)
    for _ in range(100):
        await met.meet("web:new")
    assert len(written) == 1
    async with engine.execution_options(**WRITES).begin() as connection:
        await connection.execute(delete(models.ChannelAccount))
    clock.advance(hours=1)
    await met.meet("web:new")
    assert list(await accounts(engine)) == ["web:new"]


async def test_a_database_that_is_away_keeps_nobody_from_talking(clock: Clock, house: Path, caplog: Any) -> None:
    engine = create_engine(f"sqlite+aiosqlite:///{house}/nowhere/x.db")
    await people.Accounts(engine, clock).meet("web:ann")
    assert "web:ann" not in caplog.text
    assert "OperationalError" in caplog.text
    await engine.dispose()


async def test_the_house_can_write_to_a_customer(shop: SqlMall, engine: AsyncEngine, clock: Clock) -> None:
    clock.advance(minutes=1)
    await bind(shop, "wechat:oAbc", "C1")
    async with AsyncSession(engine) as session:
        assert await people.senders_of(session, "C1") == ["wechat:oAbc", "web:zhou"]
        assert await people.senders_of(session, "C9") == []
    await bind(shop, "wechat:oAbc", "C2")  # it belongs to somebody else now
    async with AsyncSession(engine) as session:
        assert await people.senders_of(session, "C1") == ["web:zhou"]


async def test_binding_is_an_event_of_whoever_did_it(shop: SqlMall, engine: AsyncEngine) -> None:
    await bind(shop, "web:guest", "C1")
    await shop.bind_with_proof("telegram:4711", "13900004321", "ORD20001", new_key())
    async with AsyncSession(engine) as session:
        query = select(EventRow).where(EventRow.kind == "account_bound").order_by(EventRow.id)
        told = [
            (each.subject, each.role, each.principal_id, each.data) for each in (await session.scalars(query)).all()
        ]
    assert told == [
        ("principal:P-C1", Role.OPERATOR, "P-operator", {"channel": "web"}),
        ("principal:P-C2", Role.CUSTOMER, "P-C2", {"channel": "telegram"}),
    ]


# ---- roles ----

NAMES_PROVE_NOTHING = ["operator:root", "supplier:S1", "sales:me", "service:house", "web:operator", "dashboard:小王"]


@pytest.mark.parametrize("sender", [*NAMES_PROVE_NOTHING, "P-wang", "web:P-wang", "dashboard:P-wang"])
async def test_what_a_sender_calls_itself_proves_nothing(shop: SqlMall, engine: AsyncEngine, sender: str) -> None:
    await bind(shop, sender, "C1")  # even of a customer
    async with AsyncSession(engine) as session:
        actor = await people.actor_of(session, sender)
        assert (actor.role, actor.principal_id, actor.supplier_id) == (Role.CUSTOMER, "P-C1", None)
        for role in people.GRANTED:
            with pytest.raises(NotPermitted):
                await people.actor_of(session, sender, role)


async def test_a_role_is_had_from_when_it_is_granted_until_it_is_revoked(shop: SqlMall, engine: AsyncEngine) -> None:
    database = shop.database
    async with database.writing() as session:
        assert await people.grant(session, "P-C1", Role.SUPPLIER, "S1", OPERATOR, NOW)
        assert not await people.grant(session, "P-C1", Role.SUPPLIER, "S1", OPERATOR, NOW)
        assert await people.grant(session, "P-C1", Role.SALES, None, OPERATOR, NOW)
        assert not await people.grant(session, "P-C1", Role.SALES, None, OPERATOR, NOW)
    async with database.reading() as session:
        assert await people.actor_of(session, "web:zhou", Role.SUPPLIER) == Actor(Role.SUPPLIER, "P-C1", "S1", "web")
        assert await people.actor_of(session, "web:zhou", Role.SALES) == Actor(Role.SALES, "P-C1", None, "web")
        assert await people.actor_of(session, "web:zhou") == Actor(Role.CUSTOMER, "P-C1", None, "web")
        for stranger in ("web:he", "web:guest"):
            with pytest.raises(NotPermitted):
                await people.actor_of(session, stranger, Role.SALES)
        (zhou,) = [each for each in await people.colleagues(session) if each.customer_id]
        assert (zhou.name, zhou.roles) == ("周琳", ((Role.SUPPLIER, "S1"), (Role.SALES, None)))
    async with database.writing() as session:
        assert not await people.revoke(session, "P-C1", Role.SUPPLIER, None, OPERATOR, NOW)
        assert await people.revoke(session, "P-C1", Role.SUPPLIER, "S1", OPERATOR, NOW)
        assert not await people.revoke(session, "P-C1", Role.CUSTOMER, None, OPERATOR, NOW)  # the mall says who is one
        with pytest.raises(NotPermitted):
            await people.actor_of(session, "web:zhou", Role.SUPPLIER)
        kinds = await session.scalars(select(EventRow.kind).order_by(EventRow.id))
        assert list(kinds) == ["role_granted", "role_granted", "role_revoked"]


@pytest.mark.parametrize(
    ("role", "supplier_id", "refusal"),
    [
        (Role.SUPPLIER, None, ValueError),
        (Role.SUPPLIER, "S9", NotFound),
        (Role.SALES, "S1", ValueError),
        (Role.CUSTOMER, None, ValueError),
        (Role.SERVICE, None, ValueError),
    ],
)
async def test_no_role_is_granted_that_means_nothing(
    shop: SqlMall, role: Role, supplier_id: str | None, refusal: type[Exception]
) -> None:
    async with shop.database.writing() as session:
        with pytest.raises(refusal):
            await people.grant(session, "P-C1", role, supplier_id, OPERATOR, NOW)


@pytest.mark.parametrize("role", [Role.CUSTOMER, Role.SALES, Role.SUPPLIER, Role.TRAINER])
async def test_nobody_grants_who_may_not(shop: SqlMall, role: Role) -> None:
    actor = Actor(role, "P-C1", "S1" if role is Role.SUPPLIER else None)
    async with shop.database.writing() as session:
        with pytest.raises(NotPermitted):
            await people.grant(session, "P-C1", Role.OPERATOR, None, actor, NOW)


async def test_a_name_is_one_persons_however_it_is_written(shops: list[SqlMall]) -> None:
    async def made(shop: SqlMall, name: str) -> str:
        async with shop.database.writing() as session:
            return await people.colleague(session, name, NOW)

    names = ["Ann Lee", "ann lee", "Ａｎｎ Lee", "annlee", "Ann Lee", "ANN LEE"]
    ids = await asyncio.gather(*(made(shops[n % 3], name) for n, name in enumerate(names)))
    assert len(set(ids)) == 1
    assert await made(shops[0], "Ann Li") not in ids


async def test_a_customer_may_be_named_by_their_number(shop: SqlMall) -> None:
    async with shop.database.writing() as session:
        assert await people.named(session, "C1") == "P-C1"
        assert await people.named(session, "小王") == "P-wang"
        assert await people.named(session, "P-wang") == "P-wang"
        assert await people.named(session, "周琳") is None  # customers' names are not theirs alone


# ---- whose a conversation is ----


async def test_a_conversation_knows_its_customer(shop: SqlMall, engine: AsyncEngine, clock: Clock) -> None:
    await people.Accounts(engine, clock).meet("web:guest")
    async with shop.database.writing() as session:
        await people.grant(session, "P-C1", Role.SALES, None, OPERATOR, NOW)
        told = [await people.speaker(session, conversation(sender)) for sender in ("web:zhou", "web:guest", "web:x")]
    assert told == [
        Speaker("web", "C1", "周琳", (Role.CUSTOMER, Role.SALES)),
        Speaker("web", None, None, ()),
        None,
    ]


async def test_everything_about_one_customer_is_found(shop: SqlMall, engine: AsyncEngine, clock: Clock) -> None:
    """By what they are called and by phone, with what they did while nobody knew who they were."""
    desk = Desk(engine, (time(9), time(21)), clock)
    met = people.Accounts(engine, clock)
    for sender in ("web:guest", "web:zhou", "web:he"):
        await met.meet(sender)
        await desk.note_misunderstood(sender, "那个啥", [], "m1")
        await desk.note_complaint(sender, ComplaintKind.COURIER, "太慢了", "m2")
        await desk.request(sender, HandoffReason.ASKED, "k1")
    await shop.prove_ownership("web:guest", "ORD10001", "5678", new_key())
    request = TicketRequest("ORD10001", TicketKind.RETURN, Reason.QUALITY)
    ticket = await shop.create_ticket("web:guest", request, "k2")
    coupon = await shop.grant_coupon("web:guest", "见面礼", 500, 0, 7, "k3")
    async with shop.database.writing() as session:
        found = await look_up(session, SHELL, "C1", NOW)
        assert await look_up(session, SHELL, "13800005678", NOW) != found  # a look is an event
        for which in ("C9", "5678", "周琳", ""):
            with pytest.raises(NotFound):
                await look_up(session, SHELL, which, NOW)
        with pytest.raises(NotPermitted):
            await look_up(session, Actor(Role.SUPPLIER, "P-s", "S1"), "C1", NOW)
    assert (found.id, found.name, list(found.roles)) == ("C1", "周琳", [Role.CUSTOMER])
    assert {(each.channel, each.conversation, each.bound) for each in found.accounts} == {
        ("web", conversation("web:zhou"), True),
        ("web", conversation("web:guest"), False),
    }
    assert found.ids["orders"] == ["ORD10004", "ORD10001", "ORD10002", "ORD10003"]
    assert (found.ids["tickets"], found.ids["coupons"]) == ([ticket.id], [coupon.id])
    assert found.ids["proofs"] == ["ORD10001"]
    assert [len(found.ids[name]) for name in ("misunderstood", "complaints", "handoffs")] == [2, 2, 2]


# ---- permissions ----


async def test_the_table_says_who_may_do_what_in_the_back_office(shop: SqlMall) -> None:
    """Whom it does not name is refused before anything is read of the request."""
    commands = [name for name, value in vars(BackOffice).items() if inspect.iscoroutinefunction(value)]
    let_in: dict[str, set[Role]] = {command: set() for command in commands}
    for command, role in product(commands, Role):
        method = getattr(office(shop), command)
        asked = [one for one in inspect.signature(method).parameters.values() if one.kind is not one.KEYWORD_ONLY]
        actor = Actor(role, "P-x", "S1" if role is Role.SUPPLIER else None)
        try:
            await method(actor, *(None for _ in asked[1:]))
        except Exception as refusal:  # of one who is let in: nothing was asked
            if str(refusal) == f"{role} may not {command}":
                continue
        let_in[command].add(role)
    assert let_in == {command: permissions.MAY[command] for command in commands}


@pytest.mark.parametrize("role", [Role.CUSTOMER, Role.SALES, Role.SUPPLIER, Role.TRAINER, Role.SERVICE])
async def test_the_desk_is_for_operators(engine: AsyncEngine, clock: Clock, role: Role) -> None:
    desk = Desk(engine, (time(9), time(21)), clock)
    wish = await desk.request("web:ann", HandoffReason.ASKED, "k1")
    actor = Actor(role, "P-wang", "S1" if role is Role.SUPPLIER else None)
    tried: list[Awaitable[object]] = [
        desk.claim(actor, wish.id),
        desk.say(actor, wish.id, "您好", "o1"),
        desk.hand_back(actor, wish.id, True),
        desk.settle_complaint(actor, 1),
    ]
    if role is not Role.TRAINER:
        tried += [desk.settle(actor, 1), desk.look_into(actor, conversation("web:zhou"))]
    for refused in tried:
        with pytest.raises(NotPermitted):
            await refused
    assert await desk.live("web:ann") == wish


async def test_whoever_is_no_operator_any_more_claims_nothing(shop: SqlMall, engine: AsyncEngine, clock: Clock) -> None:
    desk = Desk(engine, (time(9), time(21)), clock)
    wish = await desk.request("web:ann", HandoffReason.ASKED, "k1")
    async with shop.database.writing() as session:
        assert await people.revoke(session, "P-wang", Role.OPERATOR, None, OPERATOR, NOW)
    with pytest.raises(NotPermitted):
        await desk.claim(WANG, wish.id)
    assert await desk.operator("小王", "dashboard") == WANG  # with the token of the house
    assert (await desk.claim(WANG, wish.id)).operator == "小王"


async def test_a_supplier_touches_only_what_is_their_own(shop: SqlMall, engine: AsyncEngine) -> None:
    """The lipstick is of another supplier."""
    async with engine.execution_options(**WRITES).begin() as connection:
        other = {"id": "S2", "name": "美妆", "trade": Trade.BEAUTY, "region": "310000"}
        await connection.execute(insert(models.Supplier).values(other))
        await connection.execute(update(models.Product).where(models.Product.id == "P2").values(supplier_id="S2"))
    theirs = Actor(Role.SUPPLIER, "P-s1", "S1")
    nobodys = Actor(Role.SUPPLIER, "P-s")
    shoes = await shop.create_ticket("web:zhou", replace(REQUEST, line_ids=("ORD10002-1",)), "k1")
    lipstick = await shop.create_ticket("web:zhou", replace(REQUEST, line_ids=("ORD10002-2",)), "k2")
    async with shop.database.reading() as session:
        for kind, own, foreign in (("product", "P1", "P2"), ("ticket", shoes.id, lipstick.id)):
            await permissions.check_own(session, theirs, kind, own)
            await permissions.check_own(session, OPERATOR, kind, foreign)
            for actor, one in ((theirs, foreign), (theirs, "X"), (nobodys, own)):
                with pytest.raises(NotPermitted):
                    await permissions.check_own(session, actor, kind, one)
        for command in permissions.MAY:
            with pytest.raises(NotPermitted):
                permissions.check(nobodys, command)
    with pytest.raises(NotPermitted):
        await office(shop).advance_ticket(theirs, lipstick.id, TicketStatus.GOODS_RECEIVED, "", "k3")
    for step in (TicketStatus.APPROVED, TicketStatus.REFUNDED, TicketStatus.REJECTED):
        with pytest.raises(NotPermitted):
            await office(shop).advance_ticket(theirs, shoes.id, step, "", f"k {step}")


REQUEST = TicketRequest("ORD10002", TicketKind.RETURN, Reason.QUALITY)
