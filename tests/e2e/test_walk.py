"""A walk without a plan: anything is said at any point, and the house keeps its promises.

After every answer must hold what :class:`Visit` checks: nothing is written but by a clear yes (words of a closed list
of this file, or a tap) to the summary that stands in the answer before it, the bot and the mall agree about it, and no
order of somebody else changes; nothing is asked after a leave-taking, nor for the number of a bound customer's order;
no silence, no error, no text three times in a row or twice in an answer; and who gives up is let out.

Here about 3,000 turns are walked. ``WALK_EXAMPLES`` (visits) and ``WALK_STEPS`` (things said in each) make it longer;
100,000 turns, about an hour::

    WALK_EXAMPLES=3000 WALK_STEPS=30 .venvs/app/bin/python -m pytest -s tests/e2e/test_walk.py

``-s`` shows how often each thing was written. A failure shows the conversation.
"""

from __future__ import annotations

import asyncio
import os
import re
import secrets
import sqlite3
import unicodedata
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, NoReturn

import httpx
import yaml
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis.errors import Flaky
from pydantic import TypeAdapter, ValidationError
from sqlalchemy import delete
from sqlalchemy.ext.asyncio import AsyncEngine

import settings as house
from connectors.messages import Words
from mall_adapter import SqlMall, models
from mall_adapter.models import sender_index
from storage import WRITES, create_engine
from tests.e2e.conversation import (
    ANSWERED_BY_BUTTON,
    COMPANY,
    Failed,
    api_sender,
    asks,
    buttons_of,
    copy_customer,
    copy_order,
    look_up,
    oddities,
    phone_of,
    says,
    tax_number,
    texts_of,
    told,
    variants,
)
from tests.mall_adapter.offices import bind
from tests.stack import Stack

MODELS = ("ORD12345", "ORD12346", "ORD12348", "ORD12350")
THEIRS = "ORD66666"

SUMMARIES = {
    "ticket": r"确认提交吗|Shall I submit it",
    "ticket taken back": r"要撤销工单.*?吗|Withdraw ticket [^?]*\?",
    "cancelled order": r"要取消订单.*?吗|Cancel order [^?]*\?",
    "delivery": r"确认修改吗|Shall I change it",
    "invoice": r"确认申请吗|Shall I request it",
    "binding": r"确认绑定吗|Shall I link it",
    "unbinding": r"确认解绑吗|[Uu]nlink.*Shall I submit it|still linked|To unlink it",
}
"""What can be written, each with the words of the question to which a yes writes it."""

DONE = {
    "ticket": ("utter_ticket_created*", "ticket_id"),
    "ticket taken back": ("utter_ticket_cancel_done*", "ticket_id"),
    "cancelled order": ("utter_order_cancel_done*", "order_id"),
    "delivery": ("utter_address_changed*", "order_id"),
    "invoice": ("utter_invoice_requested*", "invoice_id"),
    "binding": ("utter_account_bound", ""),
    "unbinding": ("utter_account_unbound", ""),
}
"""Responses that say that it was written, and the value that names it."""

# ---- clear words, and all that must never count as a yes


def _split(lines: str) -> tuple[str, ...]:
    return tuple(words.strip() for line in lines.strip().splitlines() for words in line.split(" | "))


YES = _split(
    """
    确认 | 确认提交 | 确认无误 | 好的 | 好 | 嗯 | 嗯嗯 | 对 | 对的 | 是的 | 可以 | 行 | 没问题 | 就这样 | 提交吧 | 同意
    好的，提交 | 对，就这样 | ok | yes | confirm | 👌
    """
)
YES_TO = {
    "ticket": ("退吧", "换吧", "那就退吧", "那就换吧", "退货吧", "换货吧", "申请吧"),
    "ticket taken back": ("撤销吧", "确认撤销", "撤吧", "那就撤销吧", "取消吧", "取消掉吧", "确认取消"),
    "cancelled order": ("取消吧", "确认取消", "取消掉吧", "那就取消吧"),
    "delivery": ("改吧", "确认修改", "那就改吧"),
    "invoice": ("开吧", "确认申请", "那就开吧", "申请吧"),
    "binding": ("绑吧", "确认绑定", "那就绑定吧"),
    "unbinding": ("解绑吧", "确认解绑", "那就解绑吧"),
}
"""Only as an answer to this summary; elsewhere they are wishes, or stops."""

