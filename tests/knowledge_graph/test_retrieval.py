"""Which answer a question finds, among a few answers of a made-up shop."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.svm import LinearSVC

import encoder
from knowledge_graph import CERTAIN
from knowledge_graph.retrieval import (
    BEST,
    BY_BOTH,
    BY_WORDS,
    LIKE_CERTAIN,
    Background,
    Cover,
    Encoder,
    Hit,
    Judge,
    Numbers,
    Question,
    Retriever,
    Subject,
    Words,
)
from knowledge_graph.text import cut, features

MODES = ("words", "words and meaning")

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


@pytest.fixture(scope="module")
def meaning() -> Encoder:
    return encoder.load() or pytest.skip("there is no encoder here")


@pytest.fixture(scope="module", params=MODES)
def retriever(request: pytest.FixtureRequest) -> Iterator[Retriever]:
    known = None if request.param == "words" else request.getfixturevalue("meaning")
    yield Retriever.learn(SHOP, BACKGROUND, known)


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
    asked = ["how much is shipping", "can I have a receipt", "any voucher"]
    assert best(Retriever.learn(SHOP, BACKGROUND, meaning), *asked) == ["freight", "invoice", "coupon"]
    assert best(by_words, *asked) != ["freight", "invoice", "coupon"]


@pytest.mark.parametrize("text", ["是顺丰吗", "是 順豐 嗎？", "走哪家物流！！！"])
def test_what_is_asked_word_for_word_is_certain(retriever: Retriever, text: str) -> None:
    (hits,) = retriever.find([Question(text)])
    assert hits[0] == Hit("courier", 1.0)
    assert [hit.score for hit in hits[1:]] == [0.0, 0.0]


def test_the_likeliest_come_first(retriever: Retriever) -> None:
    for hits in retriever.find([Question("快递运费"), Question("能退吗"), Question("券")]):
        assert len(hits) == BEST == len({hit.id for hit in hits})
        assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)
        assert all(0 <= hit.score <= 1 for hit in hits)


def test_what_no_answer_covers_is_less_likely(by_words: Retriever) -> None:
    known, unknown = by_words.find([Question("不喜欢能退吗"), Question("今天天气怎么样")])
    assert unknown[0].score < 0.3 < 0.6 < known[0].score


def test_many_at_once_are_answered_as_one_by_one(retriever: Retriever) -> None:
    asked = [Question(f"{line}呀") for subject in SHOP for line in subject.lines] * 10  # more than are compared at once
    together = retriever.find(asked)
    assert len(together) == len(asked) > 256
    for question, hits in list(zip(asked, together, strict=True))[::37]:
        (alone,) = retriever.find([question])
        assert alone[0].id == hits[0].id
        assert alone[0].score == pytest.approx(hits[0].score, abs=0.05)  # whole numbers are rounded together


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
    assert first[0].id == second[0].id  # the encoder hears a question mark


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
        (Question("多久能到", near=frozenset({"a"})), "a"),
        (Question("多久能到", near=frozenset({"b", "nobody_wrote_this"})), "b"),
        (Question("能开发票吗", near=frozenset({"b"})), "invoice"),
    ],
)
@pytest.mark.parametrize("mode", MODES)
def test_what_is_talked_of_breaks_a_tie(
    mode: str, question: Question, found: str, request: pytest.FixtureRequest
) -> None:
    known = None if mode == "words" else request.getfixturevalue("meaning")
    assert best(Retriever.learn(TWINS, BACKGROUND, known), question) == [found]


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


# ---- stored ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", MODES)
def test_a_stored_one_scores_the_same(mode: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    known = None if mode == "words" else request.getfixturevalue("meaning")
    judge = Judge(1.5, 0.5, 7.0, 0.0, -2.25)
    learned = Retriever.learn(SHOP, BACKGROUND, known, judge)
    learned.save(tmp_path)
    loaded = Retriever.load(tmp_path, known)
    asked = [Question("运费谁出"), Question("ｗｉｆｉ"), Question("能退吗", frozenset({"coupon"}))]
    assert loaded.ids == learned.ids == sorted(subject.id for subject in SHOP)
    for one, other in zip(learned.find(asked), loaded.find(asked), strict=True):
        assert [hit.id for hit in one] == [hit.id for hit in other]
        assert [hit.score for hit in one] == pytest.approx([hit.score for hit in other], abs=2e-3)  # kept in half


class Named:
    """An encoder of some other weights."""

    name = "another one"

    def encode(self, texts: Sequence[str]) -> Numbers:
        raise AssertionError("nothing that it reads can be compared")


@pytest.mark.parametrize("here", [None, Named()], ids=["no encoder", "another encoder"])
def test_a_judge_of_words_and_meaning_does_not_judge_words_alone(
    meaning: Encoder, tmp_path: Path, caplog: pytest.LogCaptureFixture, here: Encoder | None
) -> None:
    by_both, by_words = Judge(1.5, 0.5, 30.0, 0.0, 12.0), Judge(6.0, 1.5, 1.0, 0.0, 0.5)
    Retriever.learn(SHOP, BACKGROUND, meaning, by_both, by_words).save(tmp_path)
    loaded = Retriever.load(tmp_path, here)
    alone = Retriever.learn(SHOP, BACKGROUND, None, by_words)
    asked = [Question("运费要谁来出"), Question("发票咋开"), Question("今天天气好吗")]
    for one, other in zip(loaded.find(asked), alone.find(asked), strict=True):
        assert [hit.id for hit in one] == [hit.id for hit in other]
        assert [hit.score for hit in one] == pytest.approx([hit.score for hit in other], abs=2e-3)
    assert [line for line in caplog.messages if "by words alone" in line]


def test_where_nothing_is_stored(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="retriever"):
        Retriever.load(tmp_path, None)


# ---- how sure it is --------------------------------------------------------------------------------------------------


def lessons(count: int) -> tuple[Numbers, list[int]]:
    """Evidence for three answers and none, and what is right: two kinds tell it, noisily, the others say nothing."""
    random = np.random.default_rng(0)
    right = random.integers(0, 4, count)
    evidence = random.normal(size=(count, 4, 4)).astype(np.float32)
    evidence[np.arange(count), right, :2] += 1.5
    return evidence, right.tolist()


def test_a_judge_learns_what_tells_most() -> None:
    judge = Judge.learn(*lessons(4000))
    assert judge.words == pytest.approx(judge.topic, abs=0.2)
    assert judge.words > 1 > 0.1 > max(abs(judge.meaning), abs(judge.cover))


def test_a_judge_is_as_sure_as_it_is_right() -> None:
    evidence, right = lessons(8000)
    judge = Judge.learn(evidence[:4000], right[:4000])
    chances, truth = judge.chances(evidence[4000:]), np.array(right[4000:])
    assert chances.sum(axis=1) == pytest.approx(1, abs=1e-4)
    of_answers, best = chances.max(axis=1), chances.argmax(axis=1)
    for low in (0.4, 0.6, 0.8):
        those = (of_answers >= low) & (of_answers < low + 0.2) & (truth < 3)
        assert those.sum() > 50
        assert (best == truth)[those].mean() == pytest.approx(of_answers[those].mean(), abs=0.12)


def test_a_judge_takes_one_in_five_for_unanswerable() -> None:
    """However many there are among its lessons."""
    evidence, right = lessons(4000)
    more = [place for place, one in enumerate(right) if one == 3] * 4
    places = [*range(len(right)), *more]
    many, few = Judge.learn(evidence[places], [right[i] for i in places]), Judge.learn(evidence, right)
    assert (many.words, many.topic, many.none) == pytest.approx((few.words, few.topic, few.none), abs=0.05)


def test_hits_are_what_the_judge_says(by_words: Retriever) -> None:
    """But for certainty, which is kept for an answer's very words."""
    (chances,) = BY_WORDS.chances(by_words.evidence(["运费要谁来出"]))
    (hits,) = by_words.find([Question("运费要谁来出")])
    freight = float(chances[by_words.ids.index("freight")])
    assert hits[0] == Hit("freight", round(min(freight, LIKE_CERTAIN), 4))
    assert freight > LIKE_CERTAIN and LIKE_CERTAIN < CERTAIN


