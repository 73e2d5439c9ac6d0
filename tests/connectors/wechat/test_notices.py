"""Who may not be sent a message is told by a notice of its kind, or waits: each consent is used up by one notice."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from connectors.rendering import Bubble, Occasion
from connectors.wechat import notices, xml
from connectors.wechat.errors import ERRORS
from connectors.wechat.parsing import Choice, parse
from connectors.wechat.words import WORDS
from storage import migrate
from storage.outbox import Dead, Outcome, Parked, Retry, Sent, Unknown
from tests.connectors.wechat import stand_in
from tests.connectors.wechat.house import LI, WANG, House, house_of_li
from tests.connectors.wechat.stand_in import StandIn
from tests.databases import Sqlite, served_by

__all__ = ["house_of_li"]

VALUES = {"order_id": "ORD12345", "carrier": "顺丰"}
LATE = Bubble("您的包裹要晚一天到，给您添麻烦了，到了马上告诉您。", occasion=Occasion("parcel_delayed", VALUES))
COUPON = Bubble("满减券要到期啦", occasion=Occasion("coupon_expiring", {"title": "满 99 减 20"}))
NOW = datetime.now(UTC)
USED = Parked("window:used")


@pytest.fixture(scope="module")
def databases(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sqlite]:
    """One is enough for what is not kept here; consents have tests on both (``test_consents``)."""
    with served_by("sqlite", tmp_path_factory) as databases:
        assert isinstance(databases, Sqlite)
        yield databases


@pytest.fixture(scope="module")
def migrated(databases: Sqlite, house: Path) -> str:
    address = databases.create()
    asyncio.run(migrate(address))
    return address


async def agrees(house: House, wechat: StandIn, template: str, openid: str = WANG, at: datetime = NOW) -> None:
    await house.consents.note(openid, [Choice(template, True, False)], at)
    wechat.consents[openid, template] = wechat.consents.get((openid, template), 0) + 1


async def test_while_the_window_is_open_it_is_a_message(house_of_li: House, wechat: StandIn) -> None:
    await agrees(house_of_li, wechat, "S2", LI)
    assert await house_of_li.sends(LI, LATE) == Sent()
    assert wechat.texts(LI) == [LATE.text] and wechat.subscribed == wechat.notices == []


async def test_who_has_agreed_gets_the_subscription_notice_and_then_the_template(
    house_of_li: House, wechat: StandIn
) -> None:
    await agrees(house_of_li, wechat, "S2")
    assert await house_of_li.sends(WANG, LATE, "8") == Sent()
    [told] = wechat.subscribed
    assert (told["touser"], told["template_id"]) == (WANG, "S2")
    assert told["data"] == {
        "character_string1": {"value": "ORD12345"},
        "thing2": {"value": "您的包裹要晚一天到，给您添麻烦了，到了…"},  # twenty characters
    }
    assert wechat.notices == []
    assert await house_of_li.sends(WANG, LATE, "9") == Sent()
    [told] = wechat.notices
    assert (told["template_id"], told["client_msg_id"]) == ("T2", "9") and len(wechat.subscribed) == 1


async def test_the_template_of_one_message_comes_once(house_of_li: House, wechat: StandIn) -> None:
    for _ in range(2):
        assert await house_of_li.sends(WANG, LATE, "8") == Sent()
    assert len(wechat.notices) == 1


async def test_an_offer_needs_a_consent_or_waits(house_of_li: House, wechat: StandIn) -> None:
    assert await house_of_li.sends(WANG, COUPON) == USED
    await agrees(house_of_li, wechat, "S3")
    assert await house_of_li.sends(WANG, COUPON) == Sent()
    assert await house_of_li.sends(WANG, COUPON) == USED
    assert len(wechat.subscribed) == 1 and wechat.notices == []


async def test_a_kind_without_a_notice_waits(house_of_li: House, wechat: StandIn) -> None:
    moved = Bubble("改期了", occasion=Occasion("presale_moved", {}))
    assert await house_of_li.sends(WANG, moved) == USED
    assert wechat.calls == 0


@pytest.mark.parametrize(
    ("code", "subscribed", "by_template"),
    [
        (43101, "template", USED),  # WeChat has counted otherwise
        (43116, "template", USED),  # banned
        (40037, "template", USED),
        (47003, "template", USED),
        (43117, "later:43117", "later:43117"),
        (40241, "later:40241", "later:40241"),
        (43004, Dead("person:43004"), Dead("person:43004")),
        (43019, Dead("person:43019"), Dead("person:43019")),
        (45009, "later:45009", "later:45009"),
        (40164, "configuration:40164", "configuration:40164"),
        (48001, "template", USED),
    ],
)
async def test_each_refusal_has_its_end(
    house_of_li: House, wechat: StandIn, code: int, subscribed: Any, by_template: Any
) -> None:
    def same(found: Outcome, expected: Any) -> bool:
        if isinstance(expected, str):
            return isinstance(found, Retry) and found.error_class == expected and found.at > datetime.now(UTC)
        return bool(found == expected)

    wechat.refused_notices = [code]
    assert same(await house_of_li.sends(WANG, LATE, "7"), by_template)
    house_of_li.channel._account._refused.clear()
    await agrees(house_of_li, wechat, "S2")
    wechat.refused_notices = [code]
    found = await house_of_li.sends(WANG, LATE, "8")
    if subscribed == "template":
        assert found == Sent() and [each["client_msg_id"] for each in wechat.notices] == ["8"]
    else:
        assert same(found, subscribed) and wechat.notices == []
    house_of_li.channel._account._refused.clear()
    assert await house_of_li.sends(WANG, LATE, "9") == Sent()
    assert len(wechat.subscribed) == 1  # the consent was not used up


async def test_an_operator_reads_of_a_template_that_cannot_be_used_until_it_can(
    house_of_li: House, wechat: StandIn
) -> None:
    wechat.refused_notices = [43116]
    await house_of_li.sends(WANG, LATE, "7")
    assert await house_of_li.channel.check() == [f"{ERRORS.template[43116]} (T2)"]
    await house_of_li.sends(WANG, LATE, "7")
    assert await house_of_li.channel.check() == []


@pytest.mark.parametrize(("status", "ended", "left"), [(504, Unknown("status_504"), False), (502, None, True)])
async def test_a_consent_is_used_up_by_what_may_have_arrived(
    house_of_li: House, wechat: StandIn, status: int, ended: Outcome | None, left: bool
) -> None:
    await agrees(house_of_li, wechat, "S3")
    wechat.refused_notices = [status]
    found = await house_of_li.sends(WANG, COUPON)
    assert found == ended if ended else isinstance(found, Retry)
    assert await house_of_li.sends(WANG, COUPON) == (Sent() if left else USED)


async def test_a_value_that_there_is_not_is_told(house_of_li: House, wechat: StandIn) -> None:
    bare = Bubble("晚了", occasion=Occasion("parcel_delayed", {}))
    assert await house_of_li.sends(WANG, bare) == USED
    assert await house_of_li.channel.check() == [f"{WORDS.health.no_value} (T2)"]


async def test_what_is_read_is_what_people_have_chosen() -> None:
    for chosen in ([("S1", "accept")], [("S1", "accept"), ("S2", "reject")]):
        told = stand_in.choices(LI, *chosen).encode()
        parsed = parse(xml.read(told), xml.rows(told))
        assert parsed.inbound is None and parsed.given is None
        assert [*parsed.choices] == [Choice(template, said == "accept", False) for template, said in chosen]
    told = stand_in.choices(LI, ("S1", "reject"), event="subscribe_msg_change_event").encode()
    assert [*parse(xml.read(told), xml.rows(told)).choices] == [Choice("S1", False, True)]
    sent = stand_in.choices(LI, ("S1", "accept"), event="subscribe_msg_sent_event").encode()
    assert [*parse(xml.read(sent), xml.rows(sent)).choices] == []


@pytest.mark.parametrize(
    "table",
    [
        "template_id: T1\ndata: {}",
        "answer: {}",
        "answer: {template: {template_id: T1}}",
        "no_such_kind: {template: {template_id: T1, data: {}}}",
        "coupon_expiring: {template: {template_id: T1, data: {}}}",  # WeChat forbids offers there
        "broadcast: {template: {template_id: T1, data: {}}}",
        "[]",
        "{",
    ],
)
def test_a_table_that_cannot_be_is_refused_at_the_start(tmp_path: Path, table: str) -> None:
    (tmp_path / "notices.yml").write_text(table, "utf-8")
    with pytest.raises(ValueError, match="WECHAT_NOTICE_FILE"):
        notices.read(tmp_path / "notices.yml")
