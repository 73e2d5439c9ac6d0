"""How what was asked and talked of weighs on what a message means, case by case."""

from __future__ import annotations

from typing import Any

import pytest
from rasa.shared.utils.io import read_yaml_file

from bot.components.acts import Acts
from bot.components.dialogue.evidence import TOO_CLOSE, UNSURE, Context, in_context
from bot.components.entities import extract
from tests.bot.components.talk import ACTS, ROOT

CONFIG = ROOT / "bot/config.yml"
NOTHING, GOODS, ANSWER, ORDER = Context(), Context(None, "product"), Context(None, "answer"), Context(None, "order")
SIZE, TAIL, INVOICE = Context("size"), Context("phone_tail"), Context("order_id")


def parse(text: str, guesses: dict[str, float], acts: Acts = ACTS) -> dict[str, Any]:
    ranking = [{"name": name, "confidence": guess} for name, guess in guesses.items()]
    entities = [vars(entity) for entity in extract(text)]
    return {"text": text, "intent": ranking[0], "intent_ranking": ranking, "entities": entities, "acts": acts.of(text)}


@pytest.mark.parametrize(
    ("text", "guesses", "context", "intent"),
    [
        # a value is a value
        ("L", {"out_of_scope": 0.49, "affirm": 0.08, "inform": 0.03}, SIZE, "inform"),
        ("系5678", {"affirm": 0.9, "inform": 0.05, "deny": 0.02}, TAIL, "inform"),
        ("5678啦", {"chitchat": 0.5, "inform": 0.2}, NOTHING, "inform"),
        ("5678 对吧？", {"affirm": 0.8, "inform": 0.1}, TAIL, "affirm"),
        # answers goods talked of
        ("便宜点的呢", {"ask_promotion": 0.5, "recommend_product": 0.3}, GOODS, "recommend_product"),
        ("便宜点的呢", {"ask_promotion": 0.5, "recommend_product": 0.3}, NOTHING, "ask_promotion"),
        ("那防水吗", {"report_problem": 0.5, "ask_product": 0.2}, GOODS, "ask_product"),
        # goes on about the rule that was just told
        ("那到账要多久", {"ask_price": 0.5, "ask_policy": 0.3}, ANSWER, "ask_policy"),
        ("微信付的也一样？", {"report_problem": 0.75, "ask_policy": 0.11}, ANSWER, "ask_policy"),
        ("微信付的也一样？", {"report_problem": 0.75, "ask_policy": 0.11}, NOTHING, "report_problem"),
        ("那要幾耐", {"chitchat": 0.4, "track_parcel": 0.2}, ORDER, "track_parcel"),
        # until when an order is needed that is talked of
        ("我老婆后天生日", {"chitchat": 0.88, "out_of_scope": 0.05}, ORDER, "worry_delivery"),
        ("我老婆后天生日", {"chitchat": 0.88, "out_of_scope": 0.05}, NOTHING, "chitchat"),
        ("后天生日送什么好", {"recommend_product": 0.9}, ORDER, "recommend_product"),
        # a bare question beside a ticket, and what narrows goods
        ("还要几天啊", {"track_parcel": 0.67, "ticket_status": 0.01}, Context(None, "ticket"), "ticket_status"),
        ("还要几天啊", {"track_parcel": 0.67, "ticket_status": 0.01}, ORDER, "track_parcel"),
        ("大概两千", {"ask_price": 0.61, "inform": 0.2}, GOODS, "recommend_product"),
        ("大概两千", {"ask_price": 0.61, "inform": 0.2}, NOTHING, "ask_price"),
        ("最好是蓝的", {"chitchat": 0.5, "deny": 0.1}, GOODS, "recommend_product"),
        # what is sure stays sure, and so does what names its own subject
        ("我要退货", {"request_return": 0.95, "ask_policy": 0.02}, ANSWER, "request_return"),
        ("那我的快递到哪了？", {"track_parcel": 0.97, "ask_policy": 0.01}, ANSWER, "track_parcel"),
        ("那 ORD12345 呢？", {"order_status": 0.5, "ask_policy": 0.2}, ANSWER, "order_status"),
        # a company's name wants an invoice, whatever was asked
        ("杭州明日科技有限公司", {"out_of_scope": 0.84, "request_invoice": 0.1}, INVOICE, "request_invoice"),
        ("杭州明日科技有限公司", {"out_of_scope": 0.84, "request_invoice": 0.1}, NOTHING, "request_invoice"),
        # too close to call
        ("那呢？", {"chitchat": 0.24, "ask_policy": 0.03}, ANSWER, "nlu_fallback"),
        ("这个呢？", {"nlu_fallback": 0.4, "chitchat": 0.35, "ask_policy": 0.3}, ANSWER, "ask_policy"),
    ],
)
def test_what_weighs(text: str, guesses: dict[str, float], context: Context, intent: str) -> None:
    weighed = in_context(parse(text, guesses), context)
    assert weighed["intent"]["name"] == intent, weighed["intent_ranking"]
    assert weighed["intent"] == weighed["intent_ranking"][0]
    assert sum(guess["confidence"] for guess in weighed["intent_ranking"] if guess["name"] != "nlu_fallback") <= 1.001


