"""The training data keeps its promises: complete, hand-made, and never mixed with the lines that measure it."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
import yaml
from opencc import OpenCC

from knowledge_graph.entries import read_folder
from knowledge_graph.sources import house_facts
from knowledge_graph.sync import CONTENT
from knowledge_graph.training import unanswered
from mall_adapter.values import Reason
from tests.knowledge_graph.heldout import ANSWERABLE, FAR, NEAR

ROOT = Path(__file__).resolve().parents[2]
TRAINING = ROOT / "bot" / "data" / "nlu"
HELD_OUT = sorted((ROOT / "tests" / "nlu").glob("heldout*.yml"))
REASONS = ROOT / "bot" / "data" / "lookups" / "reason.yml"
GUIDE = ROOT / "docs" / "nlu.md"

INTENTS = {
    *("greet", "goodbye", "thank", "affirm", "deny", "stop", "correct", "inform", "ask_help", "bot_challenge"),
    *("chitchat", "out_of_scope"),
    *("request_return", "request_exchange", "request_refund", "report_problem", "cancel_ticket", "ticket_status"),
    *("order_status", "track_parcel", "urge_shipment", "change_address", "cancel_order", "request_invoice"),
    *("worry_delivery", "complain"),
    *("ask_price", "compare_products", "ask_product", "ask_stock", "ask_promotion", "recommend_product"),
    *("ask_policy", "energy_balance", "redeem_energy", "my_coupons"),
    *("my_card", "share_card", "card_report", "my_leads"),
    *("bind_account", "export_my_data", "delete_my_data", "human_handoff", "rate_service"),
    *("sales_report", "sales_forecast", "restock_advice", "inventory_report"),
}
CONFUSABLE = {
    *("request_refund", "ticket_status", "urge_shipment", "worry_delivery", "order_status", "track_parcel"),
    *("ask_product", "ask_price", "ask_promotion", "complain", "request_return", "energy_balance"),
    *("my_card", "share_card", "sales_report", "inventory_report"),
}
AT_LEAST = defaultdict(lambda: 40, dict.fromkeys(CONFUSABLE, 60) | {"ask_policy": 120, "out_of_scope": 150})

NUMBER = "0"
PARTICLES = "啊呀呢嘛哦啦哈哟喔噢诶哎唉吗吧么嘞咯哩哇"
TO_SIMPLIFIED = OpenCC("t2s")


def plain(text: str) -> str:
    """``text`` as if spelling did not count: no case, width, space or punctuation, one 0 for a number."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    kept = "".join(c for c in folded if not c.isspace() and unicodedata.category(c)[0] not in "CPZ")
    return re.sub(r"(?:ord)?\d+", NUMBER, kept) or folded


def bare(text: str) -> str:
    """:func:`plain`, in simplified characters and without particles: 好嘅 is not 好的, but 還發貨麼 is 还发货吗."""
    kept = plain(TO_SIMPLIFIED.convert(text))
    return kept.translate(dict.fromkeys(map(ord, PARTICLES))) or kept


def near(a: str, b: str) -> bool:
    """Do two :func:`plain` lines of one intent come from one template?

    Either one word differs: what they share at both ends is four characters or more and at least 60 % of the longer
    line, and at most four characters (eight letters) in the middle are different. Or the same words stand in another
    order: their pairs of neighbouring characters overlap by 65 % (Jaccard). Shorter lines ("好的", "好滴") are words,
    not frames.
    """
    head = 0
    while head < min(len(a), len(b)) and a[head] == b[head]:
        head += 1
    tail = 0
    while tail < min(len(a), len(b)) - head and a[-1 - tail] == b[-1 - tail]:
        tail += 1
    shared, longer = head + tail, max(len(a), len(b))
    word = 8 if a.isascii() and b.isascii() else 4
    if shared >= 4 and longer - shared <= word and shared / longer >= 0.6:
        return True
    pairs_a, pairs_b = neighbours(a), neighbours(b)
    either = len(pairs_a | pairs_b)
    return either > 4 and len(pairs_a & pairs_b) / either >= 0.65


def neighbours(text: str) -> set[str]:
    """Pairs of neighbouring characters."""
    return {text[i : i + 2] for i in range(len(text) - 1)}


