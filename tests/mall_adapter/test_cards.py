"""Smart cards: who may have one, who came to it through whom, and what counts of it.

小陈 (P-chen, web:chen) is in sales. A letter is a visitor whom nobody knows: ``a`` writes by ``web:a``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from mall_adapter import SqlMall, models
from mall_adapter.cards import Cards, Changes, Copy, read_on
from mall_adapter.customer_record import look_up
from mall_adapter.errors import InPublic, NotPermitted
from mall_adapter.leads import Leads
from mall_adapter.values import Reason, TicketKind, TicketRequest, TicketStatus
from privacy import current_ring
from privacy.conversations import conversation_of
from storage import WRITES, EventRow, Role
from tests.mall_adapter.offices import OPERATOR, WANG, advance_ticket, bind, new_key, office, refund

from .conftest import NOW, Clock

CHEN = "web:chen"
SIGNALS = {"device": "d1", "address": "a1"}


# cards are the house's own, whatever the mall
pytestmark = pytest.mark.parametrize("databases", ["sqlite", "postgresql"], indirect=True, scope="session")


async def employ(engine: AsyncEngine, sender: str, principal_id: str, name: str) -> None:
    async with AsyncSession(engine.execution_options(**WRITES)) as session, session.begin():
        index = models.name_index(name)
        session.add(models.Principal(id=principal_id, name=name, name_index=index, created_at=NOW))
        session.add(models.Membership(principal_id=principal_id, role=Role.SALES, granted_at=NOW))
        session.add(
            models.ChannelAccount(
                sender_index=models.sender_index(sender),
                sender=sender,
                channel=sender.partition(":")[0],
                conversation=conversation_of(current_ring(), sender),
                principal_id=principal_id,
                first_seen_at=NOW,
                bound_at=NOW,
            )
        )


@pytest.fixture
async def cards(engine: AsyncEngine, clock: Clock) -> Cards:
    await employ(engine, CHEN, "P-chen", "小陈")
    return Cards(engine, clock)


async def events(engine: AsyncEngine, *kinds: str) -> list[dict[str, Any]]:
    query = select(EventRow).where(EventRow.kind.in_(kinds)).order_by(EventRow.id)
    async with AsyncSession(engine) as session:
        return [row.data | {"kind": row.kind} for row in await session.scalars(query)]


async def opened(cards: Cards, token: str, sender: str) -> str:
    own = await cards.open(token, sender, SIGNALS)
    assert own is not None
    return own


async def walk(cards: Cards, steps: Sequence[str]) -> dict[str, str]:
    """``"a<chen"``: visitor a opens what 小陈 has shared. The tokens of all, by their names."""
    tokens = {"chen": (await cards.make(CHEN)).token}
    for step in steps:
        who, _, sharer = step.partition("<")
        sender = who if ":" in who else f"web:{who}"
        tokens[who] = await opened(cards, tokens[sharer], sender)
    return tokens


async def forwards(engine: AsyncEngine) -> list[tuple[int, bool]]:
    """Depth of each opening that counts, and whether somebody new came."""
    return [(one["depth"], one["new_person"]) for one in await events(engine, "card.forwarded")]


# ---- making and changing ----


@pytest.mark.parametrize("sender", ["web:guest", "web:zhou"])
async def test_only_sales_people_have_a_card(cards: Cards, sender: str) -> None:
    with pytest.raises(NotPermitted):
        await cards.make(sender)
    with pytest.raises(NotPermitted):
        await cards.change(sender, Changes(name="小陈"))
    with pytest.raises(InPublic):
        await cards.make(f"{CHEN}@group")


async def test_a_card_is_made_once_and_changed(cards: Cards, engine: AsyncEngine) -> None:
    first, again = await asyncio.gather(cards.make(CHEN), cards.make(CHEN), return_exceptions=True)
    made = first if isinstance(first, Copy) else again
    assert isinstance(made, Copy)
    assert (made.face.name, made.face.phone, made.own) == ("小陈", None, True)
    changed = await cards.change(
        CHEN, Changes(title="高级\u202e顾问\n", phone="13800001111", product_ids=["P1", "P1", "P2"])
    )
    assert changed.token == made.token
    assert (changed.face.title, changed.face.phone, changed.face.product_ids) == (
        "高级顾问",
        "13800001111",
        ("P1", "P2"),
    )
    assert (await cards.change(CHEN, Changes(phone="", title=""))).face.phone is None
    told = await events(engine, "card.made", "card.changed")
    assert [one["kind"] for one in told] == ["card.made", "card.changed", "card.changed"]
    assert told[0]["owner"] == "P-chen"
    for wrong in (Changes(name=""), Changes(name=" \u200b"), Changes(greeting="很" * 61)):
        with pytest.raises(ValueError, match="card"):
            await cards.change(CHEN, wrong)


async def test_a_portrait_is_taken_only_while_it_is_waited_for(cards: Cards, clock: Clock) -> None:
    assert not await cards.awaits_portrait(CHEN)
    await cards.want_portrait(CHEN)
    assert await cards.awaits_portrait(CHEN)
    assert not await cards.awaits_portrait("web:zhou")
    assert (await cards.take_portrait(CHEN, b"jpeg")).face.portrait == b"jpeg"
    assert not await cards.awaits_portrait(CHEN)
    await cards.want_portrait(CHEN)
    clock.advance(minutes=15)
    assert not await cards.awaits_portrait(CHEN)


async def test_what_names_the_owner_is_sealed(cards: Cards, engine: AsyncEngine) -> None:
    await cards.change(CHEN, Changes(name="陈小美", greeting="有事找我", phone="13800001111"))
    async with engine.connect() as connection:
        rows = (await connection.exec_driver_sql("SELECT name, greeting, phone FROM card")).all()
    assert all("陈小美".encode() not in bytes(value) and b"138" not in bytes(value) for row in rows for value in row)


async def test_whoever_left_has_no_card_any_more(cards: Cards, engine: AsyncEngine) -> None:
    tokens = await walk(cards, ["a<chen"])
    async with AsyncSession(engine.execution_options(**WRITES)) as session, session.begin():
        held = await session.scalar(select(models.Membership).where(models.Membership.role == Role.SALES))
        await session.delete(held)
    assert await cards.look(tokens["chen"]) is None
    assert await cards.open(tokens["a"], "web:b", {}) is None
    assert await cards.held("web:a") == []


# ---- who came through whom ----


@pytest.mark.parametrize(
    ("steps", "counted"),
    [
        ([], []),
        (["chen<chen"], []),  # one's own
        (["a<chen"], [(1, True)]),
        (["a<chen", "a<chen"], [(1, True)]),  # the same pair
        (["a<chen", "a<a"], [(1, True)]),
        (["a<chen", "b<a", "c<b", "d<c"], [(1, True), (2, True), (3, True), (4, True)]),
        (["a<chen", "b<chen"], [(1, True), (1, True)]),
        (["a<chen", "chen<a"], [(1, True)]),  # a loop of two
        (["a<chen", "b<a", "c<b", "a<c", "chen<c"], [(1, True), (2, True), (3, True)]),  # of three, and of four
        (["a<chen", "b<a", "b<chen"], [(1, True), (2, True), (1, False)]),  # two have shown it to b
        (["a<chen", "b<chen", "b<a", "a<b"], [(1, True), (1, True), (2, False)]),  # a had it first
        (["telegram:7<chen", "a<telegram:7"], [(1, True), (2, True)]),  # over channels
        (["web:he<chen"], [(1, False)]),  # a customer who has bought before
    ],
)
async def test_what_counts(
    cards: Cards, engine: AsyncEngine, steps: list[str], counted: list[tuple[int, bool]]
) -> None:
    tokens = await walk(cards, steps)
    assert len(set(tokens.values())) == len(tokens)
    assert await forwards(engine) == counted


async def test_an_opening_says_who_and_how(cards: Cards, engine: AsyncEngine, clock: Clock) -> None:
    tokens = await walk(cards, ["web:he<chen"])
    clock.advance(minutes=10)
    await opened(cards, tokens["web:he"], "wechat:o1")
    owner, theirs = await events(engine, "card.forwarded")
    assert (owner["sharer"], owner["opener"], owner["channel"]) == ("staff:P-chen", "customer:C2", "web")
    assert (theirs["sharer"], theirs["channel"], theirs["signals"]) == ("customer:C2", "wechat", SIGNALS)
    assert theirs["opener"].startswith("account:")
    assert "o1" not in theirs["opener"]


async def test_two_tabs_count_once(cards: Cards, engine: AsyncEngine) -> None:
    token = (await cards.make(CHEN)).token
    tokens = await asyncio.gather(*(opened(cards, token, "web:a") for _ in range(5)))
    assert len(set(tokens)) == 1
    assert await forwards(engine) == [(1, True)]


@pytest.mark.parametrize("token", ["nothing", "", "x" * 64, "' OR 1=1"])
async def test_a_link_to_nothing(cards: Cards, engine: AsyncEngine, token: str) -> None:
    assert await cards.open(token, "web:a", {}) is None
    assert await cards.look(token) is None
    async with AsyncSession(engine) as session:
        assert await session.scalar(select(func.count()).select_from(models.CardVisitor)) == 0


async def test_in_a_group_nothing_is_noted(cards: Cards, engine: AsyncEngine) -> None:
    token = (await cards.make(CHEN)).token
    assert await cards.open(token, "telegram:7@-100", {}) == token
    assert await forwards(engine) == []


async def test_whoever_goes_on_in_another_channel_is_the_same_once(
    cards: Cards, engine: AsyncEngine, clock: Clock
) -> None:
    tokens = await walk(cards, ["a<chen"])
    assert await opened(cards, tokens["a"], "telegram:7") == tokens["a"]
    assert await opened(cards, tokens["a"], "telegram:8") != tokens["a"]
    await opened(cards, tokens["a"], "web:a")  # looks at the page again
    clock.advance(minutes=10)
    assert await opened(cards, tokens["a"], "telegram:9") != tokens["a"]
    assert [depth for depth, _ in await forwards(engine)] == [1, 2, 2]


async def test_whoever_declines_does_not_count(cards: Cards, engine: AsyncEngine) -> None:
    tokens = await walk(cards, ["a<chen", "b<a"])
    await cards.decline("web:a")
    await cards.decline("web:nobody")
    first, _ = await events(engine, "card.forwarded")
    assert [(one["forward_id"], one["reason"]) for one in await events(engine, "card.forward_ended")] == [
        (first["forward_id"], "declined")
    ]
    assert await cards.held("web:a") == []
    assert await cards.look(tokens["a"]) is not None  # what was passed on still leads somewhere


async def test_whoever_is_known_and_declines_is_named_to_nobody(
    cards: Cards, mall: SqlMall, engine: AsyncEngine
) -> None:
    """Neither as a sharer; and nothing more is noted, in no channel, until they do not mind."""
    tokens = await walk(cards, ["web:zhou<chen", "b<web:zhou"])
    leads, zhou = Leads(engine), "customer:C1"
    assert await leads.names([zhou]) == {zhou: "周琳"}
    await cards.decline("web:zhou")
    assert await leads.names([zhou]) == {}
    await bind(mall, "telegram:7", "C1")
    assert await opened(cards, tokens["b"], "telegram:7") == tokens["b"]
    assert len(await forwards(engine)) == 2
    await office(mall).merge_customers(WANG, "C2", "C1", new_key())
    assert await leads.names(["customer:C2"]) == {}
    await cards.accept("web:zhou")
    assert await leads.names(["customer:C2"]) != {}


async def test_copies_are_held(cards: Cards, engine: AsyncEngine, clock: Clock) -> None:
    await employ(engine, "web:wu", "P-wu", "小吴")
    wu = await cards.make("web:wu")
    tokens = await walk(cards, ["a<chen"])
    later = await opened(cards, wu.token, "web:a")
    assert [one.token for one in await cards.held("web:a")] == [later, tokens["a"]]
    await opened(cards, tokens["chen"], "web:wu")
    assert [(one.own, one.face.name) for one in await cards.held("web:wu")] == [(True, "小吴"), (False, "小陈")]
    assert await cards.held("web:guest") == []


# ---- one person ----


async def test_whoever_is_bound_is_the_same_person(cards: Cards, mall: SqlMall, engine: AsyncEngine) -> None:
    tokens = await walk(cards, ["a<chen", "b<a"])
    was = (await events(engine, "card.forwarded"))[0]["opener"]
    await bind(mall, "web:a", "C1")
    (told,) = await events(engine, "card.person_bound")
    assert (told["account"], told["customer"]) == (was, "customer:C1")
    assert [one.token for one in await cards.held("web:zhou")] == [tokens["a"]]
    await opened(cards, tokens["chen"], "web:zhou")
    assert len(await forwards(engine)) == 2


async def test_two_copies_of_one_person_become_one_and_nothing_runs_between_them(
    cards: Cards, mall: SqlMall, engine: AsyncEngine
) -> None:
    """C1 passes it on to b, b back to C1's other account, and that to d."""
    tokens = await walk(cards, ["web:zhou<chen", "b<web:zhou", "c<b", "d<c", "d<chen"])
    await bind(mall, "web:c", "C1")
    assert [one["reason"] for one in await events(engine, "card.forward_ended")] == ["loop"]
    async with AsyncSession(engine) as session:
        pairs = set((await session.execute(select(models.CardForward.sharer_id, models.CardForward.opener_id))).all())
        holders = {one.token: one for one in (await session.scalars(select(models.CardHolder))).all()}
    chen, zhou, b, d = (holders[tokens[name]].id for name in ("chen", "web:zhou", "b", "d"))
    assert pairs == {(chen, zhou), (zhou, b), (zhou, d), (chen, d)}
    assert await opened(cards, tokens["c"], "web:e") != tokens["c"]  # the old link still works
    last = (await events(engine, "card.forwarded"))[-1]
    assert (last["sharer"], last["depth"]) == ("customer:C1", 2)


