"""How many messages a person may be sent: the house counts, and WeChat has the last word."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from storage.outbox import Parked, Sent
from tests.connectors.wechat.house import LI, WANG, House, house_of_li
from tests.connectors.wechat.stand_in import StandIn

__all__ = ["house_of_li"]


async def test_a_message_of_theirs_gives_five(house_of_li: House, wechat: StandIn) -> None:
    assert [await house_of_li.sends(LI) for _ in range(6)] == [Sent()] * 5 + [Parked("window:used")]
    assert wechat.calls == 6  # the last one is the notice
    await house_of_li.hears(LI, datetime.now(UTC) + timedelta(seconds=1))
    wechat.follow(LI)
    assert await house_of_li.sends(LI) == Sent()


async def test_the_same_message_told_again_gives_nothing_more(house_of_li: House) -> None:
    at = datetime.now(UTC) + timedelta(seconds=1)
    await house_of_li.hears(LI, at)
    for _ in range(5):
        await house_of_li.sends(LI)
    await house_of_li.hears(LI, at)
    assert await house_of_li.sends(LI) == Parked("window:used")


@pytest.mark.parametrize(("ago", "left"), [(timedelta(seconds=50), 3), (timedelta(seconds=61), 0)])
async def test_a_tap_gives_three_for_a_minute(house_of_li: House, wechat: StandIn, ago: timedelta, left: int) -> None:
    await house_of_li.windows.open(WANG, "tap", datetime.now(UTC) - ago)
    ended = [await house_of_li.sends(WANG) for _ in range(4)]
    assert ended.count(Sent()) == left


async def test_what_ends_first_is_used_first(house_of_li: House) -> None:
    now = datetime.now(UTC)
    await house_of_li.windows.open(LI, "tap", now)
    assert [await house_of_li.windows.take(LI, now) for _ in range(9)] == ["tap"] * 3 + ["message"] * 5 + [None]


async def test_after_two_days_nothing_may_be_sent(house_of_li: House, wechat: StandIn) -> None:
    await house_of_li.hears(WANG, datetime.now(UTC) - timedelta(hours=48, seconds=1))
    assert await house_of_li.sends(WANG) == Parked("window:used")
    assert wechat.sent == []


async def test_what_did_not_arrive_costs_nothing(house_of_li: House, wechat: StandIn) -> None:
    for fault in ("page", -1, 502, 40164, 45011, 500):
        wechat.faults.append(fault)
        await house_of_li.sends(LI)
    assert [await house_of_li.sends(LI) for _ in range(5)] == [Sent()] * 5


async def test_where_wechat_counts_otherwise_it_is_right(house_of_li: House, wechat: StandIn) -> None:
    wechat.follow(LI, left=1)
    assert await house_of_li.sends(LI) == Sent()
    assert await house_of_li.sends(LI) == Parked("window:45047")
    wechat.calls = 0
    assert await house_of_li.sends(LI) == Parked("window:used")
    assert wechat.calls == 0


async def test_who_cannot_be_sent_an_answer_hears_once_that_there_is_one(house_of_li: House, wechat: StandIn) -> None:
    for key in ("8", "9"):
        assert await house_of_li.sends(WANG, key=key) == Parked("window:used")
    [notice] = wechat.notices
    assert (notice["touser"], notice["template_id"], notice["client_msg_id"]) == (WANG, "T1", "8")
    assert notice["data"]["thing1"] == {"value": "您的问题有回复了"} and "{" not in notice["data"]["time2"]["value"]
    await house_of_li.hears(WANG, datetime.now(UTC) - timedelta(days=3))
    await house_of_li.sends(WANG, key="10")
    assert len(wechat.notices) == 2
