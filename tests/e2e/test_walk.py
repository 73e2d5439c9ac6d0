"""A walk without a plan: anything is said at any point, and the house keeps its promises.

Never an error, never silence, never the same words three times in a row, no ticket, cancellation or invoice without a
yes to its summary, bot and mall agree, and whoever gives up is let out. ``WALK_EXAMPLES`` and ``WALK_STEPS`` make it
longer.
"""

from __future__ import annotations

import asyncio
import os
import re
import secrets
import sqlite3
from pathlib import Path
from typing import Any, ClassVar

import httpx
import yaml
from hypothesis import HealthCheck, Phase, note, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test
from pydantic import TypeAdapter, ValidationError

import settings as house
from connectors.messages import Words
from mall_adapter import SqlMall, create_engine
from tests.e2e.conversation import api_sender, copy_customer, copy_order
from tests.stack import Stack

HELD_OUT = sorted((Path(__file__).parents[1] / "nlu").glob("heldout*.yml"))
MODELS = ("ORD12345", "ORD12346", "ORD12348", "ORD12350")
SUMMARY = (
    *("确认提交吗", "确认修改吗", "确认申请吗", "确认吗", "要取消订单", "要撤销工单"),
    *("Shall I submit it", "Shall I change it", "Shall I request it", "Cancel order", "Withdraw ticket"),
)
"""Words of the questions that a yes answers before something is written, in both languages."""

PROMISE = r"(?:工单号 |\bTicket )(RT\d+)(?=（| \()"

ANSWERS = (
    *("5678", "尾号5678", "0000", "第二个", "最后一个", "全部", "没拆", "用过了", "颜色不喜欢", "质量问题", "不想要了"),
    *("个人", "公司", "杭州云上科技有限公司", "91350100M000100Y43", "上海市浦东新区张江路 12 号", "13900001111"),
    *("刚才说错了", "不对", "还是换货吧", "还是退款吧", "等下", "不知道", "算了", "不办了", "先办这个", "接着办"),
)


def _is_a_message(text: str) -> bool:
    """Whether the gateway takes it: what draws nothing, like a lone combining mark, never reaches the bot."""
    try:
        TypeAdapter(Words).validate_python(text)
    except ValidationError:
        return False
    return True


NOISE = st.text(st.characters(exclude_categories=["C"]), min_size=1, max_size=40).filter(_is_a_message)
WRITTEN = {
    "ticket": "SELECT id FROM ticket WHERE order_id",
    "ticket taken back": "SELECT id FROM ticket WHERE status = 'cancelled' AND order_id",
    "invoice": "SELECT id FROM invoice WHERE order_id",
    "cancelled order": "SELECT id FROM orders WHERE status = 'cancelled' AND id",
}
YES = ("确认", "好的", "对", "是的", "嗯")
NO = ("不", "不用了", "不是", "先不了")


def _lines() -> list[str]:
    blocks = [block for path in HELD_OUT for block in yaml.safe_load(path.read_text("utf-8"))["nlu"]]
    return sorted(line[2:].strip() for block in blocks for line in block["examples"].splitlines())


class Walk(RuleBasedStateMachine):
    stack: ClassVar[Stack]
    lines: ClassVar[list[str]] = _lines()

    @initialize(known=st.booleans())
    def a_customer_comes(self, known: bool) -> None:
        self.name = secrets.token_hex(8)
        self.client = httpx.Client(base_url=self.stack.url, timeout=60)
        self.orders = asyncio.run(self._orders(known))
        self.said: list[set[str]] = []
        self.buttons: list[dict[str, str]] = []
        self.written = self._written()
        self.promised: set[str] = set()

    async def _orders(self, known: bool) -> list[str]:
        engine = create_engine(house.database_url())
        try:
            customer = await copy_customer(engine, MODELS[0])
            orders = [await copy_order(engine, model, customer) for model in MODELS]
            if known:
                await SqlMall(engine).bind(api_sender(self.name), customer)
            return orders
        finally:
            await engine.dispose()

    def _written(self) -> set[str]:
        """Everything of these orders that only a yes may bring about."""
        marks = ",".join("?" * len(self.orders))
        database = sqlite3.connect(f"file:{self.stack.data_dir / 'zhanggui.db'}?mode=ro", uri=True)
        try:
            return {
                f"{what} {row[0]}"
                for what, query in WRITTEN.items()
                for row in database.execute(f"{query} IN ({marks})", self.orders)
            }
        finally:
            database.close()

    def say(self, text: str) -> None:
        summary = any(words in line for line in (self.said[-1] if self.said else ()) for words in SUMMARY)
        response = self.client.post("/api/chat", json={"sender": self.name, "text": text})
        note(f"> {text}")
        assert response.status_code == httpx.codes.OK, response.text
        answer: dict[str, Any] = response.json()
        texts = [message["text"] for message in answer["messages"] if message.get("text")]
        for line in texts:
            note(f"< {line}")
        assert texts, "silence"
        self.said.append(set(texts))
        repeated = set.intersection(*self.said[-3:]) if len(self.said) > 2 else set()
        assert not repeated, f"said three times in a row: {repeated}"
        self.buttons = [button for message in answer["messages"] for button in message.get("buttons") or []]
        written = self._written()
        assert summary or written == self.written, f"without a yes: {written - self.written}"
        self.written = written
        self.promised |= set(re.findall(PROMISE, "\n".join(texts)))

    # ---- what people do

    @rule(data=st.data())
    def something_else(self, data: st.DataObject) -> None:
        self.say(data.draw(st.sampled_from(self.lines)))

    @rule(answer=st.sampled_from(ANSWERS))
    def an_answer(self, answer: str) -> None:
        self.say(answer)

    @rule(data=st.data(), words=st.sampled_from(("", "退货 ", "换货 ", "开发票 ", "取消订单 ", "改地址 ", "到哪了 ")))
    def an_order(self, data: st.DataObject, words: str) -> None:
        self.say(f"{words}{data.draw(st.sampled_from(self.orders))} 尾号5678")

    @rule(yes=st.sampled_from(YES))
    def a_yes(self, yes: str) -> None:
        self.say(yes)

    @rule(no=st.sampled_from(NO))
    def a_no(self, no: str) -> None:
        self.say(no)

    @precondition(lambda self: bool(getattr(self, "buttons", None)))
    @rule(data=st.data())
    def a_tap(self, data: st.DataObject) -> None:
        self.say(data.draw(st.sampled_from(self.buttons))["payload"])

    @rule(text=NOISE)
    def noise(self, text: str) -> None:
        self.say(text)

    # ---- what must hold at the end of each walk

    def teardown(self) -> None:
        if not hasattr(self, "client"):
            return
        try:
            tickets = {entry.removeprefix("ticket ") for entry in self.written if entry.startswith("ticket ")}
            assert tickets == self.promised, "the bot and the mall know of other tickets"
            for _ in range(4):  # what waited is offered, and declined
                self.say("算了不办了")
            self.say("你好")
            assert any("掌柜" in line for line in self.said[-1]) and len(self.said[-1]) == 1, "not let out of a form"
        finally:
            self.client.close()


def test_walk(stack: Stack) -> None:
    Walk.stack = stack
    run_state_machine_as_test(
        Walk,
        settings=settings(
            max_examples=int(os.environ.get("WALK_EXAMPLES", "20")),
            stateful_step_count=int(os.environ.get("WALK_STEPS", "50")),
            deadline=None,
            phases=(Phase.explicit, Phase.generate),
            suppress_health_check=list(HealthCheck),
            database=None,
            print_blob=True,
        ),
    )