async def test_an_account_that_changes_hands_takes_nobody_along(
    cards: Cards, mall: SqlMall, engine: AsyncEngine
) -> None:
    await walk(cards, ["web:zhou<chen"])
    await bind(mall, "web:zhou", "C2")
    assert await events(engine, "card.person_bound") == []
    assert await cards.held("web:zhou") == []


async def test_merged_customers_hold_one_copy(cards: Cards, mall: SqlMall, engine: AsyncEngine) -> None:
    tokens = await walk(cards, ["web:zhou<chen", "web:he<web:zhou", "d<web:he"])
    await office(mall).merge_customers(WANG, "C2", "C1", new_key())
    assert [one.token for one in await cards.held("web:he")] == [tokens["web:zhou"]]
    assert [one["reason"] for one in await events(engine, "card.forward_ended")] == ["loop"]
    async with AsyncSession(engine.execution_options(**WRITES)) as session, session.begin():
        found = await look_up(session, WANG, "C2", NOW)
    assert len(found.ids["cards"]) == 2  # the token of the copy that went is theirs, too


# ---- what was bought ----


async def buy(mall: SqlMall, customer_id: str, **more: Any) -> str:
    return (await office(mall).place_order(OPERATOR, customer_id, {"P1-1": 1, "P2-1": 1}, new_key(), **more)).id


