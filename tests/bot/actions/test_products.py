"""Questions about products, as tables: what was talked of, what is asked, what the answer holds."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import yaml
from rasa_sdk import Action, Tracker
from rasa_sdk.executor import CollectingDispatcher

import settings
from bot.actions import goods_index, graphs, malls, pictures
from bot.actions.comparison import Table, ahead, quantities
from bot.actions.knowledge_base import GraphKnowledgeBase
from bot.actions.product_search import Budget, read_budget
from bot.actions.questions import AnswerFromGraph
from bot.actions.shopping import CompareProducts, ProductInfo, Recommend
from bot.actions.wording import response_text
from demo.goods import Article
from knowledge_graph import Graph
from mall_adapter import SqlMall
from mall_adapter.names import calls
from mall_adapter.values import NewPrice, PriceKind
from tests.knowledge_graph.servers import Server
from tests.mall_adapter.conftest import Clock
from tests.mall_adapter.offices import OPERATOR, office

DOMAIN: dict[str, Any] = yaml.safe_load((settings.ROOT / "bot" / "domain.yml").read_text("utf-8"))
ACTIONS: dict[str, type[Action]] = {
    "compare_products": CompareProducts,
    "recommend_product": Recommend,
    "ask_policy": AnswerFromGraph,
}
LOOKED_UP: dict[str, tuple[str, str]] = {
    "耳机": ("category", "蓝牙耳机"), "手机壳": ("category", "手机壳"), "乐高": ("category", "玩具")
}  # fmt: skip
"""As bot/data/lookups/category.yml has it; of a message it finds but one."""
_ORDINAL = re.compile("第([一二三四])[个款]")
_MENTION = re.compile("[这那]款|它|刚才那款")
_ASKS = re.compile("[吗呢么哪几啥?？]|多[少重大久]|什么|有没有|有货没")


@dataclass
class Talk:
    """A conversation about products, as the bot would keep it between the turns."""

    articles: list[Article]
    slots: dict[str, Any] = field(default_factory=lambda: {"language": "zh"})
    messages: list[dict[str, Any]] = field(default_factory=list)
    sender: str = "api:ann"
    events: list[dict[str, Any]] = field(default_factory=list)

    async def say(self, text: str, intent: str = "ask_product", *acts: str) -> str:
        """Everything that the bot answers, as a customer reads it."""
        message = {"text": text, "intent": {"name": intent, "confidence": 0.9}, "entities": self._entities(text)}
        message["acts"] = [*acts, *(["question"] if _ASKS.search(text) else [])]
        self.events.append({"event": "user", "text": text, "parse_data": message, "message_id": "m", "metadata": {}})
        self.slots["dialogue"] = {"turn": len(self.events), "stack": []}
        tracker = Tracker(self.sender, dict(self.slots), message, self.events, False, None, {}, "action_listen")
        dispatcher = CollectingDispatcher()
        for event in await ACTIONS.get(intent, ProductInfo)().run(dispatcher, tracker, DOMAIN):
            if event["event"] == "slot":
                self.slots[event["name"]] = event["value"]
        self.messages = dispatcher.messages
        return "\n".join(
            response_text(tracker, DOMAIN, said["response"]).format_map(said) for said in dispatcher.messages
        )

    @property
    def custom(self) -> dict[str, Any]:
        found: dict[str, Any] = self.messages[0]["custom"]
        return found

    def _entities(self, text: str) -> list[dict[str, Any]]:
        """What the components of the bot would find, slips aside."""
        if text.startswith("/"):
            values: dict[str, Any] = json.loads(text[text.index("{") :])
            return [{"entity": name, "value": value, "start": 0, "end": 0} for name, value in values.items()]
        found: list[tuple[str, int, int, Any]] = [
            ("mention", *match.span(), "last") for match in _MENTION.finditer(text)
        ]
        found += [("ordinal", *match.span(), "一二三四".index(match[1]) + 1) for match in _ORDINAL.finditer(text)]
        forms: dict[str, tuple[str, str]] = dict(LOOKED_UP)
        for entity, entries in calls([(one.name, one.brand, one.category) for one in self.articles]).items():
            for entry in entries:
                names: list[str] = [*entry["names"], *entry["short"]]  # type: ignore[misc]
                for name in names:
                    forms.setdefault(name, (entity, str(entry["value"])))
        written = text.lower()
        for form in sorted(forms, key=len, reverse=True):
            loose = r"\s*".join(map(re.escape, form))
            for match in re.finditer(rf"(?<![a-z0-9]){loose}(?![a-z0-9])" if form.isascii() else loose, written):
                entity, value = forms[form]
                found.append((entity, *match.span(), value))
                written = written[: match.start()] + "\0" * len(match.group()) + written[match.end() :]
        return [
            {"entity": name, "start": start, "end": end, "value": value}
            for name, start, end, value in sorted(found, key=lambda find: find[1])
        ]


@pytest.fixture
def talk(articles: list[Article], graph: Graph) -> Talk:
    return Talk(articles)


SHOES = "疾风 3 轻量缓震跑鞋"
A5, MIAO = "净谷 A5 除甲醛空气净化器", "净谷 喵净 宠物家庭空气净化器"

# each conversation: (what is said, the intent, what the answer holds); a word behind "-" must not be in it
CONVERSATIONS: dict[str, list[tuple[str, str, list[str]]]] = {
    "an attribute by name": [("棠溪里丝绒雾面口红的持妆时长是多久", "ask_product", ["持妆时长：8 小时。", "-¥"])],
    "an attribute by another word": [(f"{SHOES}多重", "ask_product", ["单只重量：218 g"])],
    "its own name is no question": [(f"介绍一下{SHOES}", "ask_product", ["¥399，有货", "适用人群", "-的单只重量"])],
    "what the page does not say": [(f"{SHOES}防水吗", "ask_product", ["没有写这一点", "鞋面材质：工程网布"])],
    "a follow-up about a kind": [
        (SHOES, "nlu_fallback", ["¥399"]),
        ("那白色的呢", "ask_product", ["白色 42码", "有货", "-黑色"]),
        ("42码有货吗", "ask_stock", ["黑色 42码", "-43码"]),
        ("那红色的呢", "ask_product", ["没有您说的这种", "黑色"]),
        ("45码呢", "ask_stock", ["没有您说的这种"]),
        ("有什么颜色", "ask_product", ["可选", "黑色 41码", "白色 41码"]),
    ],
    "constraints": [
        ("200以内适合敏感肌的面霜", "recommend_product", ["1. 素映 B5 修护霜", "敏感肌", "-2."]),
        ("第一个多少钱", "ask_price", ["30 g ¥79、60 g ¥139、100 g ¥199，有货"]),
    ],
    "from and to": [("100到200的口红", "recommend_product", ["绯禾 小方管", "-¥69", "-¥89"])],
    "a category by one end of its name": [("预算两千买个平板", "recommend_product", ["墨卷 10", "Pad 11"])],
    "round about": [("一千左右的耳机", "recommend_product", ["¥1099", "-2."])],
    "an express no": [("不含香精的面霜", "recommend_product", ["B5 修护霜", "清透啫喱", "-男士"])],
    "nothing fits exactly": [("50以内的空气净化器", "recommend_product", ["没有¥50以内的", "¥259"])],
    "nothing was said": [("有什么好推荐的", "recommend_product", ["大概预算"])],
    "a gift, of several kinds": [
        ("同事过生日送什么好", "recommend_product", ["礼盒", "1. ", "3. ", "-4. "]),
        ("两百以内", "recommend_product", ["礼盒", "1. ", "-268"]),
        ("手链吧", "recommend_product", ["刻名手链"]),
        ("能刻字吗", "ask_product", ["刻字：正面 1 至 6 字"]),
        ("就它了", "inform", ["刻名手链", "商城"]),
    ],
    "for a boy of ten": [
        ("给外孙买点什么", "recommend_product", ["1. ", "2. ", "-女童"]),
        ("十岁", "recommend_product", ["1. ", "-女童", "-4 至 9 岁"]),
        ("鞋吧", "recommend_product", ["儿童旋钮跑鞋"]),
    ],
    "a budget, then a kind of goods": [
        ("推荐点东西", "recommend_product", ["大概预算"]),
        ("五千以内", "recommend_product", ["1. "]),
        ("电脑", "recommend_product", ["书童 14", "-磐石"]),
    ],
    "asked of what was just shown, in the words of a rule": [
        ("有什么坚果", "recommend_product", ["1. 嗑一夏"]),
        ("保质期多久", "ask_product", ["保质期：", "这几款分别是"]),
        ("第一个保质期呢", "ask_product", ["保质期："]),
        ("贵不贵", "ask_price", ["¥", "-没查到"]),
    ],
    "goods pointed at come before the telephone of the shop": [
        ("手表有哪些", "recommend_product", ["1. "]),
        ("那个儿童的能打电话不", "ask_product", ["独立通话"]),
    ],
    "what is not sold is missing, what is asked of a product is not": [
        ("有什么笔记本电脑", "recommend_product", ["1. 墨岑"]),
        ("第一个怎么样", "ask_product", ["书童 14"]),
        ("你们有缝纫机吗", "ask_stock", ["没查到", "-书童"]),
        ("几多钱", "ask_price", ["书童 14", "¥2799", "-没查到"]),
    ],
    "a list, its places and its prices": [
        ("有加湿器吗", "ask_stock", ["1. 净谷", "2. 净谷", "3. 净谷"]),
        ("第二个多少钱", "ask_price", ["婴儿房", "¥359"]),
        ("跟第一个比哪个好", "compare_products", ["① 净谷 上加水", "② 净谷 婴儿房", "价格：① ¥129–¥169；② ¥359"]),
        ("第三个有货没", "ask_stock", ["无雾蒸发式"]),
        ("它噪音大吗", "ask_product", ["噪音：28 至 46 dB。"]),
    ],
    "a list is narrowed": [
        ("空气炸锅多少钱", "ask_price", ["1. 厨小满", "3. 厨小满"]),
        ("噪音大吗", "ask_product", ["噪音：60 dB", "噪音：58 dB"]),
        ("200以内的呢", "ask_price", ["宿舍小功率", "-¥469"]),
    ],
    "three at once": [
        ("空气炸锅多少钱", "ask_price", ["3. 厨小满"]),
        ("这三款哪个轻", "compare_products", ["最轻的是厨小满 宿舍小功率空气炸锅 2 L（2.2 kg）", "③"]),
    ],
    "what goes with it": [
        ("拓光年 T3 入门微单多少钱", "ask_price", ["¥3799"]),
        ("能给这台相机用的电池有吗", "ask_stock", ["TB-35", "双充座充", "-TB-70"]),
        ("它的像素多少", "ask_product", ["像素：2600 万"]),
    ],
    "a pair that the graph knows": [(f"有能和{A5}搭配的吗", "ask_product", ["能和净谷 A5", "喵净"])],
    "nothing goes with it": [
        ("口袋云台相机 P2 像素多少", "ask_product", ["2000 万"]),
        ("能给它用的相机电池有吗", "ask_stock", ["没查到能和", "-TB-"]),
    ],
    "which is quieter": [
        (f"{A5}和{MIAO}哪个安静", "compare_products", ["更安静的是净谷 喵净", "噪音：① 32 至 64 dB；② 30 至 61 dB"])
    ],
    "which is cheaper": [(f"{A5}和{MIAO}哪个便宜", "compare_products", ["更便宜的是净谷 喵净", "¥899"])],
    "no number, no verdict": [(f"{A5}和{MIAO}哪个好看", "compare_products", ["看个人喜好", "-更"])],
    "nothing to compare": [("帮我比一比", "compare_products", ["想比较哪几款"])],
    "out of stock": [("青岚序面膜有吗", "ask_stock", ["暂时缺货", "现在有货", "泠云草 玻尿酸补水面膜"])],
    "a button": [(f'/ask_product{{"product": "{A5}"}}', "ask_product", [A5, "¥1299–¥1499"])],
    "nothing at all": [("多少钱", "ask_price", ["您说的是哪一款"])],
    "a list that was shown anew counts anew": [
        ("最便宜的洗衣机", "recommend_product", ["2. 洁翎 3 kg", "3. 洁翎 10 kg"]),
        ("10公斤的有吗", "ask_stock", ["1. 洁翎 波轮", "2. 洁翎 10 kg"]),
        ("第二个多少钱", "ask_price", ["10 kg 直驱"]),
        ("第三个多少钱", "ask_price", ["一共列了2款", "2. 洁翎 10 kg"]),
        ("这俩哪个便宜", "compare_products", ["更便宜的是洁翎 波轮"]),
    ],
    "the same model, nearly": [
        (
            "澄野C9Pro、C9和M5哪个轻",
            "compare_products",
            ["最轻的是澄野 C9 小屏", "① 澄野 C9 Pro", "② 澄野 C9 小屏", "③ 澄野 M5"],
        )
    ],
    "a piece of a name": [
        (f"{A5}多少瓦", "ask_product", ["功率：48 W"]),
        ("和喵净比呢", "compare_products", ["① 净谷 A5", "② 净谷 喵净"]),
        ("滤芯多少钱", "ask_price", ["滤芯价格：299 元", "滤芯价格：199 元", "-滤芯寿命"]),
    ],
    "the best of a shelf": [("最轻的手机", "recommend_product", ["最轻的是澄野 C9 小屏旗舰 5G 手机（172 g）"])],
    "nothing is cheaper": [
        ("空气炸锅多少钱", "ask_price", ["2. 厨小满"]),
        ("第二个", "inform", ["可视窗"]),
        ("便宜点的呢", "ask_price", ["宿舍小功率", "-可视窗"]),
        ("太贵了", "ask_price", ["没有比厨小满 宿舍小功率空气炸锅 2 L更便宜的了"]),
        ("还有别的吗", "ask_stock", ["25 L 风炉", "-宿舍", "-可视窗"]),
    ],
    "does it fit": [
        ("拓光年 T3 入门微单多少钱", "ask_price", ["单机身 ¥3799、"]),
        ("能用TB-35吗", "ask_product", ["可以，拓光年 TB-35 原装锂电池能和拓光年 T3"]),
        ("能用TB-70吗", "ask_product", ["没有写", "TB-35", "-可以，"]),
        ("它几斤", "ask_product", ["重量：343 g"]),
    ],
    "what is asked is only touched": [
        (f"{SHOES}适合胖子穿吗", "ask_product", ["没有写这一点", "适合路面：公路"]),
        ("适合跑马拉松的有吗", "recommend_product", ["页面都没有写这一点", "-1."]),
    ],
    "something like it": [(f"有没有和{A5}类似的", "recommend_product", ["和净谷 A5 除甲醛空气净化器相近", "1. "])],
    "for whom, and without sugar": [
        ("想买月饼", "recommend_product", ["1. 桂下斋 现烤苏式鲜肉月饼", "3. "]),
        ("送长辈哪个好", "recommend_product", ["1. 桂下斋 无蔗糖五仁月饼 长辈装", "-2."]),
        ("有没有无糖的", "ask_product", ["1. 桂下斋 无蔗糖五仁月饼", "糖：无蔗糖", "-2."]),
        ("哪个最便宜", "compare_products", ["就这款最贴您的要求（适合长辈、无糖）", "¥79"]),
        ("再便宜点的", "ask_price", ["没有比桂下斋 无蔗糖五仁月饼 长辈装更便宜的", "不限", "现烤苏式鲜肉月饼"]),
        ("那就第二个吧 怎么买", "ask_policy", ["榨菜鲜肉酥皮月饼", "商城", "6 枚"]),
    ],
    "active noise cancelling within a budget": [
        ("降噪耳机有啥推荐 预算500", "recommend_product", ["R5", "主动降噪 48 dB", "-H8", "-Air"]),
        ("那便宜点的呢", "ask_price", ["没有比岩羚 R5", "不限主动降噪", "Air"]),
    ],
    "what stands in the way": [
        ("有什么手机", "recommend_product", ["3. "]),
        ("给老人用的 三百", "recommend_product", ["没有¥300以内的", "1. 澄野 乐年 2", "-2."]),
    ],
    "of two kinds": [
        ("耳机和手表哪个续航久", "compare_products", ["续航更久的是岩羚 Watch Ultra", "① 雷貉 双模", "-③"]),
    ],
    "which is better, all in all": [
        ("空气炸锅", "ask_product", ["2. 厨小满 可视窗"]),
        (
            "第一个和第二个哪个好",
            "compare_products",
            ["2 L更便宜（¥119）、更轻（2.2 kg）；厨小满 可视窗", "更安静（58 dB）"],
        ),
        ("第二个怎么买", "ask_policy", ["可视窗空气炸锅", "米白 4.5 L", "商城"]),
    ],
    "watts are no money": [
        ("65W以上的充电器", "recommend_product", ["1. 岩羚 65 W 三口氮化镓充电器", "-2.", "-没有"]),
        ("100W以上的充电器有吗", "ask_stock", ["没有100 W以上的"]),
    ],
    "not in this shop": [
        ("有手机壳吗", "ask_stock", ["店里目前没有手机壳", "充电器", "-1."]),
        ("有乐高吗", "ask_stock", ["店里目前没有玩具", "-1."]),
    ],
    "how to have it, before one is chosen": [
        ("有加湿器吗", "ask_stock", ["3. 净谷"]),
        ("怎么买", "ask_policy", ["哪一款", "1. 净谷"]),
    ],
    "the lighter ones": [
        ("有什么手机", "recommend_product", ["3. "]),
        ("有没有轻一点的", "ask_product", ["1. 澄野 C9 小屏", "重量：172 g"]),
    ],
    "no goods where a parcel or another day's price is spoken of": [
        ("鞋子质量太差了，跑鞋穿两天就坏了", "ask_product", ["-1."]),
        ("跑鞋什么时候降价", "ask_price", ["-1."]),
    ],
    "an attribute of none": [
        ("空气炸锅多少钱", "ask_price", ["3. 厨小满"]),
        ("能连蓝牙吗", "ask_product", ["这几款的商品页都没有写"]),
    ],
}


def check(answer: str, holds: list[str]) -> None:
    for piece in holds:
        if piece.startswith("-"):
            assert piece[1:] not in answer, answer
        else:
            assert piece in answer, answer


@pytest.mark.parametrize("turns", CONVERSATIONS.values(), ids=CONVERSATIONS.keys())
async def test_conversation(talk: Talk, turns: list[tuple[str, str, list[str]]]) -> None:
    for text, intent, holds in turns:
        check(await talk.say(text, intent), holds)


async def test_english(talk: Talk) -> None:
    talk.slots["language"] = "en"
    check(await talk.say(f"{A5} or {MIAO}, which one is quieter?", "compare_products"), ["is quieter", "Price："])


async def test_every_answer_names_its_source(talk: Talk) -> None:
    await talk.say(f"{SHOES}多少钱", "ask_price")
    source = {"id": "P081", "title": "林间步 疾风 3 轻量缓震跑鞋", "topic": "product_question", "score": 1.0}
    assert talk.custom["source"] == source
    await talk.say(f"{A5}和{MIAO}哪个好", "compare_products")
    assert talk.custom["source"]["topic"] == "feature_comparison"


async def test_cards_and_buttons(talk: Talk) -> None:
    await talk.say("有加湿器吗", "ask_stock")
    card = talk.custom["cards"][0]
    assert (card["title"], card["image"]) == ("1. 净谷 上加水大雾量加湿器", "/pictures/P029.jpg")
    assert card["text"] == "¥129–¥169，有货"
    numbered = [f"{place}. {button['title']}" for place, button in enumerate(talk.messages[0]["buttons"], 1)]
    assert numbered == [one["title"] for one in talk.custom["cards"]]
    check(await talk.say(card["button"]["payload"]), ["净谷 上加水大雾量加湿器", "¥129–¥169"])


async def test_the_web_chat_draws_cards_and_tables_itself(talk: Talk) -> None:
    talk.sender = "web:ann"
    assert await talk.say("有加湿器吗", "ask_stock") == "您看看是不是这几款："
    assert [card["title"][:2] for card in talk.custom["cards"]] == ["1.", "2.", "3."]
    verdict = await talk.say("第一个和第二个哪个便宜", "compare_products")
    assert verdict == "更便宜的是净谷 上加水大雾量加湿器（¥129）。"
    assert talk.custom["table"]["rows"]


async def test_a_comparison_is_a_table_and_a_picture(talk: Talk) -> None:
    await talk.say(f"{A5}和{MIAO}哪个安静", "compare_products")
    table = talk.custom["table"]
    assert table["columns"] == ["", A5, MIAO]
    assert table["rows"][:2] == [["噪音", "32 至 64 dB", "30 至 61 dB"], ["价格", "¥1299–¥1499", "¥899"]]
    assert len(table["rows"]) <= 8 and "质保" not in [row[0] for row in table["rows"]]  # the same of both
    if name := talk.custom.get("picture"):
        assert (settings.pictures_dir() / name).read_bytes().startswith(b"\x89PNG")


async def test_a_campaign_is_told_the_moment_it_begins(
    talk: Talk, shop: SqlMall, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And found by its price with the next look at the list; nothing is synchronized, for the graph knows no prices."""
    begins = datetime.now(UTC) + timedelta(days=2)
    skus = [sku.id for one in talk.articles if one.name == MIAO for sku in one.skus]
    for sku in skus:
        campaign = NewPrice(sku, 79900, PriceKind.CAMPAIGN, None, begins, begins + timedelta(days=1))
        await office(shop).set_price(OPERATOR, campaign, f"campaign {sku}")
    clock = Clock(begins - timedelta(seconds=1))
    monkeypatch.setattr(malls._mall, "room", SqlMall(shop.database.engine, clock=clock))
    check(await talk.say("空气净化器800以内有吗", "ask_product"), ["-¥799"])
    check(await talk.say(f"{MIAO}多少钱", "ask_price"), ["¥899"])
    clock.advance(seconds=1)
    check(await talk.say(f"{MIAO}多少钱", "ask_price"), ["¥799"])
    monkeypatch.setattr(goods_index, "REFRESH_SECONDS", 0)
    check(await talk.say("空气净化器800以内有吗", "ask_product"), ["¥799"])


