"""Order numbers, phone tails and quantities in the wild, and what only looks like one."""

import pytest

from bot.components.entities import extract

ORDER = [
    ("ORD12345", "ORD12345", "ORD12345"),
    ("ord12345", "ORD12345", "ord12345"),
    ("Ord 12345", "ORD12345", "Ord 12345"),
    ("ord-123 45", "ORD12345", "ord-123 45"),
    ("ORD_12345", "ORD12345", "ORD_12345"),
    ("ＯＲＤ－１２３４５", "ORD12345", "ＯＲＤ－１２３４５"),
    ("\u200bORD\u200b12345\u200e", "ORD12345", "ORD\u200b12345"),
    ("o r d 1 2 3 4 5", "ORD12345", "o r d 1 2 3 4 5"),
    ("我的ORD778899什么时候到", "ORD778899", "ORD778899"),
    ("ORD123456789012", "ORD123456789012", "ORD123456789012"),
    ("訂單號是 １２３４５", "ORD12345", "１２３４５"),
    ("订单编号：12345", "ORD12345", "12345"),
    ("单号12345，谢谢", "ORD12345", "12345"),
    ("我的订单12345到哪了", "ORD12345", "12345"),
    ("12345这个订单想退", "ORD12345", "12345"),
    ("12345", "ORD12345", "12345"),
    ("是12345。", "ORD12345", "12345"),
    ("您好，我的订单号是 12345 谢谢", "ORD12345", "12345"),
]

TAIL = [
    ("5678", "5678", "5678"),
    ("是5678", "5678", "5678"),
    ("５６７８", "5678", "５６７８"),
    ("5 6 7 8", "5678", "5 6 7 8"),
    ("五六七八", "5678", "五六七八"),
    ("尾号5678", "5678", "5678"),
    ("尾号是一一一一", "1111", "一一一一"),
    ("手机后四位是五六七八", "5678", "五六七八"),
    ("手機末4位：5678", "5678", "5678"),
    ("手机号5678的那个", "5678", "5678"),
    ("5678结尾", "5678", "5678"),
    ("电话5678", "5678", "5678"),
    ("13812345678", "5678", "13812345678"),
    ("138 1234 5678", "5678", "138 1234 5678"),
    ("+86-138-1234-5678", "5678", "+86-138-1234-5678"),
    ("138****5678", "5678", "138****5678"),
    ("手机138xxxx5678", "5678", "138xxxx5678"),
    ("订单号13812345678", "5678", "13812345678"),
    ("幺三八零", "1380", "幺三八零"),
]

QUANTITY = [
    ("两件", 2, "两件"),
    ("我要退3个", 3, "3个"),
    ("十二双都退", 12, "十二双"),
    ("二十个", 20, "二十个"),
    ("退兩件", 2, "兩件"),
    ("12 盒月饼", 12, "12 盒"),
]

NEITHER = [
    "",
    "   ",
    "\u200b",
    "😂😂",
    "2023款有吗",
    "2023年买的",
    "iPhone 15",
    "1000块",
    "￥1000",
    "1000元以内的手机",
    "手机5000元以下",
    "手机1000万像素",
    "618",
    "11.11",
    "2023-11-11",
    "1234.56",
    "1,000",
    "123",
    "ORD1234",
    "ORD1234567890123",
    "record12345",
    "快递单号1234567890",
    "运单号123456789",
    "3000毫安的充电宝",
    "三个工作日",
    "一个月了",
    "等了两个小时",
    "我想问一个问题",
    "差一个好评",
    "七八个",
    "三百五十个",
    "0个",
]


@pytest.mark.parametrize(
    ("text", "entity", "value", "words"),
    [(text, "order_id", value, words) for text, value, words in ORDER]
    + [(text, "phone_tail", value, words) for text, value, words in TAIL]
    + [(text, "quantity", value, words) for text, value, words in QUANTITY],
)
def test_one_find(text: str, entity: str, value: str | int, words: str) -> None:
    assert [(find.entity, find.value, text[find.start : find.end]) for find in extract(text)] == [
        (entity, value, words)
    ]


@pytest.mark.parametrize("text", NEITHER)
def test_no_find(text: str) -> None:
    assert extract(text) == []


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("ORD12345 5678", ["ORD12345", "5678"]),
        ("12345，5678", ["ORD12345", "5678"]),
        ("5678 12345", ["5678", "ORD12345"]),
        ("退货 ORD12345 两件 尾号 5678", ["ORD12345", 2, "5678"]),
        ("订单ORD12345手机13812345678谢谢", ["ORD12345", "5678"]),
        ("ORD12345和ORD12346", ["ORD12345", "ORD12346"]),
        ("5678 1234", []),  # which of the two?
    ],
)
def test_several_finds(text: str, values: list[str | int]) -> None:
    assert [find.value for find in extract(text)] == values


@pytest.mark.parametrize(
    ("text", "entity", "value"),
    [
        ("第3个", "ordinal", 3),
        ("第二款多少钱", "ordinal", 2),
        ("最后一个吧", "ordinal", -1),
        ("the second one", "ordinal", 2),
        ("第一次在这买", "ordinal", None),
        ("第三十天了", "ordinal", None),
        ("刚才那款有红色吗", "mention", "last"),
        ("它防水吗", "mention", "last"),
        ("那单退了", "mention", "last"),
        ("其它的呢", "mention", None),
        ("这个月的账单", "mention", None),
    ],
)
def test_what_points_at_something(text: str, entity: str, value: str | int | None) -> None:
    assert next((found.value for found in extract(text) if found.entity == entity), None) == value


@pytest.mark.parametrize("piece", ["好的", "ord 1 ", "1 ", "尾号5678", "13", "138*", "五 ", "订单号是", "(-"])
def test_ten_thousand_characters_are_read_in_one_go(piece: str) -> None:
    assert isinstance(extract((piece * 10_000)[:10_000] + "x"), list)
