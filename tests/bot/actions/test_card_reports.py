"""How cards travelled and who is warm, told to whoever they belong to and to nobody else.

Ben (C2, web:ben) sells. A stranger passed his card on to Ann (C1, web:ann), who asked for a price; another stranger had
it from her. 小王 (web:wang) runs the shop.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from rasa_sdk import Action
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

import settings
from bot.actions import graphs, malls
from bot.actions.card_reports import CardReport, MyLeads
from bot.actions.lead_talks import GiveBackLead, ReachLead, TellLead
from knowledge_graph import Graph
from knowledge_graph import migrate as migrate_graph
from knowledge_graph.propagation import Follower
from mall_adapter import Desk, Leads, SqlMall, leads, models
from mall_adapter.handoff import HandoffReason
from mall_adapter.leads import STAGES, TOPICS, LeadStage
from storage import WRITES, Actor, Role, create_engine, migrate
from tests.bot.actions.asking import DOMAIN, Customer, add_orders
from tests.knowledge_graph.servers import Server
from tests.knowledge_graph.ways import NOON, asked, bought, forwarded, made, moved
from tests.mall_adapter.goods import empty

ANN, BEN = "customer:C1", "customer:C2"


@pytest.fixture(scope="module")
def address(house: Path) -> str:
    url = f"sqlite+aiosqlite:///{house}/cards.db"
    asyncio.run(migrate(url))
    return url


@pytest.fixture
async def engine(address: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[AsyncEngine]:
    engine = create_engine(address)
    monkeypatch.setattr(malls._mall, "room", SqlMall(engine))
    monkeypatch.setattr(malls._leads, "room", Leads(engine))
    monkeypatch.setattr(malls._desk, "room", Desk(engine, settings.desk_hours()))
    monkeypatch.setattr(graphs, "_rests_until", 0.0)
    async with AsyncSession(engine.execution_options(**WRITES)) as session, session.begin():
        await empty(session)
        add_orders(session)
        session.add(models.Membership(principal_id="P-C2", role=Role.SALES, granted_at=NOON))
        index, sender = models.name_index("小王"), "web:wang"
        session.add(models.Principal(id="P-wang", name="小王", name_index=index, created_at=NOON))
        session.add(models.Membership(principal_id="P-wang", role=Role.OPERATOR, granted_at=NOON))
        account = {"sender_index": models.sender_index(sender), "sender": sender, "channel": "web"}
        session.add(models.ChannelAccount(**account, principal_id="P-wang", first_seen_at=NOON))
        await session.flush()
        card = {"name": "本", "product_ids": [], "made_at": NOON, "changed_at": NOON}
        session.add(models.Card(id="K", principal_id="P-C2", **card))
        lead = {"stage": LeadStage.INTENT, "since": NOON, "last_at": NOON}
        session.add(models.Lead(id=7, person=ANN, principal_id="P-C2", **lead))
        await session.flush()
        ann = await session.get_one(models.ChannelAccount, models.sender_index("web:ann"))
        ann.heard_at = NOON
    yield engine
    await engine.dispose()


@pytest.fixture
async def travelled(engine: AsyncEngine, graph_server: Server, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Graph]:
    ways = (BEN, "account:a"), ("account:a", ANN), (ANN, "account:b")
    events = [made("K", BEN), *forwarded("K", *ways), bought("K", "account:b", 1, "ORD1", 3, 12900)]
    events += [asked(ANN, "price_inquiry", 1), moved(ANN, "intent")]
    async with graph_server.graph() as graph:
        await migrate_graph(graph)
        await Follower(graph, engine).write(events, 0)
        monkeypatch.setattr(graphs, "_graph", graph)
        yield graph


async def say(action: Action, text: str, sender: str, **more: Any) -> dict[str, Any]:
    customer = Customer("card_report", sender)
    await customer.says(text, **more).meets(action)
    (message,) = customer.told
    return dict(message)


def words(message: dict[str, Any]) -> str:
    """As they are read, in Chinese."""
    first = next(one for one in DOMAIN["responses"][message["response"]] if not one.get("condition"))
    return str(first["text"]).format(**{name: value for name, value in message.items() if name != "text"})


async def test_how_far_and_through_whom(travelled: Graph) -> None:
    message = await say(CardReport(), "谁转发了我的名片", "web:ben")
    told = words(message)
    assert "3 位朋友" in told
    assert "第 1 层 1 人、第 2 层 1 人、第 3 层 1 人" in told
    assert "一位朋友带来 1 人、安带来 1 人" in told or "安带来 1 人、一位朋友带来 1 人" in told
    assert "成交 1 单，共 ¥129" in told
    picture = settings.pictures_dir() / str(message["image"]).rpartition("/")[2]
    assert picture.read_bytes().startswith(b"\x89PNG")


async def test_the_warmest_lead_and_how_to_reach_them(travelled: Graph, engine: AsyncEngine) -> None:
    message = await say(MyLeads(), "哪条线索最热", "web:ben")
    first, *_ = words(message).splitlines()[1:]
    assert first == "1. 安：快要下单，问过价格，来自一位朋友（第 2 层）"
    (reach,) = message["buttons"]
    assert reach == {"title": "联系安", "payload": '/reach_lead{"lead": "7"}'}


async def test_a_lead_is_taken_over_spoken_to_and_given_back(engine: AsyncEngine) -> None:
    ben = Customer("reach_lead", "web:ben")
    assert await ben.says("我来接").meets(ReachLead()) == ["utter_nobody_to_reach"]  # they were told of nobody
    assert await ben.says("联系安", lead=("安", "7")).meets(ReachLead()) == ["utter_lead_reached"]
    assert (ben.told[0]["who"], ben.told[0]["signed"], ben.slots["lead_talk"]) == ("安", "本", True)
    assert await ben.says("您好，还在看那双鞋吗").meets(TellLead()) == ["utter_lead_told"]
    async with AsyncSession(engine) as session:
        (talked,) = (await session.scalars(select(models.Handoff))).all()
        assert (talked.sender, talked.reason, talked.operator, talked.in_chat) == ("web:ann", "lead", "本", True)
    assert await ben.says("交回去").meets(GiveBackLead()) == ["utter_lead_given_back"]
    assert ben.slots["lead_talk"] is None
    assert await ben.says("交回去").meets(GiveBackLead()) == ["utter_lead_none"]
    assert await ben.says("还在吗").meets(TellLead()) == ["utter_lead_over"]


async def test_by_words_the_only_warm_lead_is_taken_and_of_several_one_is_chosen(engine: AsyncEngine) -> None:
    await warm(engine, 7)
    ben = Customer("reach_lead", "web:ben")
    assert await ben.says("我来接").meets(ReachLead()) == ["utter_lead_reached"]
    await ben.says("结束").meets(GiveBackLead())
    async with AsyncSession(engine.execution_options(**WRITES)) as session, session.begin():
        lead = {"stage": LeadStage.INTENT, "since": NOON, "last_at": NOON, "told": LeadStage.INTENT}
        session.add(models.Lead(id=8, person="account:cy", principal_id="P-C2", **lead))
        index = models.sender_index("web:cy")
        account = {"sender_index": index, "sender": "web:cy", "channel": "web", "first_seen_at": NOON}
        session.add(models.ChannelAccount(**account, heard_at=NOON))
        session.add(models.CardVisitor(sender_index=index, person="account:cy", since=NOON))
    assert await ben.says("我来接").meets(ReachLead()) == ["utter_ask_which_lead"]
    payloads = [one["payload"] for one in ben.told[0]["buttons"]]
    assert payloads == ['/reach_lead{"lead": "7"}', '/reach_lead{"lead": "8"}']
    await ben.says("联系安", lead=("安", "7")).meets(ReachLead())
    assert await ben.says("联系一位朋友", lead=("朋友", "8")).meets(ReachLead()) == ["utter_lead_talks_already"]


async def test_whom_the_desk_has_is_not_taken(engine: AsyncEngine) -> None:
    desk = Desk(engine, settings.desk_hours())
    waiting = await desk.request("web:ann", HandoffReason.ASKED, "k")
    await desk.claim(Actor(Role.OPERATOR, "P-wang"), waiting.id)
    ben = Customer("reach_lead", "web:ben")
    assert await ben.says("联系安", lead=("安", "7")).meets(ReachLead()) == ["utter_lead_taken"]


async def warm(engine: AsyncEngine, lead_id: int) -> None:
    async with AsyncSession(engine.execution_options(**WRITES)) as session, session.begin():
        lead = await session.get_one(models.Lead, lead_id)
        lead.told = lead.stage


async def test_by_whom_somebody_came_who_is_named(travelled: Graph) -> None:
    told = words(await say(MyLeads(), "安是从谁那来的", "web:ben"))
    assert "安是这样来的：您 → 一位朋友 → 安（第 2 层）" in told


async def test_the_manager_sees_their_peoples(travelled: Graph, engine: AsyncEngine) -> None:
    """Whoever runs the shop and manages nobody has the dashboard."""
    assert (await say(CardReport(), "名片传播情况", "web:wang"))["response"] == "utter_cards_not_yours"
    async with AsyncSession(engine.execution_options(**WRITES)) as session, session.begin():
        (await session.get_one(models.Principal, "P-C2")).manager_id = "P-wang"
    message = await say(CardReport(), "名片传播情况", "web:wang")
    assert message["response"] == "utter_card_report_all"
    (reach,) = (await say(MyLeads(), "哪条线索最热", "web:wang"))["buttons"]
    assert reach["payload"] == '/reach_lead{"lead": "7"}'


@pytest.mark.parametrize("action", [CardReport(), MyLeads(), ReachLead()])
@pytest.mark.parametrize("sender", ["web:ann", "web:guest"])
async def test_nobody_else_hears_anything(travelled: Graph, action: Action, sender: str) -> None:
    message = await say(action, "本的名片传到哪了", sender, lead=("本", "7"))
    assert message["response"] == "utter_cards_not_yours"
    assert "安" not in words(message)


async def test_with_the_graph_away_that_is_said(engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    async with Graph("bolt://127.0.0.1:9", "nobody", "nothing") as nowhere:
        monkeypatch.setattr(graphs, "_graph", nowhere)
        for action in (CardReport(), MyLeads()):
            assert (await say(action, "名片传播", "web:ben"))["response"] == "utter_card_report_away"


async def test_whoever_sells_and_has_no_card_is_helped_to_one(travelled: Graph, engine: AsyncEngine) -> None:
    async with AsyncSession(engine.execution_options(**WRITES)) as session, session.begin():
        await session.delete(await session.get_one(models.Card, "K"))
    assert (await say(CardReport(), "名片数据", "web:ben"))["response"] == "utter_card_report_no_card"


def test_everything_that_the_tables_say_has_words() -> None:
    needed = {f"utter_word_stage_{stage}" for stage in LeadStage}
    needed |= {f"utter_word_asked_{topic.asks}" for topic in TOPICS}
    needed |= {f"utter_notice_lead_warm_{row.tell}" for row in STAGES.rows if row.tell}
    needed |= {leads.talks.SAID, *leads.talks.ENDED.values()}
    assert needed <= DOMAIN["responses"].keys()