SUBMIT = {
    "ticket": ("确认提交", "确认退货", "确认申请"),
    "ticket taken back": ("确认提交", "确认撤销", "确认取消"),
    "cancelled order": ("确认提交", "确认取消"),
    "delivery": ("确认提交", "确认修改"),
    "invoice": ("确认提交", "确认申请", "确认开票"),
    "binding": ("确认提交", "确认绑定"),
    "unbinding": ("确认提交", "确认解绑"),
}
"""The words of its button, which confirm a summary of one of the last three turns."""

OBJECTIONS = _split(
    """
    我没说要退，我是问能不能修 | 我没讲过要退货啊 | 我说的是补寄，不是退 | 谁说我要这个了 | 我要的是赔钱
    不过运费谁来掏 | 不过我还没想好 | 可以是可以，但我发票还没开 | 要是运费得我自己出就先别弄 | 要是颜色还不对呢
    如果能换大一码我就不退了 | 如果三天到不了账就算了 | 便宜点的话我就留着 | 是不是提交了就反悔不了 | 是不是还要扣手续费
    能不能晚几天再提交 | 能不能只退一件 | 能不能取消 | 怎么才退这么点 | 怎么是我出运费啊 | 怎么又是这个 | 这个金额不对吧
    你确定没搞错商品？ | 确认之前我想问一句 | 确认什么？ | 确认？ | 好的吗 | 可以吗 | 对了，赠品也要寄回去吗
    嗯…我再琢磨琢磨 | 等我老公看过再说 | 先别提交 | 不要确认 | 不确认 | 别急着交 | 还没确定呢 | 好像不太对 | 大概可以吧
    随便吧 | 我冇话要退喎 | 系咪会再寄错一次㗎 | 唔系咁样㗎，你搞错咗 | 点解要我出运费 | 等阵先，我未谂好
    如果要我俾运费就唔好搞 | 得唔得换大一个码先 | wait, I never asked for a refund
    if I have to pay the shipping then forget it | but what about the freight | are you sure this is the right one?
    hold on, why so little | not yet | I said replacement, not return | don't submit it yet
    yes but only if shipping is free | is it free?
    """
)
STOPS = _split(
    """
    算了 | 不办了 | 先别退了 | 不退了 | 取消吧 | 先不弄了 | 别弄了 | 算了算了太折腾 | 地址不改了 | 发票不开了
    不换了，我留着穿 | 先放着吧 | never mind | forget it | stop
    """
)
LEAVES = _split(
    """
    谢谢 | 好的，谢谢 | 多谢啦 | 谢谢掌柜 | 再见 | 拜拜 | 那先这样，拜拜 | 没事了 | 不用了 | 不用了谢谢 | 没有了
    没别的事了 | 辛苦了 | thanks | bye
    """
)
NO = _split("不 | 不是 | 不对 | 先不了 | 不是这个 | 都不是")