async def converted(engine: AsyncEngine, now: Any) -> list[dict[str, Any]]:
    while await read_on(engine, now):
        pass
    return await events(engine, "card.converted", "card.conversion_reversed")


@pytest.mark.parametrize(("days", "counts"), [(0, True), (29, True), (31, False)])
async def test_an_order_counts_within_its_time(
    cards: Cards, mall: SqlMall, engine: AsyncEngine, clock: Clock, days: int, counts: bool
) -> None:
    await walk(cards, ["a<chen", "web:zhou<a"])
    clock.advance(days=days)
    order_id = await buy(mall, "C1")
    told = await converted(engine, clock.now)
    assert bool(told) is counts
    if counts:
        (one,) = told
        assert (one["order_id"], one["person"], one["depth"], one["first_order"]) == (order_id, "customer:C1", 2, False)
        assert one["paid_cents"] == 59800
        assert await converted(engine, clock.now) == told


async def test_an_order_counts_when_it_is_paid(cards: Cards, mall: SqlMall, engine: AsyncEngine, clock: Clock) -> None:
    await walk(cards, ["web:zhou<chen"])
    order_id = await buy(mall, "C1", paid=False)
    assert await converted(engine, clock.now) == []
    await office(mall).pay_order(OPERATOR, order_id, new_key())
    assert [one["order_id"] for one in await converted(engine, clock.now)] == [order_id]


