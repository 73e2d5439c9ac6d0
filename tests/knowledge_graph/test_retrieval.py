"""Which answer a question finds, among a few answers of a made-up shop."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.svm import LinearSVC

from knowledge_graph import encoder
from knowledge_graph.encoder import Encoder
from knowledge_graph.retrieval import (
    BEST,
    DEFAULT_JUDGE,
    Background,
    Hit,
    Judge,
    Mode,
    Numbers,
    Question,
    Retriever,
    Subject,
    Words,
    leads,
)
from knowledge_graph.text import cut, features

MODES: tuple[Mode, ...] = ("words", "meaning", "hybrid")

FREIGHT = Subject(
    "freight",
    "delivery",
    ("运费谁出", "快递费要我付吗", "邮费多少钱", "寄过来收不收运费", "包邮吗", "多少钱包邮", "邮费标准"),
    "满 59 元包邮，不满的付 6 元运费。",
)
COURIER = Subject(
    "courier",
    "delivery",
    ("你们发什么快递", "走哪家物流", "是顺丰吗", "能指定快递公司吗", "哪个快递送", "可以发中通吗", "快递公司"),
    "默认发顺丰，偏远地区发邮政。",
)
RETURNING = Subject(
    "no_reason",
    "return_exchange",
    (
        "不喜欢能退吗",
        "七天无理由怎么退",
        "拆了还能退货吗",
        "不想要了可以退不",
        "买错了退货",
        "退货有什么条件",
        "无理由退货",
    ),
    "签收后 7 天内，不影响再卖就可以退。",
)
INVOICE = Subject(
    "invoice",
    "invoice",
    ("能开发票吗", "发票怎么开", "可以开公司抬头吗", "要报销用的票", "专票能开吗", "电子发票在哪下载", "开发票"),
    "订单完成后在订单页开电子发票。",
)
HOURS = Subject(
    "hours",
    "contact_human",
    ("客服几点上班", "人工什么时候在", "晚上有人吗", "客服工作时间", "周末人工在不在", "几点下班", "人工客服时间"),
    "人工客服每天 9:00–21:00 在线。",
)
COUPON = Subject(
    "coupon",
    "coupon_points_member",
    ("优惠券在哪领", "券怎么用", "优惠券用不了", "两张券能叠加吗", "券过期了咋办", "领券的地方", "优惠券规则"),
    "券在个人中心领取，一单用一张。",
)
SHOP = [FREIGHT, COURIER, RETURNING, INVOICE, HOURS, COUPON]
BACKGROUND = Background(
    unanswered=("今天天气怎么样", "讲个笑话", "帮我写作业", "股票会涨吗", "附近有什么好吃的", "你多大了"),
    topics=(("东西还在路上", "delivery"), ("我要把它寄回去", "return_exchange"), ("明天开会", "no_topic_of_this_shop")),
)
SAID_ELSEWHERE = (
    ("运费谁出", "邮费多少钱", "shipping fee", "shipping cost", "pay for shipping"),
    ("能开发票吗", "开发票", "receipt please", "need a receipt", "receipt"),
    ("优惠券在哪领", "券怎么用", "voucher", "where is my voucher", "use a voucher"),
    *((line, line) for line in BACKGROUND.unanswered),
)
"""Groups that the encoder learns from besides."""


@pytest.fixture(scope="module")
def meaning(tmp_path_factory: pytest.TempPathFactory) -> Encoder:
    pytest.importorskip("torch", reason="without torch there is no encoder")
    folder = tmp_path_factory.mktemp("encoder")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(encoder, "EPOCHS", 60)  # so few lines make one step an epoch
        patch.delenv("ENCODER", raising=False)
        encoder.train([*(subject.lines for subject in SHOP), *SAID_ELSEWHERE], folder)
        trained = encoder.load(folder)
    assert trained
    return trained


@pytest.fixture(scope="module", params=MODES)
def retriever(request: pytest.FixtureRequest) -> Iterator[Retriever]:
    known = None if request.param == "words" else request.getfixturevalue("meaning")
    yield Retriever.learn(SHOP, BACKGROUND, known, mode=request.param)


@pytest.fixture(scope="module")
def by_words() -> Retriever:
    return Retriever.learn(SHOP, BACKGROUND, None)


def best(retriever: Retriever, *questions: str | Question) -> list[str]:
    asked = [Question(one) if isinstance(one, str) else one for one in questions]
    return [hits[0].id for hits in retriever.find(asked)]


# ---- a question finds its answer -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("运费要我出吗", "freight"),
        ("满多少钱才包邮啊", "freight"),
        ("用哪家快递公司发", "courier"),
        ("不喜欢可以退货吗", "no_reason"),
        ("怎么开公司的发票", "invoice"),
        ("人工客服晚上几点下班", "hours"),
        ("优惠券怎么领怎么用", "coupon"),
    ],
)
def test_a_question_finds_its_answer(retriever: Retriever, text: str, found: str) -> None:
    assert best(retriever, text) == [found]


@pytest.mark.parametrize(
    "text",
    [
        *("运费谁出", "运费谁来出呀", "邮费谁付", "快递费多少", "包不包邮"),
        *("满多少包邮", "寄过来要运费吗", "邮费怎么算的", "快递费我付吗", "想问下运费标准"),
    ],
)
def test_ten_ways_of_asking_one_thing(retriever: Retriever, text: str) -> None:
    assert best(retriever, text) == ["freight"]


def test_meaning_knows_words_that_no_answer_uses(meaning: Encoder, by_words: Retriever) -> None:
    by_meaning = Retriever.learn(SHOP, BACKGROUND, meaning, mode="meaning")
    asked = ["how much is shipping", "can I have a receipt", "any voucher"]
    assert best(by_meaning, *asked) == ["freight", "invoice", "coupon"]
    assert best(Retriever.learn(SHOP, BACKGROUND, meaning), *asked) == ["freight", "invoice", "coupon"]
    assert best(by_words, *asked) != ["freight", "invoice", "coupon"]


def test_the_likeliest_come_first(retriever: Retriever) -> None:
    for hits in retriever.find([Question("快递运费"), Question("能退吗"), Question("券")]):
        assert len(hits) == BEST == len({hit.id for hit in hits})
        assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)
        assert all(0 <= hit.score <= 1 for hit in hits)


def test_what_no_answer_covers_is_less_likely(by_words: Retriever) -> None:
    known, unknown = by_words.find([Question("不喜欢能退吗"), Question("今天天气怎么样")])
    assert unknown[0].score < 0.3 < 0.6 < known[0].score


def test_many_at_once_are_answered_as_one_by_one(retriever: Retriever) -> None:
    asked = [Question(line) for subject in SHOP for line in subject.lines] * 10  # more than are compared at once
    together = retriever.find(asked)
    assert len(together) == len(asked) > 256
    for question, hits in list(zip(asked, together, strict=True))[::37]:
        (alone,) = retriever.find([question])
        assert [hit.id for hit in alone] == [hit.id for hit in hits]
        assert [hit.score for hit in alone] == pytest.approx([hit.score for hit in hits], abs=2e-4)


# ---- spelling does not matter ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("one", "other"),
    [
        pytest.param("满5900包邮吗", "满12000包邮吗", id="long numbers"),
        pytest.param("满99包邮吗", "满９９包邮吗", id="wide digits"),
        pytest.param("优惠券在哪领", "優惠券在哪領", id="traditional characters"),
        pytest.param("可以发DHL吗", "可以发ｄｈｌ吗？？", id="width, case and punctuation"),
        pytest.param("包邮吗", "  包 邮 吗 ！", id="spaces"),
        pytest.param("在吗在吗能退吗啊啊", "在吗在吗能退吗啊啊啊啊啊啊", id="drawn out"),
    ],
)
def test_one_question_in_two_spellings(retriever: Retriever, one: str, other: str) -> None:
    assert cut(one) == cut(other)
    first, second = retriever.find([Question(one), Question(other)])
    assert first == second


# ---- what may be told, and what is being talked of -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("among", "found"),
    [
        (None, ["freight"]),
        ({"freight", "coupon"}, ["freight"]),
        ({"courier", "coupon"}, ["courier"]),
        ({"freight", "hours"}, ["freight"]),
        ({"coupon"}, ["coupon"]),
        ({"coupon", "nobody_wrote_this"}, ["coupon"]),
        ({"nobody_wrote_this"}, []),
        (set[str](), []),
    ],
)
def test_only_what_may_be_told(retriever: Retriever, among: set[str] | None, found: list[str]) -> None:
    (hits,) = retriever.find([Question("快递费要我付吗")], among)
    assert [hit.id for hit in hits[:1]] == found
    assert among is None or {hit.id for hit in hits} <= among


def test_a_short_number_is_a_word() -> None:
    assert cut("双11有活动吗") != cut("双12有活动吗")


def test_who_asks_for_what_may_not_be_told_is_not_given_its_neighbour(retriever: Retriever) -> None:
    question = [Question("快递费要我付吗")]
    alone, others = retriever.find(question)[0], retriever.find(question, {"courier", "coupon"})[0]
    assert others[0].score < alone[0].score / 2


@pytest.mark.parametrize("among", [None, set[str]()])
def test_nothing_for_no_questions(retriever: Retriever, among: set[str] | None) -> None:
    assert retriever.find([], among) == []


TWINS = [
    replace(FREIGHT, id="a", topic="refund", lines=("多久能到", "要等几天"), text="等等。"),
    replace(FREIGHT, id="b", topic="delivery", lines=("多久能到", "要等几天"), text="等等。"),
    INVOICE,
]
"""Two that cannot be told apart by what is asked: when the money comes, and when the parcel does."""


@pytest.mark.parametrize(
    ("question", "found"),
    [
        (Question("多久能到", topic="refund"), "a"),
        (Question("多久能到", topic="delivery"), "b"),
        (Question("多久能到", near=frozenset({"a"})), "a"),
        (Question("多久能到", near=frozenset({"b", "nobody_wrote_this"})), "b"),
        (Question("多久能到", topic="refund", near=frozenset({"b"})), "b"),
        (Question("多久能到", topic="no_topic_of_this_shop", near=frozenset({"b"})), "b"),
        (Question("能开发票吗", topic="delivery", near=frozenset({"b"})), "invoice"),
    ],
)
@pytest.mark.parametrize("mode", MODES)
def test_what_is_talked_of_breaks_a_tie(
    mode: Mode, question: Question, found: str, request: pytest.FixtureRequest
) -> None:
    known = None if mode == "words" else request.getfixturevalue("meaning")
    assert best(Retriever.learn(TWINS, BACKGROUND, known, mode=mode), question) == [found]


# ---- odd texts and odd shops -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["", "   ", "？！……", "😀😀", "zzz qqq", "ѯѩ", "运费" * 5000])
def test_any_text_is_taken(retriever: Retriever, text: str) -> None:
    (hits,) = retriever.find([Question(text)])
    assert len(hits) == BEST
    assert all(np.isfinite(hit.score) for hit in hits)


def test_words_without_any_known_feature(by_words: Retriever) -> None:
    words = Words.learn([("运费", "a"), ("发票", "b"), ("优惠券", "c")])
    scores = words.scores(["zzz", "", "运费"])
    assert scores[0].tolist() == scores[1].tolist() != scores[2].tolist()
    assert best(by_words, "运费 zzz qqq") == ["freight"]


def test_words_score_as_the_machine_does() -> None:
    lines = [(line, subject.id) for subject in SHOP for line in subject.lines]
    counting = TfidfVectorizer(analyzer=lambda text: features(cut(text)), sublinear_tf=True)
    matrix = counting.fit_transform([line for line, _ in lines])
    machine = LinearSVC(C=1.0, random_state=0).fit(matrix, [label for _, label in lines])
    asked = ["运费运费谁付", "哪家快递", "退退退", "券和发票 no idea"]
    words = Words.learn(lines)
    assert list(words.places) == machine.classes_.tolist()
    assert words.scores(asked) == pytest.approx(machine.decision_function(counting.transform(asked)), abs=1e-3)


@pytest.mark.parametrize("background", [Background(), Background(unanswered=("讲个笑话",)), BACKGROUND])
@pytest.mark.parametrize(
    "subjects",
    [
        pytest.param([FREIGHT, INVOICE], id="two topics"),
        pytest.param([FREIGHT, COURIER], id="one topic"),
        pytest.param(SHOP, id="six"),
    ],
)
def test_small_shops(subjects: list[Subject], background: Background) -> None:
    retriever = Retriever.learn(subjects, background, None)
    assert best(retriever, *(subject.lines[0] for subject in subjects)) == [subject.id for subject in subjects]


def test_without_an_encoder_meaning_is_words() -> None:
    asked = [Question(line) for line in FREIGHT.lines]
    one, other = (Retriever.learn(SHOP, BACKGROUND, None, mode=mode) for mode in ("meaning", "words"))
    assert one.find(asked) == other.find(asked)


# ---- stored ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", MODES)
def test_a_stored_one_scores_the_same(mode: Mode, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    known = None if mode == "words" else request.getfixturevalue("meaning")
    judge = Judge(1.5, 0.5, -2.25)
    learned = Retriever.learn(SHOP, BACKGROUND, known, judge, mode)
    learned.save(tmp_path)
    loaded = Retriever.load(tmp_path, known)
    asked = [Question("运费谁出"), Question("ｗｉｆｉ"), Question("能退吗", "return_exchange", frozenset({"coupon"}))]
    assert loaded.ids == learned.ids == sorted(subject.id for subject in SHOP)
    for one, other in zip(learned.scores(asked), loaded.scores(asked), strict=True):
        assert one.tolist() == other.tolist()
    assert loaded.find(asked) == learned.find(asked)


def test_where_nothing_is_stored(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="retriever"):
        Retriever.load(tmp_path, None)


# ---- how sure it is --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("scores", "none", "over_none", "over_others"),
    [
        ([[3, 1, 2]], [1], [[2, 0, 1]], [[1, -2, -1]]),
        ([[2, 2, 0]], [0], [[2, 2, 0]], [[0, 0, -2]]),
        ([[1], [5]], [0, 2], [[1], [3]], [[1], [1]]),
        ([[1, 4], [4, 1]], [0, 0], [[1, 4], [4, 1]], [[-3, 3], [3, -3]]),
    ],
    ids=["three", "a tie", "alone", "two questions"],
)
def test_leads(
    scores: list[list[float]], none: list[float], over_none: list[list[float]], over_others: list[list[float]]
) -> None:
    first, second = leads(np.array(scores, dtype=np.float32), np.array(none, dtype=np.float32))
    assert (first.tolist(), second.tolist()) == (over_none, over_others)


def lessons(count: int) -> tuple[Numbers, Numbers, list[bool], list[bool]]:
    """Leads of questions, the further, the likelier right; one in two has no answer."""
    random = np.random.default_rng(0)
    over_none, over_others = (random.uniform(-1, 3, count).astype(np.float32) for _ in range(2))
    chance = 1 / (1 + np.exp(-2 * (over_none + over_others - 2)))
    right = (random.uniform(size=count) < chance).tolist()
    answerable = [one or bool(coin) for one, coin in zip(right, random.uniform(size=count) < 0.3, strict=True)]
    return over_none, over_others, right, answerable


@pytest.mark.parametrize("judge", [DEFAULT_JUDGE, Judge.learn(*lessons(600))], ids=["default", "learned"])
def test_the_further_it_leads_the_surer_it_is(judge: Judge) -> None:
    steps = np.linspace(-3, 5, 17, dtype=np.float32)
    zero = np.zeros_like(steps)
    for chances in (judge.probability(steps, zero), judge.probability(zero, steps)):
        assert (np.diff(chances) > 0).all()
        assert ((chances >= 0) & (chances <= 1)).all()


def test_a_judge_is_as_sure_as_it_is_right() -> None:
    over_none, over_others, right, answerable = lessons(4000)
    chances = Judge.learn(over_none, over_others, right, answerable).probability(over_none, over_others)
    weights = np.where(answerable, 0.8 / np.mean(answerable), 0.2 / (1 - np.mean(answerable)))
    for low in (0.0, 0.2, 0.4, 0.6, 0.8):
        those = (chances >= low) & (chances < low + 0.2)
        assert those.sum() > 50
        often = np.average(np.array(right)[those], weights=weights[those])
        assert often == pytest.approx(np.average(chances[those], weights=weights[those]), abs=0.1)


def test_a_judge_takes_one_in_five_for_unanswerable() -> None:
    """However many there are among its lessons."""
    over_none, over_others, right, answerable = lessons(4000)
    more = [place for place, one in enumerate(answerable) if not one] * 4
    places = [*range(len(right)), *more]
    many = Judge.learn(
        over_none[places], over_others[places], [right[i] for i in places], [answerable[i] for i in places]
    )
    few = Judge.learn(over_none, over_others, right, answerable)
    assert (many.over_none, many.over_others, many.bias) == pytest.approx(
        (few.over_none, few.over_others, few.bias), abs=0.05
    )


def test_hits_are_what_the_judge_says(by_words: Retriever) -> None:
    asked = [Question("运费谁出")]
    over_none, over_others = leads(*by_words.scores(asked))
    chances = DEFAULT_JUDGE.probability(over_none, over_others)[0]
    (hits,) = by_words.find(asked)
    assert hits[0] == Hit("freight", round(float(chances[by_words.ids.index("freight")]), 4))