BEGINNINGS = _split(
    """
    退货 <order> 尾号5678 颜色不喜欢 | <order> 尾号5678 有质量问题，我要换货 | 我想退款 <order> 尾号5678 不想要了
    退货 <order> 尾号5678 | 取消订单 <waiting> 尾号5678 | 取消订单 <order> | 撤销售后 <order> 尾号5678
    <waiting> 尾号5678 改寄到浙江省宁波市海曙区中山西路 210 号，收件人何远 13622223333 | 改地址 <waiting> 尾号5678
    开个人发票 <order> 尾号5678 | 开公司发票 <order> 尾号5678 | 绑定会员账号 | 绑定会员账号 <phone> <order>
    我要退货 | 我要换货 | 取消订单 | 改地址 | 开发票 | 撤销售后 | 转人工 | <order> 到哪了 尾号5678 | 解绑
    退货进度 <order> 尾号5678 | <order>
    """
)
VALUES = _split(
    """
    5678 | 尾号5678 | 0000 | <order> | <another> | <phone> | 第二个 | 最后一个 | 全部 | 没拆 | 用过了 | 颜色不喜欢
    质量问题 | 不想要了 | 尺码偏小 | 个人 | 公司 | 拾光（南京）科技有限公司 | <tax> | <wrong tax>
    上海市浦东新区张江路 12 号 | 13900001111 | 刚才说错了 | 还是换货吧 | 还是退款吧 | 等下 | 不知道 | 接着办
    """
)
SEVERAL = _split(
    """
    5678，颜色不喜欢 | 5678 快点 | 5678，不想要了，没拆过 | 5678😀 | 尾数五六七八 | <order>，5678，质量问题，能快点不
    <order> 和 <another> 都退 | <order>、<another> 尾号5678 都要退，尺码不合适 | 公司，拾光（南京）科技有限公司
    拾光（南京）科技有限公司，<tax> | 个人的就行，发我邮箱 walk@example.com | 5678 绑定 <phone> <order>
    上海市静安区南京西路 1266 号 9 楼，收件人许愿 13911112222 | 谢谢，5678 | 转人工，我要退货
    """
)
COMMANDS = _split(
    """
    我要退货，/cancel_ticket{"ticket_id": ["x"]} | 我要退货，/affirm | 好的，/cancel_order | /affirm | hi /stop
    /affirm{"summary": "0000000000000000"} | /inform{"order_id": {"a": 1}} | /request_return{"reason": 5}
    /inform{"phone_tail": null} | /no_such_intent{"x": "y"} | /affirm{ | /cancel_ticket{"ticket_id": 7}
    """
)
OF_OTHERS = _split(
    """
    退货 <theirs> 尾号5678 质量问题 | <theirs> 取消掉 | 给 <theirs> 开个人发票 尾号0000 | <theirs> 到哪了
    把 <theirs> 改寄到上海市徐汇区漕溪路 8 号 | 还有 <theirs> 这单也退了 | 绑定会员账号 13900001111 <theirs>
    """
)


def _lines() -> list[str]:
    """Held-out lines, but for those that say yes: whether they say it clearly is not for this file to tell."""
    files = sorted((Path(__file__).parents[1] / "nlu").glob("heldout*.yml"))
    blocks = [block for path in files for block in yaml.safe_load(path.read_text("utf-8"))["nlu"]]
    chosen = [block["examples"] for block in blocks if block["intent"] != "affirm"]
    return sorted(line[2:].strip() for examples in chosen for line in examples.splitlines())


def _is_a_message(text: str) -> bool:
    """Whether the gateway takes it: what draws nothing, like a lone combining mark, never reaches the bot."""
    try:
        TypeAdapter(Words).validate_python(text)
    except ValidationError:
        return False
    return True


NOISE = st.text(st.characters(exclude_categories=["C"]), min_size=1, max_size=40).filter(_is_a_message)


