"""A person is asked for, waited for and rated; how many stars are in a customer's words."""

from __future__ import annotations

from typing import Any

import pytest
from rasa_sdk import Tracker

from bot.actions import malls
from bot.actions.handoff import AskForPerson, stars_in, why
from mall_adapter import SqlMall
from mall_adapter.handoff import HandoffReason, HandoffStatus
from tests.bot.actions.said import DOMAIN, answer, at_hand, frame


@pytest.mark.parametrize(
    ("words", "stars"),
    [
        ("五星", 5),
        ("5分", 5),
        ("给你打5分", 5),
        ("8分", 4),
        ("8分,扣两分因为慢", 4),
        ("今天的接待我打9分", 5),
        ("中规中矩,给个七分", 4),
        ("10分满分", 5),
        ("80分吧", 4),
        ("零分", 1),
        ("3 out of 5", 3),
        ("great service, 10/10", 5),
        ("7/10", 4),
        ("2 stars", 2),
        ("物流一星，客服五星", 5),
        ("两颗星", 2),
        ("⭐⭐⭐", 3),
        ("👍", 5),
        ("满分💯", 5),
        ("五星好评", 5),
        ("给个差评,1星", 1),
        ("差评", 1),
        ("等了10分钟才来，差评", 1),
        ("等了 3 分钟就有人了，好评", 5),
        ("给五星级的好评", 5),
        ("兩顆星", 2),
        ("這次服務滿意", 4),
        ("客服排了十分钟的队，给2星", 2),
        ("不给好评", 2),
        ("不满意", 2),
        ("没解决,评价不满意", 2),
        ("满意", 4),
        ("非常满意", 5),
        ("一般般吧,3分", 3),
        ("凑合", 3),
        ("服务評價", None),
        ("我要评价", None),
        ("ORD12345", None),
    ],
)
def test_stars(words: str, stars: int | None) -> None:
    assert stars_in(words) == stars


async def test_who_asks_is_queued_whatever_else_they_say(shop: SqlMall) -> None:
    desk = await malls.get_desk()
    told = await answer(AskForPerson(), "问了三遍都不对，叫个人工来帮我看退款", "human_handoff", sender="api:first")
    assert told.responses == ["utter_handoff_next"] or told.responses == ["utter_handoff_queue"]
    live = await desk.live("api:first")
    assert live and live.status is HandoffStatus.WAITING
    again = await answer(AskForPerson(), "人工怎么还没来", "human_handoff", sender="api:first")
    assert again.responses[0].startswith("utter_handoff_still_")
    gone = await answer(
        AskForPerson(), "/human_handoff", "human_handoff", sender="api:first", entities={"handoff": "withdraw"}
    )
    assert gone.responses == ["utter_handoff_withdrawn"]
    assert await desk.live("api:first") is None


@pytest.mark.parametrize("name", ["still_next", "still_queue", "closed"])
def test_the_place_is_told_in_other_words_each_time(name: str) -> None:
    chinese = [one["text"] for one in DOMAIN["responses"][f"utter_handoff_{name}"] if "condition" not in one]
    assert len(set(chinese)) == len(chinese) >= 3


@pytest.mark.parametrize(
    ("lost", "focus", "stack", "reason"),
    [
        (0, {}, [], HandoffReason.ASKED),
        (2, {}, [], HandoffReason.NOT_UNDERSTOOD),
        (0, {"unknown": "1"}, [], HandoffReason.NOT_UNDERSTOOD),
        (0, {"complaint": "heard"}, [], HandoffReason.COMPLAINT),
        (0, {}, [frame("after_sales"), frame("human_handoff")], HandoffReason.STUCK),
        (0, {}, [frame("order_status"), frame("human_handoff")], HandoffReason.ASKED),
    ],
)
def test_what_had_happened_before(
    lost: int, focus: dict[str, Any], stack: list[dict[str, Any]], reason: HandoffReason
) -> None:
    now = {"turn": 2, "lost": 0, "stack": stack}
    events = [
        {"event": "slot", "name": "dialogue", "value": {"turn": 1, "lost": lost, "stack": []}},
        {"event": "user", "text": "转人工", "parse_data": {}},
        {"event": "slot", "name": "dialogue", "value": now},
    ]
    slots = {"dialogue": now, "focus": at_hand(**focus)}
    assert why(Tracker("a", slots, {}, events, False, None, {}, "action_listen")) is reason
