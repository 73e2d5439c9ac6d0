"""What a message is about: its known words, and what the lines that hold them have in common."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from rasa.engine.graph import ExecutionContext, GraphSchema
from rasa.engine.storage.resource import Resource
from rasa.shared.nlu.training_data.message import Message
from rasa.shared.nlu.training_data.training_data import TrainingData
from rasa.shared.utils.io import read_yaml_file

import settings
from bot.components.tokenizer import CharacterTokenizer
from bot.components.topics import TopicFinder, Topics

FILE = settings.ROOT / "bot" / "topics.yml"
CONTENT = read_yaml_file(FILE)
TOPICS = {
    *("refund", "return_exchange", "delivery", "order_change", "price_promo", "coupon_points_member"),
    *("product_question", "feature_comparison", "invoice", "payment", "contact_human", "complaint", "review"),
    *("account_other", "presale", "card_energy"),
}


def test_what_can_be_wished_for_of_a_topic_is_an_intent() -> None:
    assert set(CONTENT["wishes"]) <= TOPICS
    triggers = {
        trigger["intent"]
        for path in (settings.ROOT / "bot" / "data" / "flows").glob("*.yml")
        for flow in read_yaml_file(path)["flows"].values()
        for trigger in flow.get("nlu_trigger", ())
    }
    assert {intent for listed in CONTENT["wishes"].values() for intent in listed} <= triggers


def test_every_topic_has_words_and_a_word_has_one_topic() -> None:
    assert set(CONTENT["words"]) == TOPICS
    assert set(CONTENT["intents"].values()) <= TOPICS
    counts = Counter(str(word).lower() for words in CONTENT["words"].values() for word in words)
    assert [word for word, count in counts.items() if count > 1] == []


@pytest.mark.parametrize(
    ("text", "intent", "topic"),
    [
        ("退货运费谁出", "ask_policy", "return_exchange"),
        ("能用花呗分期不", "ask_policy", "payment"),
        ("預售什么时候發貨", "ask_policy", "presale"),
        ("那个到哪了", "track_parcel", "delivery"),
        ("能量怎么换券", "ask_policy", "card_energy"),
        ("这样呢", "ask_policy", None),
        ("退货", "affirm", None),
    ],
)
def test_a_training_line_is_an_example_of_a_topic(text: str, intent: str, topic: str | None) -> None:
    assert Topics(CONTENT).taught_by(text, intent) == topic


class Storage:
    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @contextmanager
    def write_to(self, resource: Resource) -> Iterator[Path]:
        yield self.folder

    read_from = write_to


def message(text: str, intent: str) -> Message:
    made = Message({"text": text, "intent": intent})
    made.set("text_tokens", CharacterTokenizer(CharacterTokenizer.get_default_config()).tokenize(made, "text"))
    return made


@pytest.fixture(scope="module")
def finder(tmp_path_factory: pytest.TempPathFactory) -> TopicFinder:
    """Learned from all training lines, stored and loaded."""
    lines = [
        message(line.removeprefix("- ").strip(), block["intent"])
        for path in sorted((settings.ROOT / "bot" / "data" / "nlu").glob("*.yml"))
        for block in read_yaml_file(path)["nlu"]
        for line in block["examples"].splitlines()
    ]
    config = {"file": str(FILE), "answers": str(settings.ROOT / "knowledge_graph" / "content")}
    arguments = config, Storage(tmp_path_factory.mktemp("topics")), Resource("topics")
    TopicFinder.create(*arguments, ExecutionContext(GraphSchema({}))).train(TrainingData(lines))
    return TopicFinder.load(*arguments, ExecutionContext(GraphSchema({})))


@pytest.mark.parametrize(
    ("text", "intent", "topic"),
    [
        ("能开专票吗", "ask_policy", "invoice"),
        ("买贵了能价保吗", "ask_policy", "price_promo"),
        ("退货运费谁出", "ask_policy", "return_exchange"),
        ("怎么还没动静啊 都第五天了", "urge_shipment", "delivery"),
        ("插上去灯不亮", "report_problem", "return_exchange"),
        ("这条裙子起球不", "ask_product", "product_question"),
        ("你好", "greet", None),
        ("明天会下雨吗", "out_of_scope", None),
        ("嗯 那邮费谁掏", "affirm", "delivery"),
    ],
)
def test_a_message_is_about(finder: TopicFinder, text: str, intent: str, topic: str | None) -> None:
    said = message(text, intent)
    said.set("intent", {"name": intent})
    (understood,) = finder.process([said])
    assert understood.get("topic") == topic