def test_with_meaning_words_weigh_less() -> None:
    assert BY_BOTH.meaning > BY_WORDS.meaning == 0
    assert BY_BOTH.words < BY_WORDS.words


# ---- what a question names -------------------------------------------------------------------------------------------

OFTEN = [f"能不能退款第{word}回" for word in "甲乙丙丁戊己庚辛壬癸" for _ in range(200)]
"""What is asked again and again says little about what a question is about."""


@pytest.mark.parametrize(
    ("question", "sentence"),
    [
        ("光有营业执照行吗", "要有营业执照和授权。"),
        ("个人不能入驻是吧", "个人不能入驻。"),
        ("能不能退款", None),  # often asked, though a sentence holds it
        ("多久发货", None),
        ("", None),
    ],
)
def test_the_sentence_that_a_question_is_about(question: str, sentence: str | None) -> None:
    retriever = Retriever.learn(SHOP, Background(tuple(OFTEN)), None)
    assert retriever.sentence(question, "要有营业执照和授权；个人不能入驻。能不能退款看合同。") == sentence


@pytest.mark.parametrize(
    ("question", "sentence"),
    [
        ("新的那件寄出来谁掏钱", "换货寄新件的运费都由店里出。"),
        ("自己不想要了那种", "不喜欢、不合适的，寄回运费您出。"),
        ("今天星期几", None),  # near to none of them
    ],
)
def test_of_what_is_about_an_answer_the_sentence_nearest_in_meaning_will_do(
    question: str, sentence: str | None, meaning: Encoder, by_words: Retriever
) -> None:
    text = "质量问题、破损的店里出：您先付，凭快递单退；不喜欢、不合适的，寄回运费您出。换货寄新件的运费都由店里出。"
    retriever = Retriever.learn(SHOP, BACKGROUND, meaning)
    assert retriever.sentence(question, text, about_it=True) == sentence
    assert retriever.sentence(question, text) is None  # whether it is about this is not known
    assert by_words.sentence(question, text, about_it=True) is None


def test_how_much_of_a_question_stands_with_an_answer() -> None:
    cover = Cover.learn([("能刻字吗", "定制可以刻字"), ("能退吗", "定制不能退")], ["能不能便宜"])
    engraving, returning = cover.scores(["定制刻字", "定制", "火星"]).T
    assert engraving[0] > returning[0] > 0
    assert engraving[1] == returning[1] == 1
    assert engraving[2] == returning[2] == 0