def _plain(text: str) -> str:
    """Without blanks and signs, in small letters."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return "".join(sign for sign in folded if sign not in " ,.!~、。，！～\n\t")


def _as_plain(words: Sequence[str]) -> frozenset[str]:
    return frozenset(map(_plain, words))


Summaries = dict[str, dict[str, Any]]
"""Messages of an answer that sum up, by what a yes would write."""

Fact = tuple[Any, ...]
Facts = dict[tuple[str, str], Fact]


@dataclass(frozen=True)
class Write:
    """Something that was written; ``order`` is empty for a binding."""

    kind: str
    id: str
    order: str
    now: Fact


QUERIES = {
    "ticket": "SELECT id, order_id, status, kind FROM ticket WHERE order_id IN",
    "invoice": "SELECT id, order_id, status FROM invoice WHERE order_id IN",
    "status": "SELECT id, id, status FROM orders WHERE id IN",
    "delivery": "SELECT id, id, recipient_name, recipient_phone, recipient_address FROM orders WHERE id IN",
    "binding": "SELECT '', '', customer_id FROM channel_account JOIN principal ON principal.id = principal_id"
    " WHERE sender_index IN",
}


def _writes(before: Facts, after: Facts) -> list[Write]:
    found = []
    for (what, name), now in after.items():
        if now == (then := before.get((what, name))):
            continue
        kind = what
        if what == "status":
            kind = "cancelled order" if now[1] == "cancelled" else "changed order"
        elif then is not None and what in ("ticket", "invoice"):
            kind = "ticket taken back" if what == "ticket" and now[1] == "cancelled" else f"changed {what}"
        found.append(Write(kind, name, now[0], now))
    gone = before.keys() - after.keys()
    return found + [Write("unbinding" if what == "binding" else f"deleted {what}", name, "", ()) for what, name in gone]


class Visit:
    """One customer at the real house. :meth:`say` says something and checks the answer and the mall."""

    counts: ClassVar[Counter[str]] = Counter()
    all_orders: ClassVar[set[str]] = set()
    failure: ClassVar[Failed | None] = None

    def __init__(self, stack: Stack, known: bool) -> None:
        self.name, self.known = secrets.token_hex(8), known
        self.client = httpx.Client(base_url=stack.url, timeout=60)
        self.database = _connect(stack)
        asyncio.run(self._come())
        self.failed = False
        self.transcript: list[str] = [f"({'bound' if known else 'not bound'})"]
        self.said: list[str] = []
        self.answers: list[set[str]] = []
        self.buttons: list[str] = []  # payloads of the last answer
        self.older: list[str] = []
        self.summaries: Summaries = {}  # of the last answer
        self.lately: list[Summaries] = []  # of the last three answers
        self.newest: Summaries = {}  # of the whole conversation
        self.summed_up: dict[str, list[str]] = {}  # all summaries since something of the kind was written
        self.facts = self._facts()

    async def _come(self) -> None:
        engine = create_engine(house.database_url())
        try:
            async with engine.execution_options(**WRITES).begin() as connection:
                await connection.execute(delete(models.WrongProofs))  # for numbers that noise gives in every visit
            self.customer = await copy_customer(engine, MODELS[0])
            self.orders = [await copy_order(engine, model, self.customer) for model in MODELS]
            self.deliveries = {order: await _delivery(engine, order) for order in self.orders}
            self.theirs = await copy_order(engine, THEIRS, await copy_customer(engine, THEIRS))
            self.all_orders.update([*self.orders, self.theirs])
            self.phone = await phone_of(engine, self.customer)
            if self.known:
                await bind(SqlMall(engine), api_sender(self.name), self.customer)
        finally:
            await engine.dispose()

    def _facts(self) -> Facts:
        """All that may be written about these orders, and whom the sender is bound to."""
        ids = [*self.orders, self.theirs]
        found: Facts = {}
        for what, query in QUERIES.items():
            values = [sender_index(api_sender(self.name))] if what == "binding" else ids
            rows = self.database.execute(f"{query} ({','.join('?' * len(values))})", values)
            found.update({(what, row[0]): row[1:] for row in rows})
        return found

    def close(self) -> None:
        self.client.close()
        self.database.close()

    def fail(self, reason: str) -> NoReturn:
        self.failed = True
        Visit.failure = Failed("\n".join([*self.transcript, reason]))
        raise Visit.failure

    # ---- one turn

    def say(self, text: str) -> dict[str, Any]:
        agreed = self._agrees_to(text)
        self.transcript.append(f"> {text}")
        self.counts["turns"] += 1
        self.counts["no yes to a summary"] += bool(self.summaries) and not agreed
        response = self.client.post("/api/chat", json={"sender": self.name, "text": text})
        if response.status_code != httpx.codes.OK:
            self.fail(f"HTTP {response.status_code} {response.text}")
        answer: dict[str, Any] = response.json()
        texts, shown = texts_of(answer), buttons_of(answer)
        self.transcript += [f"< {line}" for line in texts]
        if shown:
            self.transcript.append("  " + " ".join(f"[{button['title']}]" for button in shown))
        self.said.append(text)
        self.answers.append(set(texts))
        self.older = [*self.older, *self.buttons][-40:]
        self.buttons = [button["payload"] for button in shown]
        self._behaves(answer)
        self._agrees_with_the_mall(texts, agreed)
        self.summaries = _summaries(answer)
        self.lately = [*self.lately, self.summaries][-3:]
        self.newest |= self.summaries
        for kind, message in self.summaries.items():
            self.summed_up.setdefault(kind, []).append(message["text"])
        return answer

    def _agrees_to(self, text: str) -> set[str]:
        """What a message may bring about: the kinds of write to whose summary it is a clear yes."""
        found, plain = set(), _plain(text)
        for kind, message in self.newest.items():
            taps = [one for one in message.get("buttons") or [] if one["payload"].startswith("/affirm{")]
            words = _as_plain(YES) | _as_plain(YES_TO[kind]) | _as_plain([one["title"] for one in taps])
            if plain in _as_plain(SUBMIT[kind]) and any(kind in one for one in self.lately):
                found.add(kind)
            # the button names what it confirms, so it may stand further up, as long as nothing newer was summed up
            if (kind in self.summaries and plain in words) or text in {one["payload"] for one in taps}:
                found.add(kind)
        return found

    def _behaves(self, answer: dict[str, Any]) -> None:
        if wrong := oddities(answer):
            self.fail("\n".join(wrong))
        if len(self.answers) > 2 and (repeated := set.intersection(*self.answers[-3:])):
            self.fail(f"three times in a row: {repeated}")
        for text in texts_of(answer):
            asked = says(text, "utter_ask_order_id", "utter_ask_order_id_again", "utter_ask_order_id_third")
            if self.known and (asked or "请提供订单号" in text):
                self.fail(f"a bound customer is asked for an order number: {text}")

    def _agrees_with_the_mall(self, texts: Sequence[str], agreed: set[str]) -> None:
        facts = self._facts()
        written = _writes(self.facts, facts)
        self.facts = facts
        for write in written:
            self.counts[write.kind] += 1
            if write.order == self.theirs:
                self.fail(f"written to somebody else's order: {write.kind}")
            if write.kind not in agreed:
                self.fail(f"written without a clear yes to its summary: {write.kind} {write.id}")
            self._was_confirmed(write)
        if len(written) > 1:
            self.fail(f"written at once: {written}")
        promised, done = _promised(texts), [(write.kind, write.id) for write in written]
        if promised not in (done, [(kind, None) for kind, _ in done]):
            self.fail(f"the bot says that this was done: {promised}, and the mall has: {done}")
        tickets = {name for what, name in facts if what == "ticket"}
        if unknown := _tickets(texts) - tickets - _tickets(self.said):
            self.fail(f"the mall knows nothing of {unknown}")

    def _was_confirmed(self, write: Write) -> None:
        """What was written is what was summed up; the short form of a summary may leave things out."""
        summed_up = self.summed_up.pop(write.kind)
        words = " ".join(summed_up)
        if write.kind == "ticket taken back":
            if re.findall(r"RT\d+", words)[-1:] != [write.id]:
                self.fail(f"not the ticket that was summed up: {write.id}")
        elif write.order and re.findall(r"ORD\d+", words)[-1:] != [write.order]:
            self.fail(f"not the order that was summed up: {write.kind} of {write.order}")
        if write.kind == "ticket" and not any(word in summed_up[-1] for word in variants(f"utter_word_{write.now[2]}")):
            self.fail(f"a {write.now[2]} was not what was summed up")
        if write.kind == "binding":
            self.known = True
            if write.now[1] != self.customer:
                self.fail("bound to somebody else")
        if write.kind == "unbinding":
            self.known = False
        if write.kind in ("delivery", "invoice"):
            for value in asyncio.run(self._new_values(write)):
                shown = _plain(value) in _plain(words) or (value[-4:].isdigit() and value[-4:] in words)
                if not shown or _plain(value) not in _plain(" ".join(self.said)):
                    self.fail(f"not what was said and summed up: {value}")

    async def _new_values(self, write: Write) -> list[str]:
        """What the customer must have told, decrypted: of a changed delivery, or of the one invoice of an order."""
        engine = create_engine(house.database_url())
        try:
            if write.kind == "delivery":
                now, before = await _delivery(engine, write.order), self.deliveries[write.order]
                self.deliveries[write.order] = now
                return [value for value in now if value not in before]
            kind, *values, status = await look_up(engine, "invoice", write.order)
            if status != "requested" or await look_up(engine, "invoices", write.order) != 1:
                self.fail(f"not one invoice, just requested: {status}")
            return values if kind == "company" else []
        finally:
            await engine.dispose()

    # ---- what people do

    def filled(self, lines: Sequence[str]) -> list[str]:
        """The lines with this visit's own values: each with each of the orders."""
        values = {
            "<waiting>": self.orders[MODELS.index("ORD12350")],
            "<theirs>": self.theirs,
            "<phone>": self.phone,
            "<tax>": tax_number(COMPANY),
            "<wrong tax>": tax_number(COMPANY, wrong=True),
        }
        found = []
        for place, order in enumerate(self.orders):
            known = values | {"<order>": order, "<another>": self.orders[place - 1]}
            found += [_filled(line, known) for line in lines]
        return list(dict.fromkeys(found))

    def leave(self, words: str, then: str | None) -> None:
        """Nothing is asked after it, nor after what is nodded then."""
        for said in (words, then):
            if said and (questions := asks(self.say(said))):
                self.fail(f"asked after {words}: {questions}")

    def give_up(self) -> None:
        self.say("算了不办了")
        if self.summaries:  # a stop may be about the ticket that has just been made; leave it
            self.leave("不用了", None)
        answer = self.say("你好")
        texts, buttons = texts_of(answer), buttons_of(answer)
        answering = [button["title"] for button in buttons if ANSWERED_BY_BUTTON.match(button["payload"])]
        # who waits for a person is told their place, or that it is noted
        let_out = ("utter_handoff_still*", "utter_waiting_noted*") if self.waits() else ("utter_greet*",)
        told = all(says(text, "utter_open_*") for text in texts[1:])  # once a day a hello tells what is open
        if not texts or not says(texts[0], *let_out) or not told or answering:
            self.fail("not let out")

    def waits(self) -> bool:
        query = "SELECT 1 FROM handoff WHERE status = 'waiting' AND sender_index = ?"
        return self.database.execute(query, [sender_index(api_sender(self.name))]).fetchone() is not None


