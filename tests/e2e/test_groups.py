"""In a group, where others read along, rules and goods are talked of and nothing personal is asked or told."""

from __future__ import annotations

import secrets

import httpx
import pytest

import settings
from tests.stack import Stack

IN_PRIVATE = "咱们私下说"


class Group:
    """Somebody who talks in a group."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._sender = f"telegram:{secrets.randbelow(10**9)}@-100"

    def say(self, text: str) -> str:
        body = {"sender": self._sender, "text": text, "message_id": secrets.token_hex(8)}
        url = f"http://{settings.HOST}:{self._stack.env['BOT_PORT']}/webhooks/gateway/webhook"
        headers = self._stack.house_headers()
        answer = httpx.post(url, json=body, headers=headers, timeout=60, trust_env=False).raise_for_status().json()
        return "\n".join(message.get("text", "") for message in answer["messages"])


@pytest.fixture
def group(stack: Stack) -> Group:
    return Group(stack)


@pytest.mark.parametrize(
    "text",
    [
        *("我要退货", "ORD12345 到哪了", "退货 ORD12345 尾号5678", "我的优惠券", "我要绑定账号", "13800005678 绑定"),
        *("改地址", "开发票 ORD12345", "取消订单", "退货进度", "转人工"),
    ],
)
def test_what_is_personal_is_talked_of_in_private(text: str, group: Group) -> None:
    answer = group.say(text)
    assert IN_PRIVATE in answer
    assert not any(word in answer for word in ("后四位", "签收", "¥", "请提供"))


def test_rules_and_goods_are_for_everybody(group: Group) -> None:
    assert "运费" in group.say("退货运费谁出")
    assert "水壶" in group.say("水壶有哪些")


def test_nobody_is_reminded_of_a_request_before_others(group: Group) -> None:
    assert IN_PRIVATE in group.say("我要退货")
    answer = group.say("水壶有哪些")
    assert "水壶" in answer
    assert "退货" not in answer
    assert IN_PRIVATE in group.say("ORD12345")
