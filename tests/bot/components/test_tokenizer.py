"""What the tokenizer makes of a message, and that no message breaks what comes after it."""

import pytest
from rasa.shared.nlu.training_data.message import Message

from bot.components.tokenizer import NOTHING, CharacterTokenizer

tokenizer = CharacterTokenizer(CharacterTokenizer.get_default_config())


def tokens(text: str) -> list[tuple[str, str]]:
    """Each token's text and the words of the original that it stands for."""
    return [(t.text, text[t.start : t.end]) for t in tokenizer.tokenize(Message({"text": text}), "text")]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("退货", [("退", "退"), ("货", "货")]),
        ("iPhone 15 Pro", [("iphone", "iPhone"), ("15", "15"), ("pro", "Pro")]),
        ("訂單ＯＲＤ１２", [("订", "訂"), ("单", "單"), ("ord", "ＯＲＤ"), ("12", "１２")]),
        ("好😂!!", [("好", "好"), ("😂", "😂")]),
        ("退\u200b 货", [("退", "退"), ("货", "货")]),
    ],
)
def test_tokens(text: str, expected: list[tuple[str, str]]) -> None:
    assert tokens(text) == expected


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("[订单编号:ORD12345，订单金额:99，下单时间:11月2日 10:30] 能改地址吗", "能改地址吗"),
        ("咨询订单号：ORD12345 订单金额：99 下单时间：11月2日 催下", "催下"),
        ("[订单编号:ORD12345，订单金额:99]", "digits"),
        ("订单号ORD12345 退货", "订单号退货"),
    ],
)
def test_a_card_of_an_order_says_nothing_but_its_number(text: str, left: str) -> None:
    assert "".join(word for word, _ in tokens(text)) == left


@pytest.mark.parametrize("text", ["", "  ", "\u200b\u202e", "。。。", "\u3164"])
def test_a_message_without_words_is_one_token(text: str) -> None:
    assert [word for word, _ in tokens(text)] == [NOTHING]


def test_no_token_is_blank() -> None:
    text = "  a  b\u3000c\n\t我 \u200b 你 "
    assert all(word.strip() and original.strip() for word, original in tokens(text))