def suspects(texts: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Those that may be :func:`near`: a fifth of their neighbouring characters are the same, or there are hardly any.
    All against all would take a minute."""
    seen: dict[str, set[str]] = {}
    holding: dict[str, list[str]] = defaultdict(list)
    for text in texts:
        pairs = neighbours(text)
        shared = Counter(other for pair in pairs for other in holding[pair])
        for other, number in shared.items():
            either = len(pairs) + len(seen[other]) - number
            if number / either >= 0.2 or min(len(pairs), len(seen[other])) <= 2:
                yield other, text
        seen[text] = pairs
        for pair in pairs:
            holding[pair].append(text)


def lines(*paths: Path) -> Iterator[tuple[str, str]]:
    """``(intent, text)`` of every example, in the order of the files."""
    for path in paths:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
        assert content["version"] == "3.1", path
        for block in content["nlu"]:
            for line in block["examples"].splitlines():
                assert line.startswith("- "), f"{path.name}, {block['intent']}: {line!r}"
                yield block["intent"], line[2:].strip()


def by_intent(*paths: Path) -> dict[str, list[str]]:
    found = defaultdict(list)
    for intent, text in lines(*paths):
        found[intent].append(text)
    return found


TRAINING_FILES = sorted(TRAINING.glob("*.yml"))
TRAINED = by_intent(*TRAINING_FILES)
MEASURED = by_intent(*HELD_OUT)


def test_every_intent_is_taught_measured_and_explained() -> None:
    explained = set(re.findall(r"^#### `(\w+)`", GUIDE.read_text(encoding="utf-8"), re.MULTILINE))
    assert set(TRAINED) == set(MEASURED) == explained == INTENTS


@pytest.mark.parametrize("intent", sorted(INTENTS))
def test_an_intent_has_enough_lines(intent: str) -> None:
    assert len(TRAINED[intent]) >= AT_LEAST[intent]
    assert len(MEASURED[intent]) >= (60 if intent == "out_of_scope" else 15)


def test_no_line_stands_twice_or_under_two_intents() -> None:
    seen: dict[str, tuple[str, str]] = {}
    for intent, text in lines(*TRAINING_FILES, *HELD_OUT):
        key = plain(text)
        if NUMBER not in key or len(key) > 4:  # "5678" is as good a line as "0931"
            assert key not in seen, f"{intent}: {text!r} is {seen[key]}"
        seen[key] = (intent, text)


def test_nothing_that_measures_was_taught() -> None:
    """Neither as a line nor as a way of asking: both teach how messages are understood and answered."""
    entries = read_folder(CONTENT, house_facts()).entries
    taught = {bare(text): text for _, text in lines(*TRAINING_FILES)}
    taught |= {bare(text): text for entry in entries for text in (entry.title, *entry.ask)}
    taught |= {bare(text): text for text in unanswered()}
    measured = [text for texts in MEASURED.values() for text in texts]
    measured += [*(ask for ask, _ in ANSWERABLE), *NEAR, *FAR]
    # One number is as good as another
    found = [(text, taught[bare(text)]) for text in measured if bare(text) != NUMBER and bare(text) in taught]
    assert not found, "measured, and taught"


@pytest.mark.parametrize("intent", sorted(INTENTS))
def test_no_two_lines_come_from_one_template(intent: str) -> None:
    texts = {plain(text): text for text in TRAINED[intent] + MEASURED[intent]}
    found = [(texts[a], texts[b]) for a, b in suspects(texts) if near(a, b)]
    assert not found, f"one word differs: {found}"


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("我想退这双鞋子", "我想退这双靴子", True),
        ("帮我查一下订单 ORD12345", "帮我查一下快递 ORD99881", True),
        ("能量余额查询", "能量余额多少", True),
        ("昨天买的台灯想退", "昨天买的电饭煲想退", True),
        ("where is my parcel", "where is my package", True),
        ("退货运费谁来出", "谁来出退货运费", True),
        ("ORD12345 发了吗", "ord778899发了吗?", True),
        ("好的", "好滴", False),
        ("多少钱", "多少米", False),
        ("我想退货", "东西不合适,给我办退货", False),
        ("快递到哪了", "物流怎么不动", False),
    ],
)
def test_near_duplicates_are_recognised(one: str, other: str, expected: bool) -> None:
    assert near(plain(one), plain(other)) is near(plain(other), plain(one)) is expected
    assert not expected or list(suspects([plain(one), plain(other)]))


def test_spelling_makes_no_line_new() -> None:
    assert bare("今天還發貨麼？") == bare("今天还发货吗") != bare("今天还退货吗")
    assert bare("嗯") == "嗯"


def test_lines_hold_words_only() -> None:
    """Code and lookups find the entities: a line that Rasa would read as an annotation or a command is a slip."""
    for intent, text in lines(*TRAINING_FILES, *HELD_OUT):
        assert not re.search(r"\][({\[]", text), f"{intent}: {text!r} reads as an annotation"
        assert text and not text.startswith("/"), f"{intent}: {text!r} reads as a payload"


def test_reasons_are_said_in_many_ways() -> None:
    spoken: dict[str, list[str]] = yaml.safe_load(REASONS.read_text(encoding="utf-8"))
    assert set(spoken) == {reason.value for reason in Reason}
    for value, phrases in spoken.items():
        assert len(phrases) >= 40, value
        for phrase in phrases:
            for piece in phrase.split("…"):  # a gap
                assert piece == unicodedata.normalize("NFKC", piece).lower().strip(), f"{value}: {phrase!r}"
    everything = [phrase for phrases in spoken.values() for phrase in phrases]
    assert len(everything) == len(set(everything)), "a phrase stands under one value only"
