"""What a message asks of goods in the light of what was talked of, and which goods of a shelf are so: tables."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bot.actions.product_search import Budget, Measure, Wish, choose, continued, read_measure
from bot.actions.product_talk import Heard, Talk, hear, seeking, uses
from bot.actions.product_words import FILE, qualities_in, read
from bot.actions.shop_product import ShopProduct
from bot.actions.turn import Turn
from mall_adapter.values import Product, Sku


def turn(text: str, intent: str = "ask_product", **entities: str) -> Turn:
    found = [
        {
            "entity": name,
            "value": value,
            "start": max(text.find(value), 0),
            "end": max(text.find(value), 0) + len(value),
        }
        for name, value in entities.items()
    ]
    return Turn._read({"text": text, "intent": {"name": intent, "confidence": 0.9}, "entities": found}, {})


def a_product(name: str, yuan: int, **attributes: str) -> ShopProduct:
    sku = Sku(name, "标准", yuan * 100, 9)
    return ShopProduct(Product(name, name, "牌", "月饼", "厂", attributes, (sku,)), attributes)


def yuan(low: int | None, high: int | None) -> Budget:
    return Budget(None if low is None else low * 100, None if high is None else high * 100)


CAKES = [a_product("鲜肉", 48), a_product("榨菜", 52), a_product("五仁 长辈装", 79)]
SHOWN = Talk(CAKES, None, [one.id for one in CAKES], Wish(("月饼",), budget=yuan(None, 100)), fresh=True)
NOTHING = Talk()

# what was talked of, what is said, and of what is heard: the wish, the move, what else is so
HEARD: list[tuple[Talk, str, dict[str, str], Wish, str, set[str]]] = [
    (NOTHING, "月饼有啥推荐 预算五百", {"category": "月饼"}, Wish(("月饼",), budget=yuan(None, 500)), "", {"narrows"}),
    (NOTHING, "给老人用的", {}, Wish(words=("适合长辈",)), "", {"narrows"}),
    (
        SHOWN,
        "送长辈哪个好",
        {},
        Wish(("月饼",), budget=yuan(None, 100), words=("适合长辈", "适合送礼")),
        "",
        {"narrows"},
    ),
    (SHOWN, "有没有无糖的", {}, Wish(("月饼",), budget=yuan(None, 100), words=("无糖",)), "", {"narrows"}),
    (SHOWN, "给老人吃的 三百", {}, Wish(("月饼",), budget=yuan(None, 300), words=("适合长辈",)), "", {"narrows"}),
    (SHOWN, "再便宜点的", {}, Wish(("月饼",), budget=Budget(None, 4799)), "cheaper", set()),
    (SHOWN, "贵一点的有吗", {}, Wish(("月饼",), budget=Budget(7901, None)), "dearer", set()),
    (SHOWN, "还有别的吗", {}, Wish(("月饼",), budget=yuan(None, 100)), "others", set()),
    (SHOWN, "粽子有吗", {"category": "粽子"}, Wish(("粽子",)), "", set()),
    (SHOWN, "两百以内的月饼", {"category": "月饼"}, Wish(("月饼",), budget=yuan(None, 200)), "", {"narrows"}),
    (SHOWN, "月饼都有什么", {"category": "月饼"}, Wish(("月饼",)), "", set()),
    (SHOWN, "那就第二个吧 怎么买", {}, Wish(("月饼",), budget=yuan(None, 100)), "", {"orders"}),
    (SHOWN, "就它了", {}, Wish(("月饼",), budget=yuan(None, 100)), "", {"orders"}),
    (SHOWN, "什么时候降价", {}, Wish(("月饼",), budget=yuan(None, 100)), "", {"not for sale"}),
    (SHOWN, "会便宜吗", {}, Wish(("月饼",), budget=yuan(None, 100)), "", {"not for sale"}),
    (SHOWN, "月饼什么时候发货", {"category": "月饼"}, Wish(("月饼",)), "", {"not for sale"}),
    (NOTHING, "我买的那个鞋怎么洗", {}, Wish(), "", {"bought"}),
    (NOTHING, "65W以上的充电器", {"category": "充电器"}, Wish(("充电器",), measure=Measure("w", 65, None)), "", set()),
    (NOTHING, "安静一点的空调", {"category": "空调"}, Wish(("空调",)), "", {"best in noise"}),
]


def signs(heard: Heard) -> set[str]:
    found = {name for name in ("narrows", "orders", "bought") if getattr(heard, name)}
    found |= set() if heard.for_sale else {"not for sale"}
    return found | ({f"best in {heard.best_in.name}"} if heard.best_in else set())


@pytest.mark.parametrize(("talk", "text", "entities", "wish", "move", "so"), HEARD, ids=[one[1] for one in HEARD])
def test_what_is_heard(talk: Talk, text: str, entities: dict[str, str], wish: Wish, move: str, so: set[str]) -> None:
    heard = hear(turn(text, "recommend_product", **entities), talk)
    stored = heard.wish.stored()
    assert Wish.load(stored).stored() == stored == wish.stored()
    assert heard.move == move
    assert so <= signs(heard)
    for sign in ("orders", "bought", "not for sale"):
        assert (sign in signs(heard)) == (sign in so)


# how it is said, whether goods are sought, and whether the use of a thing is asked
SOUGHT: list[tuple[str, str, dict[str, str], str, bool]] = [
    ("加湿器", "inform", {"category": "加湿器"}, "clearly", False),
    ("有加湿器吗", "ask_stock", {"category": "加湿器"}, "clearly", False),
    ("手机 2000以内", "inform", {"category": "手机"}, "clearly", False),
    ("哪款平板能录屏", "ask_product", {"category": "平板"}, "clearly", True),
    ("推荐个能连手机的键盘", "ask_product", {"category": "键盘"}, "clearly", True),
    ("想给老人换个手机", "ask_product", {"category": "手机"}, "clearly", False),
    ("看看键盘", "ask_product", {"category": "键盘"}, "clearly", False),
    ("空气炸锅好用吗", "ask_product", {"category": "空气炸锅"}, "maybe", False),
    ("最安静的洗衣机", "recommend_product", {"category": "洗衣机"}, "maybe", False),
    ("看看键盘的灯怎么调亮", "ask_product", {"category": "键盘"}, "maybe", True),
    ("平板的分屏在哪里设置", "ask_product", {"category": "平板"}, "no", True),
    ("我家洗衣机响得厉害是咋回事", "ask_product", {"category": "洗衣机"}, "no", True),
    ("电饭煲的蒸笼是另外买的吗", "ask_product", {"category": "电饭煲"}, "no", True),
    ("相机要装驱动才能导照片吗", "ask_product", {"category": "相机"}, "no", True),
    ("羽绒服会不会钻绒啊", "ask_product", {"category": "羽绒服"}, "no", False),
]


@pytest.mark.parametrize(("text", "intent", "entities", "so", "use"), SOUGHT, ids=[one[0] for one in SOUGHT])
def test_whether_goods_are_sought(text: str, intent: str, entities: dict[str, str], so: str, use: bool) -> None:
    said = turn(text, intent, **entities)
    assert (seeking(said), uses(said)) == (so, use)


def test_a_question_about_a_rule_says_nothing_of_goods() -> None:
    heard = hear(turn("老人能用会员卡吗", "ask_policy"), SHOWN)
    assert (heard.narrows, heard.wish.words) == (False, ())


@pytest.mark.parametrize(
    ("text", "qualities"),
    [
        ("主动降噪的耳机", ["主动降噪"]),
        ("降噪耳机有啥推荐", ["主动降噪"]),
        ("通话降噪好不好", ["通话降噪"]),
        ("不含糖的有吗", ["无糖"]),
        ("送长辈哪个好", ["适合长辈", "适合送礼"]),
        ("防水吗", []),
    ],
)
def test_qualities(text: str, qualities: list[str]) -> None:
    assert qualities_in(text)[0] == qualities


@pytest.mark.parametrize(
    ("text", "measure"),
    [
        ("65W以上的充电器", Measure("w", 65, None)),
        ("至少5000毫安的", Measure("mah", 5000, None)),
        ("3公斤以内", Measure("kg", None, 3)),
        ("65w的充电器", None),
        ("三百以上", None),
    ],
)
def test_measures(text: str, measure: Measure | None) -> None:
    assert read_measure(text)[0] == measure


def page(name: str, yuan: int, in_stock: bool = True, **attributes: str) -> dict[str, Any]:
    prices = {"price_min_cents": yuan * 100, "price_max_cents": yuan * 100}
    return {"id": name, "name": name, "attributes": attributes, "in_stock": in_stock, **prices}


EARPHONES = [
    page("Air", 199, 降噪="通话降噪", 防水="否"),
    page("Run", 369, 降噪="通话降噪", 防水="IP55 防水"),
    page("R5", 499, 降噪="主动降噪 48 dB", 充电="15 W"),
    page("H8", 1099, 降噪="主动降噪 45 dB", 充电="65 W"),
]

# the wish, which are chosen, and what stands in the way
CHOICES: dict[str, tuple[Wish, list[str], list[Any]]] = {
    "all": (Wish(), ["Air", "Run", "R5", "H8"], []),
    "active is not for calls": (Wish(words=("主动降噪",)), ["R5", "H8"], []),
    "and a price": (Wish(words=("主动降噪",), budget=yuan(None, 500)), ["R5"], []),
    "nothing for so little": (Wish(budget=yuan(None, 50)), ["Air"], [yuan(None, 50)]),
    "nothing for a little less": (Wish(budget=yuan(None, 190)), ["Air", "Run"], [yuan(None, 190)]),
    "nothing so dear": (Wish(budget=yuan(2000, None)), ["H8", "R5", "Run", "Air"], [yuan(2000, None)]),
    "each way in turn": (
        Wish(words=("主动降噪",), budget=yuan(None, 300)),
        ["R5", "Air"],
        [yuan(None, 300), "主动降噪"],
    ),
    "one word is in the way": (Wish(words=("主动降噪", "无糖")), ["R5", "H8"], ["无糖"]),
    "a hint that no page knows": (Wish(words=("适合长辈",), budget=yuan(None, 200)), ["Air"], []),
    "an express no": (Wish(text="防水的"), ["Run"], []),
    "a firm price": (Wish(words=("主动降噪",), budget=yuan(None, 300)), ["Air"], ["主动降噪"]),
    "a measure": (Wish(measure=Measure("w", 65, None)), ["H8"], []),
}


@pytest.mark.parametrize(("wish", "ids", "missing"), CHOICES.values(), ids=CHOICES.keys())
def test_choices(request: pytest.FixtureRequest, wish: Wish, ids: list[str], missing: list[Any]) -> None:
    found = choose(EARPHONES, wish, 4, firm="firm" in request.node.name)
    assert list(found.ids) == ids
    assert list(found.missing) == missing
    assert not {*found.wish.words, found.wish.budget} & set(missing)  # what cannot be had is not wished any more


def test_a_wish_grows() -> None:
    wish = continued(None, Wish(("月饼",), budget=yuan(None, 200)))
    wish = continued(wish, Wish(words=("无糖",)))
    wish = continued(wish, Wish(budget=yuan(None, 100)))
    assert wish == Wish(("月饼",), budget=yuan(None, 100), words=("无糖",))
    assert continued(wish, Wish(("粽子",))) == Wish(("粽子",))


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("better: less", "better: smaller"),
        ("written: [主动降噪]", "page: [主动降噪]"),
        ("(?<!通话)(?<!麦克风)", "(?<!通话"),
    ],
)
def test_words_that_are_not_well_made_are_refused(tmp_path: Path, right: str, wrong: str) -> None:
    path = tmp_path / "goods.yml"
    path.write_text(FILE.read_text("utf-8").replace(right, wrong), "utf-8")
    with pytest.raises(ValueError, match=r"goods\.yml"):
        read(path)
