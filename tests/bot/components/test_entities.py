"""Values in the wild, and what only looks like one."""

import pytest

from bot.components.entities import extract

PHONE = "13812345678"
TAX = "91310115MA1K35X31M"

# text → entity → values; whatever is not named must not be found
VALUES: dict[str, dict[str, list[str | int]]] = {
    # orders
    "单号ORD12345你看看": {"order_id": ["ORD12345"]},
    "ORD123456789012": {"order_id": ["ORD123456789012"]},
    "订单ORD 1234 5678 9012": {"order_id": ["ORD123456789012"]},
    "ORD1234 5678 9012 2个坏了": {"order_id": ["ORD123456789012"], "quantity": [2]},
    "ORD 260311 123456 到哪了": {"order_id": ["ORD260311123456"]},
    "ｏｒｄ１２３４５６７８９０": {"order_id": ["ORD1234567890"]},
    "ORD13812345678 什么时候发": {"order_id": ["ORD13812345678"]},
    "退ORD123456789012和ORD1234567890": {"order_id": ["ORD123456789012", "ORD1234567890"]},
    "ORD12345 ORD12346 都退": {"order_id": ["ORD12345", "ORD12346"]},
    "不是ORD12345，是ORD12346": {"order_id": ["ORD12345", "ORD12346"]},
    "ORD123456789012 5678 想退": {"order_id": ["ORD123456789012"], "phone_tail": ["5678"]},
    "ORD1234 5678 9012 5678 退货": {"order_id": ["ORD123456789012"], "phone_tail": ["5678"]},
    "ORD123456789012尾号5678": {"order_id": ["ORD123456789012"], "phone_tail": ["5678"]},
    "ORD12345 5678多久发货": {"order_id": ["ORD12345"], "phone_tail": ["5678"]},
    "ORD12345 1200多块": {"order_id": ["ORD12345"]},
    "ORD123456789012，税号91310115MA1K35X31M": {"order_id": ["ORD123456789012"], "tax_number": [TAX]},
    "91310115MA1K35X31M ORD123456789012": {"tax_number": [TAX], "order_id": ["ORD123456789012"]},
    "税号ORD123456789012": {"order_id": ["ORD123456789012"]},
    "ORD123456789012345": {},
    "ORD 5678": {},
    "订单号123456789012345": {},
    "单号91310115MA1K35X31M": {"tax_number": [TAX]},
    "订单号91310115MWTPK35X31，5678ORD12345": {
        "tax_number": ["91310115MWTPK35X31"],
        "phone_tail": ["5678"],
        "order_id": ["ORD12345"],
    },
    "订单号 1234 5678 9012": {"order_id": ["ORD123456789012"]},
    "订单号12345 5678 退一下": {"order_id": ["ORD12345"], "phone_tail": ["5678"]},
    "ORD550127这个退货": {"order_id": ["ORD550127"]},
    "where is my order ORD123456789012?": {"order_id": ["ORD123456789012"]},
    "my order number is 1234567890, please check": {"order_id": ["ORD1234567890"]},
    "order12345678901 please": {"order_id": ["ORD12345678901"]},
    "I want to order 20000 pieces": {},
    # phones
    PHONE: {"phone": [PHONE], "phone_tail": ["5678"]},
    "138 1234 5678": {"phone": [PHONE], "phone_tail": ["5678"]},
    "+86-138-1234-5678": {"phone": [PHONE], "phone_tail": ["5678"]},
    "(+86)13812345678": {"phone": [PHONE], "phone_tail": ["5678"]},
    "0086 13812345678": {"phone": [PHONE], "phone_tail": ["5678"]},
    "1 3 8 1 2 3 4 5 6 7 8": {"phone": [PHONE], "phone_tail": ["5678"]},
    "1381 2345 678": {"phone": [PHONE], "phone_tail": ["5678"]},
    "订单号13812345678": {"phone": [PHONE], "phone_tail": ["5678"]},
    "我手机13812345678绑定": {"phone": [PHONE], "phone_tail": ["5678"]},
    "order 13812345678": {"phone": [PHONE], "phone_tail": ["5678"]},
    "新号13812345678，下单的尾号1111": {"phone": [PHONE], "phone_tail": ["1111"]},
    "后四位是1111，新电话 138 1234 5678": {"phone_tail": ["1111"], "phone": [PHONE]},
    "13812345678 和 13987654321": {"phone": [PHONE, "13987654321"], "phone_tail": ["5678", "4321"]},
    "订单ORD12345手机13812345678谢谢": {"order_id": ["ORD12345"], "phone": [PHONE], "phone_tail": ["5678"]},
    "ORD123456789012 13812345678": {"order_id": ["ORD123456789012"], "phone": [PHONE], "phone_tail": ["5678"]},
    "13812345678 两件": {"phone": [PHONE], "phone_tail": ["5678"], "quantity": [2]},
    "138****5678 想退": {"phone_tail": ["5678"]},
    "预留的是****5678": {"phone_tail": ["5678"]},
    "138****5678 尾号1111": {"phone_tail": ["1111"]},
    "幺三八一二三四五六七八": {"phone": [PHONE], "phone_tail": ["5678"]},
    "021-12345678": {},
    "张三 13812345678 上海市浦东新区张江路 12 号 1202 室": {"phone": [PHONE], "phone_tail": ["5678"]},
    # tails
    "5678😀": {"phone_tail": ["5678"]},
    "系5678": {"phone_tail": ["5678"]},
    "係５６７８呀": {"phone_tail": ["5678"]},
    "56-78": {"phone_tail": ["5678"]},
    "5 6 7 8哈": {"phone_tail": ["5678"]},
    "五六 七八": {"phone_tail": ["5678"]},
    "伍陆柒捌": {"phone_tail": ["5678"]},
    "手機尾數係 56 78 喎": {"phone_tail": ["5678"]},
    "后四位是5678来着": {"phone_tail": ["5678"]},
    "我手机后四位五六七八啊帮我查一下": {"phone_tail": ["5678"]},
    "单号是一二三四五": {"order_id": ["ORD12345"]},
    "订单幺二三四五六七八九零尾号五六七八": {"order_id": ["ORD1234567890"], "phone_tail": ["5678"]},
    "一二三四五": {"order_id": ["ORD12345"]},
    "单号 一 二 三 四 五": {"order_id": ["ORD12345"]},
    "56 78": {"phone_tail": ["5678"]},
    "尾号是5678哈": {"phone_tail": ["5678"]},
    "后面四个是五六七八": {"phone_tail": ["5678"]},
    "最后四位五六七八": {"phone_tail": ["5678"]},
    "五六七八": {"phone_tail": ["5678"]},
    "后四位 5 6 7 8": {"phone_tail": ["5678"]},
    "5678！！": {"phone_tail": ["5678"]},
    "it's 5678, thanks": {"phone_tail": ["5678"]},
    "尾号不是1234，是5678": {"phone_tail": ["5678"]},
    "尾号写错了，应该是5678": {"phone_tail": ["5678"]},
    "手机后头是4417": {"phone_tail": ["4417"]},
    "后面四个数 4417": {"phone_tail": ["4417"]},
    "单号我不会找 手机后面4417": {"phone_tail": ["4417"]},
    "打反了 4417": {"phone_tail": ["4417"]},
    "写反了，应该是4417": {"phone_tail": ["4417"]},
    "记错了，是12345": {"order_id": ["ORD12345"]},
    "价格写错了 1299": {"four_digits": ["1299"]},
    "手机后面板坏了 花了1299": {},
    "尾号1299买的时候填的": {"phone_tail": ["1299"]},
    "the last four digits are 5678, i want a refund": {"phone_tail": ["5678"]},
    "my phone ends in 5678": {"phone_tail": ["5678"]},
    "手机号5678的那个": {"phone_tail": ["5678"]},
    "尾号5678那单": {"phone_tail": ["5678"]},
    "1234尾号5678": {"phone_tail": ["5678"]},
    "尾号四个8": {"phone_tail": ["8888"]},
    "order ORD1234567890, phone 5678, wrong size": {"order_id": ["ORD1234567890"], "phone_tail": ["5678"]},
    "phone 5000 yuan": {},
    "5678 1234": {},
    "￥1000": {},
    # four digits
    "5229，颜色不喜欢": {"four_digits": ["5229"]},
    "5229，2个都退": {"four_digits": ["5229"], "quantity": [2]},
    "颜色不喜欢 5229": {"four_digits": ["5229"]},
    "5229个人发票": {"four_digits": ["5229"]},
    "5229安排一下": {"four_digits": ["5229"]},
    "手机号是我妈的，价格是1299": {},
    "我记得是5229吧不确定": {"four_digits": ["5229"]},
    "不是6621 是6612": {"four_digits": ["6612"]},
    "五二二九，颜色不喜欢": {"four_digits": ["5229"]},
    "5229 i don't like the colour": {"four_digits": ["5229"]},
    "尾号5678，还有5229颜色不对": {"phone_tail": ["5678"], "four_digits": ["5229"]},
    "2026年买的": {},
    "2026春季新款": {},
    "2026-03-11买的": {},
    "2026/3/11 下的单": {},
    "1299元那个": {},
    "¥1299的鞋": {},
    "花了1299买的": {},
    "3000块以内": {},
    "12:30前能到吗": {},
    "1000ml的水杯": {},
    "1000 ml bottle": {},
    "满1000减100": {},
    "1000能量换什么": {},
    "型号A1234的有吗": {},
    "上海市浦东新区张江路 12 号": {},
    "上海市浦东新区张江路1234号5号楼1202室": {},
    "张江路 1234 弄": {},
    "您的验证码是9527": {},
    "取件码 88-1-2034": {},
    "i bought it in 2024": {},
    "快递单号5678怎么还没到": {"waybill": ["快递单号5678"]},
    # tickets
    "rt12356": {"ticket_id": ["RT12356"]},
    "工单RT 12356": {"ticket_id": ["RT12356"]},
    "工单RT260311123456处理得怎么样": {"ticket_id": ["RT260311123456"]},
    "ＲＴ 260311 123456": {"ticket_id": ["RT260311123456"]},
    "工单号12356": {"ticket_id": ["RT12356"]},
    "RT1234": {},
    "RT123456789012345": {},
    "撤销RT12356，订单ORD12345": {"ticket_id": ["RT12356"], "order_id": ["ORD12345"]},
    "close ticket RT50021 please": {"ticket_id": ["RT50021"]},
    "start12345 over": {},
    # tax numbers
    TAX: {"tax_number": [TAX]},
    "91834000ETTFDLBG86 13812345678": {
        "tax_number": ["91834000ETTFDLBG86"],
        "phone": [PHONE],
        "phone_tail": ["5678"],
    },
    "ORD03701 91118238C70RT2UAA8": {"order_id": ["ORD03701"], "tax_number": ["91118238C70RT2UAA8"]},
    "云上科技有限公司/91310115ma1k35x31m": {"tax_number": [TAX], "invoice_title": ["云上科技有限公司"]},
    "我们公司叫微软（中国）有限公司": {"invoice_title": ["我们公司叫微软(中国)有限公司"]},
    "5678 臺北明日律師事務所": {"phone_tail": ["5678"], "invoice_title": ["台北明日律师事务所"]},
    "我们公司要开票": {},
    "什么是有限公司": {},
    "税号 9131 0115 MA1K 35X3 1M": {"tax_number": [TAX]},
    "9131-0115-MA1K-35X3-1M": {"tax_number": [TAX]},
    "91310115 MA1K35X31M please": {"tax_number": [TAX]},
    "税号：91 310115 MA1K35X31 M": {"tax_number": [TAX]},
    "91310115MA1K35X31M 5678": {"tax_number": [TAX], "phone_tail": ["5678"]},
    "税号91310115MA1K35X31M 尾号5678": {"tax_number": [TAX], "phone_tail": ["5678"]},
    "税号91310115MA1K35X31M 电话13812345678": {"tax_number": [TAX], "phone": [PHONE], "phone_tail": ["5678"]},
    "310115123456789": {"tax_number": ["310115123456789"]},
    "31011519900101123412": {"tax_number": ["31011519900101123412"]},
    "税号12345678901": {"tax_number": ["12345678901"]},
    "税号写错了，应该是91310115MA1K35X31": {"tax_number": ["91310115MA1K35X31"]},
    "统一社会信用代码91310115MA1K35X31M9": {"tax_number": ["91310115MA1K35X31M9"]},
    "tax number 91310115MA1K35X31M is mine": {"tax_number": [TAX]},
    "tax number information please": {},
    "会员卡6222021234567890123怎么用": {},
    "13812345678 5678": {"phone": [PHONE], "phone_tail": ["5678"]},
    "13812345678 1234567": {"phone": [PHONE], "phone_tail": ["5678"], "order_id": ["ORD1234567"]},
    "138 1234 5678 1111": {"phone": [PHONE], "phone_tail": ["5678"]},
    "SF1234567890123": {"waybill": ["sf1234567890123"]},
    "顺丰 SF1234567890123到哪了": {"waybill": ["顺丰 sf1234567890123"]},
    "顺丰1234567890123": {"waybill": ["顺丰1234567890123"]},
    "运单773012345678901": {"waybill": ["运单773012345678901"]},
    "快递单号是 SF 1234 5678 90123": {"waybill": ["快递单号是 sf 1234 5678 90123"]},
    "物流单号：JD0123456789012": {"waybill": ["物流单号:jd0123456789012"]},
    "tracking number 123456789012345": {"waybill": ["tracking number 123456789012345"]},
    "我的快递773012345678901到哪了": {"waybill": ["快递773012345678901"]},
    "运单号YT1234567890123，订单ORD12345": {"waybill": ["运单号yt1234567890123"], "order_id": ["ORD12345"]},
    "快递单号1234567890123 尾号5678": {"waybill": ["快递单号1234567890123"], "phone_tail": ["5678"]},
    "https://shop.example.com/p/123456789012345": {},
    "2026-03-11 1234567": {},
    "iPhone15ProMax256GB": {},
    # e-mail
    "li@example.com": {"email": ["li@example.com"]},
    "发到Zhang_San.1@mail.example.com.cn谢谢": {"email": ["zhang_san.1@mail.example.com.cn"]},
    "邮箱13812345678@163.com": {"email": ["13812345678@163.com"]},
    "邮箱 5678@qq.com 手机13812345678": {"email": ["5678@qq.com"], "phone": [PHONE], "phone_tail": ["5678"]},
    "123456789012345@qq.com": {"email": ["123456789012345@qq.com"]},
    "li ＠ example．com": {"email": ["li@example.com"]},
    "@客服 在吗": {},
    # quantities and places
    "第2单": {"ordinal": [2]},
    "第二双": {"ordinal": [2]},
    "最上面那个": {"ordinal": [1]},
    "上面那个": {"ordinal": [1], "mention": ["last"]},
    "上面说的那个": {"mention": ["last"]},
    "下面那个": {"ordinal": [-1]},
    "最下面那个": {"ordinal": [-1]},
    "最后一个": {"ordinal": [-1]},
    "倒数第一个": {"ordinal": [-1]},
    "倒数第二个": {"ordinal": [-2]},
    "第一个和第三个": {"ordinal": [1, 3]},
    "1": {},
    "2": {},
    "裙子上面有污渍": {},
    "last week i bought 2个": {"quantity": [2]},
    "第二双退2件": {"ordinal": [2], "quantity": [2]},
    # what was talked of
    "那个退货": {"mention": ["last"]},
    "刚才那个": {"mention": ["last"]},
    "这个": {"mention": ["last"]},
    "那单": {"mention": ["last"]},
    "这单": {"mention": ["last"]},
    "刚提交的": {"mention": ["last"]},
    "刚提交的那个取消": {"mention": ["last"]},
    "刚刚申请的退款撤掉": {"mention": ["last"]},
    "刚才的": {"mention": ["last"]},
    "昨天那单取消": {"mention": ["last"]},
    "这个月饼": {"mention": ["last"]},
    "这个月": {},
    "那个时候": {},
    "那个，我想退货": {},
    "就这样": {},
    "刚才的地址写错了": {},
    "其它的": {},
    # sizes
    "43码": {"size": ["43"]},
    "43 码有吗": {"size": ["43"]},
    "四十三码": {"size": ["43"]},
    "三八码": {"size": ["38"]},
    "42码半": {"size": ["42.5"]},
    "38.5码": {"size": ["38.5"]},
    "41、42码哪个合适": {"size": ["41", "42"]},
    "XL": {"size": ["XL"]},
    "换XXL码": {"size": ["XXL"]},
    "拍成 L 了要 XL": {"size": ["L", "XL"]},
    "大一码": {"size": ["larger"]},
    "想换大一号的": {"size": ["larger"]},
    "小一号": {"size": ["smaller"]},
    "换小一码": {"size": ["smaller"]},
    "尺码是43": {"size": ["43"]},
    "do you have size 39": {"size": ["39"]},
    "one size up please": {"size": ["larger"]},
    "a smaller size": {"size": ["smaller"]},
    "那双还有41码吗": {"mention": ["last"], "size": ["41"]},
    "退货 ORD1234567890 尾号5678 换43码": {
        "order_id": ["ORD1234567890"],
        "phone_tail": ["5678"],
        "size": ["43"],
    },
    "要大一号，不是小一号": {"size": ["larger"]},
    "买大了一码": {},
    "这鞋偏大一码": {},
    "i'm here, it's l8": {},
    "H&M": {},
    "iPhone XS Max": {},
    "1.5L的水壶": {},
    "验证码1234": {},
    "二维码": {},
}

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
    ("138****5678", "5678", "138****5678"),
    ("手机138xxxx5678", "5678", "138xxxx5678"),
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