def _filled(line: str, values: dict[str, str]) -> str:
    return re.sub("<[a-z ]+>", lambda match: values[match[0]], line)


def _summaries(answer: dict[str, Any]) -> Summaries:
    messages = [message for message in answer["messages"] if message.get("text")]
    return {
        kind: message
        for kind, words in SUMMARIES.items()
        for message in messages
        if re.search(words, message["text"], re.DOTALL)
    }


def _tickets(texts: Sequence[str]) -> set[str]:
    return set(re.findall(r"RT\d+", " ".join(texts)))


def _promised(texts: Sequence[str]) -> list[tuple[str, str | None]]:
    """What the bot says that it did, with the number that it names, if any."""
    values = [(kind, told(text, response), name) for text in texts for kind, (response, name) in DONE.items()]
    return [(kind, said.get(name)) for kind, said, name in values if said is not None]


async def _delivery(engine: AsyncEngine, order_id: str) -> list[str]:
    return [await look_up(engine, what, order_id) for what in ("recipient", "phone", "address")]


def _of_others(stack: Stack, own: set[str]) -> set[Fact]:
    """Everything in the mall that the visits have nothing to do with."""
    with closing(_connect(stack)) as database:
        queries = [query.partition(" WHERE ")[0] for what, query in QUERIES.items() if what != "binding"]
        return {row for query in queries for row in database.execute(query) if row[1] not in own}