# --- the graph is down -----------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("shop")
@pytest.mark.parametrize(
    ("text", "intent", "holds"),
    [
        ("棠溪里丝绒雾面口红的持妆时长是多久", "ask_product", ["持妆时长：8 小时。"]),
        ("有加湿器吗", "ask_stock", ["1. 净谷", "有货"]),
        ("200以内的面霜", "recommend_product", ["面霜", "¥"]),
        (f"{A5}和{MIAO}哪个安静", "compare_products", ["更安静的是净谷 喵净"]),
        ("青岚序白泥清洁面膜有货吗", "ask_stock", ["暂时缺货", "玻尿酸补水面膜"]),
        ("200以内适合敏感肌的面霜", "recommend_product", ["1. 素映 B5 修护霜", "-2."]),
        ("能给拓光年T3入门微单用的电池", "ask_product", ["TB-35", "-TB-70"]),
    ],
)
async def test_without_the_graph_the_mall_answers(
    articles: list[Article], text: str, intent: str, holds: list[str]
) -> None:
    check(await Talk(articles).say(text, intent), holds)


@pytest.mark.usefixtures("shop")
async def test_without_the_graph_a_list_is_narrowed(articles: list[Article]) -> None:
    talk = Talk(articles)
    check(await talk.say("空气炸锅多少钱", "ask_price"), ["1. 厨小满 宿舍小功率", "2. 厨小满 可视窗"])
    check(await talk.say("推荐200以内的", "recommend_product"), ["宿舍小功率", "-¥469"])
    check(await talk.say("第一个噪音大吗"), ["噪音：60 dB"])