@pytest.mark.parametrize(("text", "values"), VALUES.items())
def test_all_values_of_a_message(text: str, values: dict[str, list[str | int]]) -> None:
    found: dict[str, list[str | int]] = {}
    for find in extract(text):
        found.setdefault(find.entity, []).append(find.value)
    assert found == values


@pytest.mark.parametrize(
    ("text", "entity", "words"),
    [
        ("我手机 +86 138 1234 5678 绑定", "phone", "+86 138 1234 5678"),
        ("我手机 +86 138 1234 5678 绑定", "phone_tail", "+86 138 1234 5678"),
        ("税号：９１３１ ０１１５ MA1K35X31M，谢谢", "tax_number", "９１３１ ０１１５ MA1K35X31M"),
        ("😀 5229，颜色不喜欢", "four_digits", "5229"),
        ("工单RT 12356取消", "ticket_id", "RT 12356"),
        ("后面四个是五六七八", "phone_tail", "五六七八"),
        ("想换 XXL 码", "size", "XXL 码"),
    ],
)
def test_a_find_is_where_it_was_written(text: str, entity: str, words: str) -> None:
    assert [text[find.start : find.end] for find in extract(text) if find.entity == entity] == [words]


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


@pytest.mark.parametrize(
    "piece",
    [
        *("好的", "ord 1 ", "1 ", "尾号5678", "13", "138*", "五 ", "订单号是", "(-"),
        *("1234 ", "a1b2 ", "tax no ", "税号是为", "a.", "1@1.", "快递单号1 ", "12345678-", "那个", "大一", "x", "41/"),
    ],
)
def test_ten_thousand_characters_are_read_in_one_go(piece: str) -> None:
    assert isinstance(extract((piece * 10_000)[:10_000] + "x"), list)
