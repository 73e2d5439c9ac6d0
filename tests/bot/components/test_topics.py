"""What a message is about: words first, then the intent."""

from __future__ import annotations

from collections import Counter

import pytest
from rasa.shared.utils.io import read_yaml_file

import settings
from bot.components.topics import Topics

CONTENT = read_yaml_file(settings.ROOT / "bot" / "topics.yml")
TOPICS = {
    *("refund", "return_exchange", "delivery", "order_change", "price_promo", "coupon_points_member"),
    *("product_question", "feature_comparison", "invoice", "payment", "contact_human", "complaint", "review"),
    *("account_other", "presale", "card_energy"),
}


def test_every_topic_has_words_and_a_word_has_one_topic() -> None:
    assert set(CONTENT["words"]) == TOPICS
    assert set(CONTENT["intents"].values()) <= TOPICS
    counts = Counter(str(word).lower() for words in CONTENT["words"].values() for word in words)
    assert [word for word, count in counts.items() if count > 1] == []


@pytest.mark.parametrize(
    ("text", "intent", "topic"),
    [
        ("退货运费谁出", "ask_policy", "return_exchange"),
        ("能开专票吗", "ask_policy", "invoice"),
        ("能用花呗分期不", "ask_policy", "payment"),
        ("买贵了能价保吗", "ask_policy", "price_promo"),
        ("預售什么时候發貨", "ask_policy", "presale"),
        ("那个到哪了", "track_parcel", "delivery"),
        ("能量怎么换券", "ask_policy", "card_energy"),
        ("这样呢", "ask_policy", None),
        ("退货", "affirm", None),
    ],
)
def test_topic_of(text: str, intent: str, topic: str | None) -> None:
    assert Topics(CONTENT).of(text, intent) == topic