async def test_what_was_bought_before_or_by_the_owner_does_not_count(
    cards: Cards, mall: SqlMall, engine: AsyncEngine, clock: Clock
) -> None:
    await buy(mall, "C1")
    clock.advance(minutes=1)
    await walk(cards, ["web:zhou<chen"])
    assert await converted(engine, clock.now) == []


async def test_an_order_of_somebody_who_is_bound_later_counts(
    cards: Cards, mall: SqlMall, engine: AsyncEngine, clock: Clock
) -> None:
    await walk(cards, ["a<chen"])
    clock.advance(minutes=1)
    order_id = await buy(mall, "C1")
    assert await converted(engine, clock.now) == []
    await bind(mall, "web:a", "C1")
    assert [one["order_id"] for one in await converted(engine, clock.now)] == [order_id]


async def test_the_card_that_the_order_names(cards: Cards, mall: SqlMall, engine: AsyncEngine, clock: Clock) -> None:
    tokens = await walk(cards, ["a<chen"])
    await buy(mall, "C1", card_token=tokens["a"])
    await buy(mall, "C2", card_token="nothing")
    (one,) = await converted(engine, clock.now)
    assert (one["depth"], one["channel"]) == (2, "mall")


async def test_what_goes_back_is_taken_back(cards: Cards, mall: SqlMall, engine: AsyncEngine, clock: Clock) -> None:
    await walk(cards, ["web:zhou<chen"])
    order_id = await buy(mall, "C1")
    order = await mall.order("web:zhou", order_id)
    shoes = next(line for line in order.lines if line.sku_id == "P1-1")
    asked = TicketRequest(order_id, TicketKind.REFUND, Reason.CHANGED_MIND, (shoes.id,))
    ticket = await mall.create_ticket("web:zhou", asked, new_key())
    if ticket.status is TicketStatus.OPEN:
        await advance_ticket(mall, ticket.id, TicketStatus.APPROVED, "operator", "", new_key())
    await refund(mall, ticket.id)
    _, part = await converted(engine, clock.now)
    assert part["share_bps"] == 39900 * 10000 // 59800
    await mall.cancel_order("web:zhou", await buy(mall, "C1"), new_key())
    whole = (await converted(engine, clock.now))[-1]
    assert (whole["kind"], whole["share_bps"]) == ("card.conversion_reversed", 10000)
