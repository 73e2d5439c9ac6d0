"""What is said, from the numbers alone: the evidence on the left, the decision on the right."""

from __future__ import annotations

import pytest

from bot.actions.product_reference import Sign
from bot.actions.weighing import Decision, Evidence, decide

TABLE: list[tuple[str, Evidence, Decision]] = [
    # an answer that is likely enough is said, whatever the intent was taken for
    ("a likely answer", Evidence("rule", (0.65, 0.3)), "answer"),
    ("of chitchat", Evidence("none", (0.65,)), "answer"),
    # one that is clearly ahead is said, the others stand under it; two that are close are asked back
    ("ahead", Evidence("rule", (0.45, 0.2)), "answer"),
    ("ahead of all", Evidence("rule", (0.5,)), "answer"),
    ("ahead, while doing something else", Evidence("none", (0.45, 0.2)), "nothing"),
    ("two that are close", Evidence("rule", (0.45, 0.4)), "which"),
    ("three that are close", Evidence("rule", (0.28, 0.26, 0.2)), "which"),
    ("far from all", Evidence("rule", (0.2, 0.1)), "unknown"),
    # what asks nothing is told a rule only where that is sure
    ("a sure one, to a remark", Evidence("none", (0.95,), asks=False), "answer"),
    ("a likely one, to a remark", Evidence("none", (0.8,), asks=False), "nothing"),
    ("a likely one, to a remark about a rule", Evidence("rule", (0.8,), asks=False), "which"),
    ("of goods", Evidence("goods", (0.7,)), "answer"),
    ("while complaining", Evidence("complaint", (0.7,)), "answer"),
    # goods that are meant
    ("goods by name", Evidence("goods", (0.7,), sign=Sign.NAMED), "goods"),
    ("a rule about goods by name", Evidence("rule", (0.95,), sign=Sign.NAMED), "answer"),
    ("goods by name, a weak rule", Evidence("rule", (0.55,), sign=Sign.NAMED), "goods"),
    ("a shelf", Evidence("goods", (0.6,), sign=Sign.SHELF), "goods"),
    ("a shelf, a strong rule", Evidence("goods", (0.9,), sign=Sign.SHELF), "answer"),
    ("a page that is silent", Evidence("goods", (0.95,), sign=Sign.NAMED, page=False), "answer"),
    ("what was talked of, maybe", Evidence("none", (0.2,), sign=Sign.IN_HAND), "nothing"),
    ("a wish to be recommended some", Evidence("recommendation", (0.9,), sign=Sign.SHELF), "goods"),
    ("a wish that nothing fits is asked about goods", Evidence("recommendation", (0.4, 0.35)), "which goods"),
    ("nothing but a name", Evidence("rule", (0.9,), sign=Sign.SHELF, names_goods=True, bare=True), "goods"),
    # how to choose some is no answer to a question about some of them
    ("how to choose", Evidence("goods", (0.8,), of_goods=True, sign=Sign.SHELF), "goods"),
    ("goods that are not there", Evidence("goods", (0.9,), astray=True), "which goods"),
    # goods are shown to whom they are sought by
    (
        "named, and no wish",
        Evidence("goods", sign=Sign.SHELF, offers=True, lists=True, seeks="no", names_goods=True),
        "unknown",
    ),
    (
        "told of",
        Evidence("goods", sign=Sign.SHELF, offers=True, lists=True, seeks="no", names_goods=True, asks=False),
        "heard",
    ),
    (
        "a shelf that tells it",
        Evidence("goods", sign=Sign.SHELF, offers=True, lists=True, tells=True, seeks="no"),
        "goods",
    ),
    (
        "its use",
        Evidence("goods", sign=Sign.SHELF, offers=True, lists=True, seeks="maybe", uses=True, names_goods=True),
        "use",
    ),
    (
        "its use, of chitchat",
        Evidence("none", sign=Sign.SHELF, offers=True, lists=True, seeks="no", uses=True, names_goods=True),
        "use",
    ),
    (
        "its use, and a rule",
        Evidence("goods", (0.7,), of_goods=True, lists=True, offers=True, seeks="no", uses=True),
        "answer",
    ),
    (
        "its use, and a rule of something else",
        Evidence("goods", (0.97,), apart=True, seeks="no", uses=True, names_goods=True),
        "use",
    ),
    ("its use, on its page", Evidence("goods", sign=Sign.NAMED, seeks="no", uses=True), "goods"),
    ("its use, and its page is silent", Evidence("goods", sign=Sign.NAMED, seeks="no", uses=True, page=False), "use"),
    ("a wish for what can be used so", Evidence("goods", sign=Sign.SHELF, offers=True, lists=True, uses=True), "goods"),
    ("what was listed, again", Evidence("goods", sign=Sign.AGAIN, lists=True, seeks="no"), "goods"),
    ("the use of what was listed", Evidence("goods", sign=Sign.AGAIN, lists=True, seeks="no", uses=True), "use"),
    ("bought before", Evidence("rule", sign=Sign.NAMED, seeks="no", elsewhere=True, asks=False), "heard"),
    ("a price that went up", Evidence("goods", astray=True, elsewhere=True), "unknown"),
    # the very words of an entry
    ("word for word, but it is to be bought", Evidence("rule", (1.0,), sign=Sign.CHOSEN), "goods"),
    ("word for word, of goods", Evidence("goods", (1.0,), of_goods=True, sign=Sign.NAMED), "answer"),
    ("word for word, a wish", Evidence("recommendation", (1.0,), of_goods=True, sign=Sign.NAMED), "answer"),
    # between two it is asked, once
    ("two close ones", Evidence("rule", (0.4, 0.35)), "which"),
    ("asked already", Evidence("rule", (0.4, 0.35), asked_back=True), "answer"),
    ("asked already, and weak", Evidence("rule", (0.3, 0.2, 0.2), asked_back=True), "unknown"),
    ("two close ones, of goods", Evidence("goods", (0.4, 0.35)), "which"),
    ("many weak ones, of goods", Evidence("goods", (0.25, 0.2, 0.2)), "which goods"),
    # nothing is known
    ("nothing", Evidence("rule", (0.2, 0.1)), "unknown"),
    ("nothing at all", Evidence("rule"), "unknown"),
    ("a remark", Evidence("rule", (0.2, 0.1), asks=False), "heard"),
    ("no answers are there yet", Evidence("rule", ready=False), "away"),
    ("chitchat", Evidence("none", (0.45, 0.4)), "nothing"),
    ("a complaint", Evidence("complaint", (0.45, 0.4)), "nothing"),
    ("a fault", Evidence("goods", (0.3,), blames=True), "problem"),
    ("goods that nobody named", Evidence("goods", (0.1,), confidence=0.9), "which goods"),
    ("maybe goods", Evidence("goods", (0.1,), confidence=0.45), "unknown"),
    ("maybe goods, a remark", Evidence("goods", (0.1,), confidence=0.45, asks=False), "heard"),
]


@pytest.mark.parametrize(("seen", "decision"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE])
def test_what_is_said(seen: Evidence, decision: Decision) -> None:
    assert decide(seen) == decision