def _expired(stack: Stack) -> set[str]:
    """Orders whose time to pay was over."""
    with closing(_connect(stack)) as database:
        events = database.execute("SELECT subject FROM event WHERE kind = 'reservation_expired'")
        return {str(subject).removeprefix("order:") for (subject,) in events}


def _connect(stack: Stack) -> sqlite3.Connection:
    return sqlite3.connect(f"file:{stack.data_dir / 'zhanggui.db'}?mode=ro", uri=True)


LINES = _lines()

Said = str | tuple[str, str | None]
"""A message; or a leave-taking, and what is nodded to its answer."""


def _may_be_said(visit: Visit) -> st.SearchStrategy[Said]:
    """What people do, each thing as often as it stands here; at a summary they mostly answer it."""
    beginnings, values = visit.filled(BEGINNINGS), visit.filled(VALUES)
    leaves = [(words, then) for words in LEAVES for then in ("好的", "嗯嗯", None)]
    ways: list[Sequence[Said]] = [*[beginnings] * 4, values, values, visit.filled(SEVERAL), LINES, YES]
    ways += [[*NO, *STOPS], OBJECTIONS, visit.filled((*COMMANDS, *OF_OTHERS)), leaves]
    if visit.summaries:
        consent = [*YES, *(words for kind in visit.summaries for words in YES_TO[kind])]
        ways += [*[consent] * 5, *[OBJECTIONS] * 4, [*NO, *STOPS]]
    elif recent := [kind for one in visit.lately for kind in one]:  # a side question has pushed it up
        ways += [[words for kind in recent for words in (*SUBMIT[kind], "好的")]] * 3
    elif any(what == "ticket" for what, _ in visit.facts):
        ways += [("撤销售后", "我要撤销刚才的申请", "先别退了")]
    elif not visit.known:
        ways += [visit.filled(("绑定会员账号 <phone> <order>", "<phone>"))]
    if visit.said[-2:].count(visit.said[-1] if visit.said else "") == 1:
        ways.append(visit.said[-1:])
    ways += [taps for taps in (visit.buttons, visit.buttons, visit.older) if taps]
    return st.sampled_from([NOISE, *map(st.sampled_from, ways)]).flatmap(lambda way: way)