async def test_the_graph_comes_back(
    articles: list[Article], shop: object, graph_server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    talk = Talk(articles)
    check(await talk.say("适合敏感肌的面霜", "recommend_product"), ["¥"])
    async with graph_server.graph() as back:
        monkeypatch.setattr(graphs, "_graph", back)
        monkeypatch.setattr(graphs, "_rests_until", 0.0)  # the rest is over
        check(await talk.say("适合敏感肌的面霜", "recommend_product"), ["1. 素映 B5 修护霜", "-2."])


# --- parts -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "budget", "rest"),
    [
        ("200以内适合敏感肌的面霜", (None, 200), "适合敏感肌的面霜"),
        ("两百块以下的", (None, 200), "的"),
        ("两百五以内", (None, 250), ""),
        ("100到200的口红", (100, 200), "的口红"),
        ("一两百的", (100, 200), "的"),
        ("一千左右的耳机", (750, 1250), "的耳机"),
        ("under 300", (None, 300), ""),
        ("不超过500", (None, 500), ""),
        ("预算两千买个平板", (None, 2000), "买个平板"),
        ("1.5k左右", (1125, 1875), ""),
        ("300元以上", (300, None), ""),
        ("自学吉他 五百块", (None, 500), "自学吉他"),
        *(
            (text, None, text)
            for text in ("40码以内", "3公里以上", "512G以内", "三十到四十码", "二十分钟内", "第二个多少钱")
        ),
    ],
)
def test_budget(text: str, budget: tuple[int | None, int | None] | None, rest: str) -> None:
    found, left = read_budget(text)
    expected = budget and Budget(*(yuan and yuan * 100 for yuan in budget))
    assert (found, left.strip()) == (expected, rest)