PARCEL, TALK = {"track_parcel": 0.3, "urge_shipment": 0.2, "greet": 0.2}, {"chitchat": 0.3, "out_of_scope": 0.2}
RETURN = {"request_return": 0.45, "worry_delivery": 0.1}


@pytest.mark.parametrize(
    ("text", "feeling", "guesses", "context", "intent"),
    [
        # no guess is clear: of those about a parcel that one is meant which has the feeling
        ("我的快递怎么还没到啊 急死了", "worry", PARCEL, NOTHING, "worry_delivery"),
        ("我的快递怎么还没到啊 急死了", "urge", PARCEL, NOTHING, "urge_shipment"),
        ("你们又骗我", "anger", TALK, NOTHING, "complain"),
        ("呵呵 你们真行", "anger", {"chitchat": 0.8, "complain": 0.1}, NOTHING, "complain"),  # no talk for its own sake
        # calm, or clear, or an answer to what was asked: nothing changes
        ("我的快递怎么还没到啊", "neutral", PARCEL, NOTHING, "nlu_fallback"),
        ("我的快递怎么还没到啊 急死了", "worry", {"track_parcel": 0.6, "greet": 0.1}, NOTHING, "track_parcel"),
        ("不知道了呀这个 急死了我真的是", "worry", PARCEL, SIZE, "nlu_fallback"),
        ("你们仓库养不养猫？", "anger", {"out_of_scope": 0.8}, NOTHING, "out_of_scope"),
        # about something else than a parcel, unless an order is named
        ("表白失败怎么办 好慌", "worry", TALK, NOTHING, "nlu_fallback"),
        ("ORD12345 会不会出什么事 好慌", "worry", TALK, NOTHING, "worry_delivery"),
        ("ORD12345 想退又怕不给退", "worry", RETURN, NOTHING, "request_return"),
    ],
)
def test_what_is_felt_weighs_where_no_guess_is_clear(
    text: str, feeling: str, guesses: dict[str, float], context: Context, intent: str
) -> None:
    before = parse(text, guesses) | {"worry": {"score": 0.6, "label": feeling, "cues": []}}
    if max(guesses.values()) < UNSURE:  # as FallbackClassifier leaves it
        undecided = {"name": "nlu_fallback", "confidence": 0.4}
        before |= {"intent": undecided, "intent_ranking": [undecided, *before["intent_ranking"]]}
    after = in_context(before, context)
    assert after["intent"]["name"] == intent, after["intent_ranking"]
    assert sum(one["confidence"] for one in after["intent_ranking"] if one["name"] != "nlu_fallback") <= 1.001


@pytest.mark.parametrize("text", ["我要退货", "/affirm"])
def test_without_evidence_a_parse_stays_as_it_was(text: str) -> None:
    before = parse(text, {"request_return": 0.6, "affirm": 0.3})
    assert in_context(before, NOTHING) == before
    assert in_context({"text": "", "intent": {"name": None}}, GOODS) == {"text": "", "intent": {"name": None}}


def frame(asked_in: int, status: str = "open") -> dict[str, Any]:
    told = {"flow": "after_sales", "intent": "request_return", "key": "m1", "began": 1}
    return {**told, "status": status, "asked": "size", "asked_in": asked_in}


@pytest.mark.parametrize(
    ("slots", "context"),
    [
        ({}, NOTHING),
        ({"dialogue": {"turn": 3, "stack": [frame(3)]}}, SIZE),
        ({"dialogue": {"turn": 4, "stack": [frame(3)]}}, NOTHING),  # not on the screen any more
        ({"dialogue": {"turn": 3, "stack": [frame(3, "parked")]}}, NOTHING),
        ({"dialogue": {"turn": 3}, "focus": {"product": {"id": "p", "turn": 3}}}, GOODS),
        ({"dialogue": {"turn": 5}, "focus": {"product": {"id": "p", "turn": 3}}}, NOTHING),
        (
            {"dialogue": {"turn": 3}, "focus": {"product": {"id": "p", "turn": 2}, "answer": {"id": "a", "turn": 3}}},
            ANSWER,
        ),
        (
            {"dialogue": {"turn": 3}, "focus": {"product": None, "written": {"id": "t", "turn": 3}}},
            Context(None, "ticket"),
        ),
    ],
)
def test_the_context_is_what_stands_in_the_slots(slots: dict[str, Any], context: Context) -> None:
    assert Context.of(slots) == context


def test_no_guess_is_taken_where_the_pipeline_takes_none() -> None:
    (fallback,) = (one for one in read_yaml_file(CONFIG)["pipeline"] if one["name"] == "FallbackClassifier")
    assert (fallback["threshold"], fallback["ambiguity_threshold"]) == (UNSURE, TOO_CLOSE)