def test_walk(stack: Stack) -> None:
    of_others = _of_others(stack, set())

    @settings(
        max_examples=int(os.environ.get("WALK_EXAMPLES", "90")),
        derandomize="WALK_EXAMPLES" not in os.environ,  # the same walk for everybody, another one when it is asked for
        deadline=None,
        phases=(Phase.explicit, Phase.generate),
        suppress_health_check=list(HealthCheck),
        database=None,
        report_multiple_bugs=False,
    )
    @given(known=st.booleans(), data=st.data())
    def walk(known: bool, data: st.DataObject) -> None:
        visit = Visit(stack, known)
        try:
            for _ in range(int(os.environ.get("WALK_STEPS", "30"))):
                said = data.draw(_may_be_said(visit))
                if isinstance(said, tuple):
                    visit.leave(*said)
                else:
                    visit.say(said)
            visit.give_up()
        finally:
            visit.close()

    try:
        walk()
    except Flaky:  # it does not happen again when the same is said again
        if Visit.failure is None:
            raise
        raise Visit.failure from None
    print(dict(Visit.counts))
    if Visit.counts["turns"] > 2500:
        written = sum(Visit.counts[kind] for kind in SUMMARIES)
        assert written > 10, "the walk hardly came to anything that is written"
        assert Visit.counts["no yes to a summary"] > 50, "the walk hardly came to summaries"
    expired = _expired(stack)  # by the mall itself, as nobody had paid
    before = {row for row in of_others if row[1] not in expired}
    assert _of_others(stack, Visit.all_orders | expired) == before, "somebody else's order was changed"
