"""Goods or rules, said or asked back: what a message is answered with is decided here, from numbers alone.

An answer's chance is a probability (knowledge_graph/retrieval.py). How clearly goods are named, pointed at or gone on
about stands beside it on the same scale, and the intent is a hint among others.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from bot.actions.product_reference import Sign
from bot.actions.product_talk import Seeking
from knowledge_graph import CERTAIN, CLOSE, SURE

Leaning = Literal["rule", "goods", "recommendation", "comparison", "none", "complaint"]
"""What the intent speaks for."""

Decision = Literal["answer", "goods", "problem", "which", "which goods", "use", "unknown", "away", "heard", "nothing"]

GOODS: dict[Sign, float] = {
    Sign.NONE: 0.0,
    Sign.IN_HAND: 0.3,
    Sign.WORDS: 0.4,
    Sign.SHELF: 0.65,
    Sign.AGAIN: 0.8,
    Sign.NAMED: 0.95,
    Sign.CHOSEN: 2.5,
}
"""How likely the goods that a message is about by such a sign are what it asks for."""

PAGE_IS_SILENT = 0.7
"""No more than this when the page of the goods does not say what is asked."""

LEANS = 0.2
"""What the intent adds to its side."""

WANTS_SOMETHING = 0.4
"""The same of a wish to be recommended something: no rule answers that."""

ENOUGH = 0.5
"""Goods are spoken of from here on."""

STATED = 0.9
"""Chance from which a rule is told to a message that asks nothing: "没法申请" is seldom about what it sounds like."""

AHEAD = 0.45
"""Chance from which the likeliest answer is said, and not asked back, where it is clearly ahead."""

CLEARLY_AHEAD = 1.5
"""So many times as likely as the second."""

AMONG = 0.25
"""Chance from which the likeliest of a few that are close is asked back: "多久" and no more."""

LIKELIEST = 0.35
"""Chance from which the likeliest answer is worth saying when one has just asked which is meant."""

WEAK = 0.6
"""Confidence below which an intent may as well be another."""

GOODS_LEANINGS = frozenset({"goods", "recommendation", "comparison"})


@dataclass(frozen=True, slots=True)
class Evidence:
    leaning: Leaning
    chances: tuple[float, ...] = ()  # of the likeliest answers, the best first
    of_goods: bool = False  # the best speaks of goods in general
    goes_on: bool = False  # the best is what was just told
    apart: bool = False  # it does not tell of one's goods, nor does the message clearly ask for a rule
    sign: Sign | None = None  # None: no goods are meant
    page: bool = True  # its page says what is asked
    offers: bool = False  # goods would be shown that nobody has named or seen
    lists: bool = False  # several would be, or some again
    tells: bool = False  # their pages say just what is asked
    seeks: Seeking = "clearly"
    uses: bool = False  # the use of a thing is asked, its parts, or what it fits
    elsewhere: bool = False  # it speaks of a parcel, of another day's price, or of what was bought
    confidence: float = 1.0  # of the intent
    asks: bool = True
    blames: bool = False  # something is wrong with goods
    names_goods: bool = False
    bare: bool = False  # and says nothing else
    astray: bool = False  # it is about goods that nobody has named: "多少钱", or "最后一个" with nothing listed
    asked_back: bool = False  # the message before was answered with "which of these?"
    how_to_ask: bool = False  # the best only says how to ask about goods, and some were just shown
    of_shown: bool = False  # a property is surely asked of goods that were just shown
    narrows: bool = False  # it says what the goods have to be that were just shown
    asks_for_some: bool = False  # goods are asked for by words that the shop does not know
    ready: bool = True  # there are answers at all


def decide(seen: Evidence) -> Decision:
    """What is likelier is said; what is likely enough among a few is asked back; a remark is no question."""
    best = seen.chances[0] if seen.chances else 0.0
    rule, goods = weight_of_rule(seen), weight_of_goods(seen)
    if goods >= ENOUGH and goods > rule:
        return "goods" if seen.page or not seen.uses else "use"
    told = seen.goes_on and best >= SURE and not seen.of_goods  # "那要加多少" after the freight to far regions
    if seen.astray and seen.leaning in GOODS_LEANINGS and not (seen.elsewhere or told):
        return "which goods"
    if seen.leaning == "recommendation" and seen.of_goods and best < CERTAIN and not seen.elsewhere:
        return "which goods"  # how to ask for a recommendation is no answer to a wish for one
    stray = seen.of_shown and best < (STATED if seen.of_goods else CERTAIN)
    if seen.leaning in GOODS_LEANINGS and (seen.how_to_ask or stray):
        return "which goods"
    of_photographs = seen.uses and seen.names_goods and seen.apart  # to one who asks how his camera is used
    if best >= (CERTAIN if of_photographs else SURE if seen.asks else STATED):
        return "answer"
    of_goods = seen.names_goods or seen.leaning in GOODS_LEANINGS
    if seen.uses and of_goods and seen.asks and seen.leaning != "complaint" and not sought(seen):
        return "problem" if seen.blames else "use"
    if seen.leaning in ("none", "complaint"):
        return "nothing"
    if seen.blames and seen.leaning != "rule":
        return "problem"
    if seen.leaning == "rule" and not seen.ready:
        return "away"
    least = (AMONG if seen.leaning == "rule" else LIKELIEST) if seen.asks else SURE
    likely = sum(seen.chances) >= CLOSE and best >= least
    if seen.asks_for_some and seen.leaning in GOODS_LEANINGS:
        return "which goods"  # 有没有滑板: no rule is near enough
    if likely and seen.leaning != "recommendation":
        if not seen.asked_back:
            return "answer" if (seen.asks and ahead(seen.chances)) or seen.goes_on else "which"
        return "answer" if seen.asks and best >= LIKELIEST else "unknown"
    if seen.leaning == "rule" or seen.elsewhere or (seen.offers and not sought(seen)):
        return "unknown" if seen.asks else "heard"
    if seen.leaning == "goods" and seen.confidence < WEAK and not (seen.names_goods or seen.narrows):
        return "unknown" if seen.asks else "heard"
    return "which goods"


def ahead(chances: tuple[float, ...]) -> bool:
    """Whether the first reading is clear enough to be answered, with the others beside it."""
    return chances[0] >= AHEAD and all(chances[0] >= CLEARLY_AHEAD * other for other in chances[1:])


def weight_of_rule(seen: Evidence) -> float:
    best = seen.chances[0] if seen.chances else 0.0
    # "有加湿器吗", "多大容量" of what is in hand: the goods themselves say more than how to choose some
    least = Sign.IN_HAND if seen.leaning in GOODS_LEANINGS else Sign.SHELF
    meant = seen.sign is not None and seen.sign >= least and seen.leaning != "rule"
    if meant and (seen.tells or seen.how_to_ask):
        return 0.0  # 保质期多久 of what was just shown, in whatever words a rule is asked
    if best >= CERTAIN:  # asked in the very words of whoever wrote the answer
        return 2.0
    if best < (SURE if seen.asks else STATED) or seen.bare or (meant and seen.of_goods):
        return 0.0
    return best + (LEANS if seen.leaning == "rule" else 0.0)


def sought(seen: Evidence) -> bool:
    """Whether somebody looks for goods. That a kind of them is named is no sign of it; to what was just shown one goes
    back without saying so."""
    if seen.seeks == "clearly" or seen.tells:
        return True
    return not (seen.uses or seen.elsewhere) and (seen.seeks == "maybe" or not seen.offers)


def weight_of_goods(seen: Evidence) -> float:
    told_of = seen.elsewhere and not seen.asks and seen.seeks != "clearly"  # "之前买过你家的月饼"
    if seen.sign is None or told_of or (seen.lists and not sought(seen)):
        return 0.0
    known = GOODS[seen.sign] if seen.page else min(GOODS[seen.sign], PAGE_IS_SILENT)
    if seen.leaning == "recommendation":
        return known + WANTS_SOMETHING
    return known + (LEANS if seen.leaning in GOODS_LEANINGS else 0.0)
