"""The after-sales rules: every row is walked, every slip of the pen is found when the file is loaded."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import settings as drawn
from hypothesis import strategies as st
from pydantic import ValidationError

import settings
from mall_adapter.policy import AfterSalesFacts, AfterSalesPolicy, Trade, merge
from mall_adapter.values import Decision, FreightPayer, OrderStatus, Reason, TicketKind
from mall_adapter.working_days import working_day_after

POLICY = AfterSalesPolicy.load()

SHOES = AfterSalesFacts(
    kind=TicketKind.RETURN,
    reason=Reason.DISLIKE,
    order_status=OrderStatus.DELIVERED,
    days_since_delivery=3,
    hours_since_delivery=72,
    parcel_lost=False,
    parcel_late=False,
    trade=Trade.CLOTHING,
    fresh=False,
    custom_made=False,
    opened=None,
    amount_cents=39900,
    tickets_last_90_days=0,
)
"""Running shoes, delivered three days ago, the customer does not like the colour."""


def after(days: int, hours: float = 0) -> dict[str, Any]:
    return {"days_since_delivery": days, "hours_since_delivery": days * 24 + hours}


NOT_DELIVERED: dict[str, Any] = {"days_since_delivery": None, "hours_since_delivery": None}


def parcel(**facts: Any) -> dict[str, Any]:
    return {"order_status": "shipped"} | NOT_DELIVERED | facts


def mooncakes(**facts: Any) -> dict[str, Any]:
    return {"trade": "food", "fresh": True} | after(days=1) | facts


# What differs from SHOES in a case that each row is for.
ROWS: dict[str, dict[str, Any]] = {
    "order_unpaid": {"order_status": "pending_payment"} | NOT_DELIVERED,
    "order_cancelled": {"order_status": "cancelled"} | NOT_DELIVERED,
    "not_shipped_exchange": {"order_status": "paid", "kind": "exchange"} | NOT_DELIVERED,
    "not_shipped_custom": {"order_status": "presale", "custom_made": True} | NOT_DELIVERED,
    "not_shipped": {"order_status": "presale", "kind": "refund"} | NOT_DELIVERED,
    "lost_parcel": parcel(parcel_lost=True, kind="refund", reason="late_delivery"),
    "in_transit_exchange": parcel(kind="exchange", reason="wrong_size"),
    "late_parcel": parcel(parcel_late=True, reason="late_delivery"),
    "delivered_late": {"parcel_late": True, "reason": "late_delivery"},
    "custom_made": {"custom_made": True},
    "fresh_no_reason": mooncakes(),
    "in_transit": parcel(reason="changed_mind"),
    "fresh_fault_refund": mooncakes(reason="quality"),
    "fresh_fault_resend": mooncakes(reason="damaged", kind="exchange"),
    "fresh_fault_too_late": mooncakes(reason="quality", **after(days=2, hours=1)),
    "fault_too_late": {"reason": "quality"} | after(days=16),
    "course_fault": {"trade": "course", "reason": "not_as_described", "opened": True},
    "missing_item_refund": {"reason": "missing_item", "kind": "refund"},
    "missing_item_resend": {"reason": "missing_item", "kind": "exchange"},
    "electronics_exchange_only": {"trade": "digital", "reason": "quality"} | after(days=8),
    "refund_without_return": {"reason": "damaged", "kind": "refund"},
    "electronics_quality_return": {"trade": "digital", "reason": "quality", "opened": True},
    "electronics_quality_exchange": {"trade": "appliance", "reason": "quality", "kind": "exchange"} | after(days=14),
    "quality_fault": {"reason": "quality"} | after(days=14),
    "shop_error": {"reason": "wrong_item"},
    "no_reason_too_late": {"order_status": "completed"} | after(days=40),
    "opened_course": {"trade": "course", "opened": True},
    "opened_cosmetics": {"trade": "beauty", "opened": True},
    "opened_electronics": {"trade": "digital", "opened": True},
    "opened_food": {"trade": "food", "opened": True},
    "refund_needs_return": {"kind": "refund"},
    "ask_opened": {"trade": "beauty"},
    "unopened_course": {"trade": "course", "opened": False},
    "seven_days_no_reason": {},
    "needs_a_person": NOT_DELIVERED,
    "over_limit": {"trade": "digital", "opened": False, "amount_cents": 899900},
    "frequent_returns": {"tickets_last_90_days": 9},
    "customer_over_limit": {"customer_cents_before": 499900},
    "rejected_before": {"rejected_before": True},
}


def facts(**changes: Any) -> AfterSalesFacts:
    return replace(SHOES, **changes)


def graph() -> dict[str, Any]:
    content: dict[str, Any] = json.loads(settings.rules_file().read_text(encoding="utf-8"))
    return content


def node(content: dict[str, Any], step: str) -> dict[str, Any]:
    return next(node["content"] for node in content["nodes"] if node["id"] == step)


def row(content: dict[str, Any], step: str, name: str) -> dict[str, str]:
    return next(row for row in node(content, step)["rules"] if json.loads(row.get("out_rule", '""')) == name)


RULES = {
    json.loads(row["out_rule"]): {
        column["field"]: json.loads(row[column["id"]]) for column in node(graph(), step)["outputs"]
    }
    for step in ("entitlement", "review")
    for row in node(graph(), step)["rules"]
}
"""Every row of the file by its name, with its outcome."""


def test_every_row_has_its_case() -> None:
    assert set(ROWS) == set(RULES)


def test_every_refusal_has_words_for_the_customer() -> None:
    domain = yaml.safe_load((settings.ROOT / "bot" / "domain.yml").read_text(encoding="utf-8"))
    refused = {name for name, row in RULES.items() if row.get("allowed") is False and not row["missing_facts"]}
    assert {f"utter_rule_{name}" for name in refused} <= set(domain["responses"])


@pytest.mark.parametrize("rule", RULES)
def test_the_row_is_reached_and_gives_its_outcome(rule: str) -> None:
    decision = POLICY.decide(facts(**ROWS[rule]), freight_cents=800)
    outcome = {name: getattr(decision, name) for name in RULES[rule].keys() - {"freight_back"}}
    if "freight_back" in RULES[rule]:
        outcome["freight_back"] = decision.freight_cents == 800
    assert outcome | {"missing_facts": list(decision.missing_facts)} == {"missing_facts": []} | RULES[rule]


REFUSED = (False, "nobody", False, 0, 0)

STORIES: list[tuple[dict[str, Any], tuple[str, bool, str, bool, int, int]]] = [
    # facts                          rule, allowed, freight, auto-approved, working days, refund in cents
    ({}, ("seven_days_no_reason", True, "customer", True, 3, 39900)),
    ({"kind": "exchange", "reason": "wrong_size"}, ("seven_days_no_reason", True, "customer", True, 3, 0)),
    ({"opened": True}, ("seven_days_no_reason", True, "customer", True, 3, 39900)),
    ({"reason": "damaged", "trade": "beauty", "opened": True}, ("shop_error", True, "shop", True, 3, 39900)),
    ({"trade": "beauty", "opened": True}, ("opened_cosmetics", *REFUSED)),
    ({"trade": "beauty", "opened": False}, ("seven_days_no_reason", True, "customer", True, 3, 39900)),
    ({"custom_made": True, "reason": "quality"}, ("quality_fault", True, "shop", True, 3, 39900)),
    (mooncakes(reason="quality"), ("fresh_fault_refund", True, "nobody", True, 1, 39900)),
    (mooncakes(reason="late_delivery", parcel_late=True), ("delivered_late", True, "shop", False, 3, 39900)),
    (ROWS["not_shipped"] | {"amount_cents": 899900}, ("not_shipped", True, "nobody", True, 1, 899900)),
    (ROWS["lost_parcel"] | {"amount_cents": 899900}, ("over_limit", True, "nobody", False, 5, 899900)),
    (ROWS["over_limit"] | {"reason": "quality"}, ("over_limit", True, "shop", False, 5, 899900)),
    (parcel(custom_made=True), ("custom_made", *REFUSED)),
    ({"reason": "late_delivery"}, ("seven_days_no_reason", True, "customer", True, 3, 39900)),
    ({"parcel_late": True}, ("seven_days_no_reason", True, "customer", True, 3, 39900)),
    (ROWS["delivered_late"] | after(days=10), ("no_reason_too_late", *REFUSED)),
    ({"reason": "quality"} | after(days=1), ("quality_fault", True, "shop", True, 3, 39900)),
    ({"reason": "damaged", "kind": "exchange"} | after(days=1), ("shop_error", True, "shop", True, 3, 0)),
    ({"trade": "food", "opened": False}, ("seven_days_no_reason", True, "customer", True, 3, 39900)),
    ({"trade": "digital", "opened": False, "kind": "exchange"}, ("seven_days_no_reason", True, "customer", True, 3, 0)),
    ({"trade": "beauty", "opened": True} | after(days=10), ("no_reason_too_late", *REFUSED)),
    ({"trade": "beauty", "kind": "refund"}, ("refund_needs_return", *REFUSED)),
    ({"trade": "course", "kind": "refund", "opened": False}, ("unopened_course", True, "nobody", True, 1, 39900)),
    (parcel(trade="food", fresh=True), ("fresh_no_reason", *REFUSED)),
    (parcel(kind="exchange", parcel_late=True), ("in_transit_exchange", *REFUSED)),
    (ROWS["fresh_fault_resend"] | after(days=3), ("fresh_fault_too_late", *REFUSED)),
]


@pytest.mark.parametrize(("changes", "expected"), STORIES)
def test_stories(changes: dict[str, Any], expected: tuple[str, bool, str, bool, int, int]) -> None:
    rule, allowed, freight, auto_approve, handling_days, refund_cents = expected
    assert POLICY.decide(facts(**changes)) == Decision(
        allowed, rule, FreightPayer(freight), auto_approve, handling_days, refund_cents, missing_facts=()
    )


BOUNDARIES: list[tuple[str, dict[str, Any], str, str]] = [
    # limit, facts, rule exactly at the limit, rule just beyond
    ("no_reason_days", {}, "seven_days_no_reason", "no_reason_too_late"),
    ("no_reason_days", {"trade": "beauty"}, "ask_opened", "no_reason_too_late"),
    ("fault_days", {"reason": "damaged"}, "shop_error", "fault_too_late"),
    (
        "electronics_return_days",
        ROWS["electronics_quality_return"],
        "electronics_quality_return",
        "electronics_exchange_only",
    ),
    ("fresh_fault_hours", mooncakes(reason="quality"), "fresh_fault_refund", "fresh_fault_too_late"),
]


@pytest.mark.parametrize(("limit", "changes", "within", "beyond"), BOUNDARIES)
def test_a_limit_includes_its_last_moment(limit: str, changes: dict[str, Any], within: str, beyond: str) -> None:
    most = POLICY.limits[limit]
    if limit.endswith("hours"):
        last, next_ = {"hours_since_delivery": most}, {"hours_since_delivery": most + 0.01}
    else:  # delivered just after midnight and asked just before; delivered just before and asked just after
        last, next_ = after(days=most, hours=23.9), after(days=most + 1, hours=-23.9)
    assert POLICY.decide(facts(**changes | last)).rule == within
    assert POLICY.decide(facts(**changes | next_)).rule == beyond


def test_amount_and_frequency_limits() -> None:
    most, many = POLICY.limits["auto_approve_cents"], POLICY.limits["frequent_tickets"]
    assert POLICY.decide(facts(amount_cents=most)).auto_approve
    assert not POLICY.decide(facts(amount_cents=most + 1)).auto_approve
    assert POLICY.decide(facts(tickets_last_90_days=many - 1)).auto_approve
    assert not POLICY.decide(facts(tickets_last_90_days=many)).auto_approve


@drawn(deadline=None)
@given(
    st.builds(
        AfterSalesFacts,
        amount_cents=st.integers(0, 10**7),
        tickets_last_90_days=st.integers(0, 20),
    ),
    st.just(NOT_DELIVERED) | st.builds(after, st.integers(-1, 40), st.floats(-24, 24)),
)
def test_any_request_is_decided_and_one_answer_is_enough(
    request_facts: AfterSalesFacts, delivery: dict[str, Any]
) -> None:
    request_facts = replace(request_facts, **delivery)
    decision = POLICY.decide(request_facts)
    assert decision.rule in RULES
    assert decision.refund_cents in (0, request_facts.amount_cents)
    if request_facts.order_status in ("delivered", "completed") and delivery == NOT_DELIVERED:
        assert not decision.allowed  # nobody knows when it arrived: a person must look
    if decision.missing_facts:
        assert request_facts.opened is None
        for answer in (True, False):
            assert not POLICY.decide(replace(request_facts, opened=answer)).missing_facts


# Several lines in one request


def test_a_question_about_one_line_comes_before_the_approval_of_another() -> None:
    lipstick, shirt = facts(trade="beauty", amount_cents=12900), facts(amount_cents=8900)
    asked = POLICY.decide(lipstick, shirt)
    assert (asked.rule, asked.allowed, asked.missing_facts) == ("ask_opened", False, ("opened",))
    answered = POLICY.decide(replace(lipstick, opened=False), replace(shirt, opened=False))
    assert (answered.rule, answered.allowed, answered.refund_cents) == ("seven_days_no_reason", True, 21800)


def test_a_refused_line_refuses_the_request_and_nothing_is_asked() -> None:
    decision = POLICY.decide(facts(trade="beauty"), facts(), facts(**mooncakes()))
    assert (decision.rule, decision.allowed, decision.refund_cents) == ("fresh_no_reason", False, 0)
    assert decision.missing_facts == ()


def test_the_amount_limit_counts_the_whole_request() -> None:
    half = facts(amount_cents=POLICY.limits["auto_approve_cents"] // 2 + 1)
    assert POLICY.decide(half).auto_approve
    decision = POLICY.decide(half, half)
    assert (decision.rule, decision.auto_approve, decision.refund_cents) == ("over_limit", False, 2 * half.amount_cents)


def test_the_limits_count_what_was_asked_before() -> None:
    most, of_customer = POLICY.limits["auto_approve_cents"], POLICY.limits["customer_cents"]
    small = facts(amount_cents=most // 4)
    for before, rule in ((most - most // 4, "seven_days_no_reason"), (most - most // 4 + 1, "over_limit")):
        assert POLICY.decide(replace(small, order_cents_before=before)).rule == rule
    assert POLICY.decide(replace(small, customer_cents_before=of_customer)).rule == "customer_over_limit"


def test_the_freight_goes_back_where_every_line_says_so() -> None:
    broken, disliked = facts(reason="quality"), facts()
    decision = POLICY.decide(broken, broken, freight_cents=800)
    assert (decision.refund_cents, decision.freight_cents) == (2 * 39900 + 800, 800)
    assert POLICY.decide(broken, disliked, freight_cents=800).freight_cents == 0
    assert POLICY.decide(facts(reason="quality", kind="exchange"), freight_cents=800).refund_cents == 0


def test_merge_takes_the_strictest_of_each() -> None:
    decisions = [
        Decision(True, "fresh_fault_refund", FreightPayer.NOBODY, True, 1, 500),
        Decision(True, "course_fault", FreightPayer.SHOP, False, 3, 700),
        Decision(True, "seven_days_no_reason", FreightPayer.CUSTOMER, True, 5, 900),
    ]
    assert merge(decisions) == Decision(True, "course_fault", FreightPayer.CUSTOMER, False, 5, 2100)


def test_facts_that_the_rules_do_not_know_are_refused() -> None:
    with pytest.raises(ValidationError, match="trade"):
        facts(trade="electronics")
    with pytest.raises(ValidationError, match="amount_cents"):
        facts(amount_cents=-1)


def test_an_operator_changes_a_limit_without_python(tmp_path: Path) -> None:
    content = graph()
    node(content, "limits")["expressions"][0]["value"] = "30"
    file = tmp_path / "rules.json"
    file.write_text(json.dumps(content), encoding="utf-8")
    generous = AfterSalesPolicy.load(file)
    assert generous.limits["no_reason_days"] == 30
    assert generous.decide(facts(**after(days=30))).rule == "seven_days_no_reason"


# Working days


@pytest.mark.parametrize(
    ("start", "days", "expected"),
    [
        (date(2026, 11, 23), 3, date(2026, 11, 26)),  # a plain week
        (date(2026, 11, 26), 3, date(2026, 12, 1)),  # over a weekend
        (date(2026, 9, 18), 1, date(2026, 9, 20)),  # Sunday worked for National Day
        (date(2026, 9, 30), 3, date(2026, 10, 10)),  # National Day, and the Saturday worked for it
        (date(2026, 2, 13), 2, date(2026, 2, 24)),  # Spring Festival
        (date(2040, 2, 10), 1, date(2040, 2, 17)),  # far from any announcement: Spring Festival is off all the same
    ],
)
def test_working_days_know_chinese_holidays(start: date, days: int, expected: date) -> None:
    assert working_day_after(start, days) == expected