@pytest.mark.parametrize(
    ("values", "lower", "best"),
    [
        (["8 小时", "约 400 分钟"], False, 0),
        (["1.29 kg", "998 g"], True, 1),
        (["30 至 61 dB", "32 至 64 dB"], True, 0),
        (["28 至 46 dB", "32 dB"], True, None),  # quieter at its best, louder at its worst
        (["洗 48 dB、甩 68 dB", "洗 47 dB、甩 69 dB"], True, None),
        (["7000 mAh", "70 Wh"], False, None),
        (["8 小时", "8 小时"], False, None),
        (["8 小时", "看使用情况"], False, None),
    ],
)
def test_ahead(values: list[str], lower: bool, best: int | None) -> None:
    assert ahead([quantities(value) for value in values], lower) == best


async def test_knowledge_base(graph: Graph) -> None:
    base = GraphKnowledgeBase(graph, await (await malls.get_goods()).listings())
    wanted = [{"name": "category", "value": "面霜"}, {"name": "word", "value": "敏感肌"}]
    (cream,) = await base.get_objects("product", wanted)
    assert (cream["name"], cream["in_stock"]) == ("素映 B5 修护霜 晒后泛红", True)
    dearer = [{"name": "min_cents", "value": cream["price_max_cents"] + 1}]
    assert await base.get_objects("product", [*wanted, *dearer]) == []
    assert await base.get_object("product", cream["id"]) == cream == await base.get_object("product", cream["name"])
    assert await base.get_object("product", "没有这个") is None
    assert {"id": "面霜", "name": "面霜"} in await base.get_objects("category", [], limit=1000)
    assert "brand" in await base.get_attributes_of_object("product")


def test_the_same_table_is_drawn_once(house: object) -> None:
    table = Table(["", "甲", "乙"], [["重量", "1 kg", "2 kg"]])
    assert pictures.draw(table) == pictures.draw(table)
