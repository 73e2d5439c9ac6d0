"""The shop's knowledge as trainers write it: complete, unambiguous, and true to the rules and the code."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from copy import deepcopy
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

import settings
from bot.actions import product_compared
from demo import history
from demo.coupons import _OFFERS
from demo.parcels import _CARRIERS
from demo.seasons import on_sale
from knowledge_graph.sources import house_facts

ROOT = settings.ROOT
CONTENT = ROOT / "knowledge_graph" / "content"
PLACEHOLDER = re.compile(r"\{(\w+)\}")
TITLE_AT_MOST, ANSWER_AT_MOST, ASKS_AT_LEAST, ENTRIES_AT_LEAST = 14, 110, 10, 200
FIELDS = {"id", "kind", "title", "answer", "valid_from", "valid_until", "ask"}

Entry = dict[str, Any]


def read(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def names_in_catalogue() -> dict[str, set[str]]:
    names: dict[str, set[str]] = {"categories": set(), "products": set(), "brands": set(), "suppliers": set()}
    for path in (ROOT / "demo" / "catalogue").glob("*.yml"):
        shelf = read(path)
        for supplier in shelf["suppliers"]:
            names["suppliers"].add(supplier["name"])
            names["brands"].update(supplier["brands"])
        for category in shelf["categories"]:
            names["categories"].add(category["name"])
            names["products"].update(product["name"] for product in category["products"])
    return names


def topics() -> set[str]:
    known = read(ROOT / "bot" / "topics.yml")
    return set(known["words"]) | set(known["intents"].values())


FILES = {path.stem: read(path) for path in sorted(CONTENT.glob("*.yml")) if path.stem != "shop"}
ENTRIES: list[Entry] = [entry for file in FILES.values() for entry in file["entries"]]
SHOP: dict[str, int | str] = read(CONTENT / "shop.yml")
TERMS = house_facts()
FACTS = TERMS | SHOP
CATALOGUE = names_in_catalogue()


def plain(text: str) -> str:
    """Without case, width, punctuation, symbols and spaces."""
    return "".join(c for c in unicodedata.normalize("NFKC", text).lower() if unicodedata.category(c)[0] not in "PSZC")


def faults(entry: Entry) -> Iterator[str]:
    if missing := FIELDS - set(entry):
        yield f"without {sorted(missing)}"
        return
    if unknown := set(entry) - FIELDS - {"about", "context"}:
        yield f"unknown {sorted(unknown)}"
    if not re.fullmatch(r"[a-z][a-z0-9_]+", entry["id"]):
        yield "id not in snake_case"
    if entry["kind"] not in ("policy", "faq"):
        yield f"kind {entry['kind']}"
    if len(entry["title"]) > TITLE_AT_MOST:
        yield "title too long"
    answer = entry["answer"]
    if unknown := set(PLACEHOLDER.findall(answer)) - set(FACTS):
        yield f"unknown placeholder {sorted(unknown)}"
    elif len(answer.format_map(FACTS)) > ANSWER_AT_MOST:
        yield "answer too long"
    if re.search(r"\d", re.sub(r"“[^”]*”", "", PLACEHOLDER.sub("", unicodedata.normalize("NFKC", answer)))):
        yield "number typed into the answer"
    days = entry["valid_from"], entry["valid_until"]
    if not all(type(day) is date for day in days) or days[0] >= days[1]:
        yield "dates out of order"
    for group, names in entry.get("about", {}).items():
        if strangers := set(names) - CATALOGUE.get(group, set()):
            yield f"not in the catalogue: {group} {sorted(strangers)}"
    asks = entry["ask"]
    if len(asks) < ASKS_AT_LEAST:
        yield "too few ways of asking"
    if not all(isinstance(ask, str) and plain(ask) for ask in asks):
        yield "a way of asking that is no text"
    elif len({plain(ask) for ask in asks}) < len(asks):
        yield "asked twice in the same words"


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.get("id", "?"))
def test_an_entry_is_as_it_should_be(entry: Entry) -> None:
    assert list(faults(entry)) == []


SLIPS: list[tuple[dict[str, Any], str]] = [
    ({"id": "No-Reason"}, "id not in snake_case"),
    ({"kind": "rule"}, "kind rule"),
    ({"title": "七天无理由退货到底有哪些条件呢"}, "title too long"),
    ({"answer": "签收后 {some_days} 天内可以退。"}, "unknown placeholder ['some_days']"),
    ({"answer": "签收后 7 天内可以退。"}, "number typed into the answer"),
    ({"answer": "签收后 ７ 天内可以退。"}, "number typed into the answer"),
    ({"answer": "可以退。" * 28}, "answer too long"),
    ({"valid_until": date(2025, 1, 1)}, "dates out of order"),
    ({"valid_until": "随时"}, "dates out of order"),
    ({"about": {"categories": ["火箭"]}}, "not in the catalogue: categories ['火箭']"),
    ({"about": {"shops": ["空调"]}}, "not in the catalogue: shops ['空调']"),
    ({"ask": ["能退吗"]}, "too few ways of asking"),
    ({"ask": [f"能退吗{'啊' * n}" for n in range(10)] + ["能退吗？"]}, "asked twice in the same words"),
    ({"ask": [f"能退吗{'啊' * n}" for n in range(10)] + [618]}, "a way of asking that is no text"),
    ({"source": "店里"}, "unknown ['source']"),
]


@pytest.mark.parametrize(("slip", "fault"), SLIPS)
def test_a_slip_of_the_pen_is_found(slip: dict[str, Any], fault: str) -> None:
    assert list(faults(deepcopy(ENTRIES[0]) | slip)) == [fault]


def test_words_to_type_may_hold_digits() -> None:
    assert list(faults(deepcopy(ENTRIES[0]) | {"answer": "直接说“退 ORD12345”就行。"})) == []


def test_every_topic_has_its_file_and_there_is_enough() -> None:
    assert set(FILES) == {file["topic"] for file in FILES.values()} == topics()
    assert all(file["topic"] == name for name, file in FILES.items())
    assert len(ENTRIES) >= ENTRIES_AT_LEAST


def test_an_id_and_a_title_stand_once() -> None:
    for field in ("id", "title"):
        found = [entry[field] for entry in ENTRIES]
        assert sorted({name for name in found if found.count(name) > 1}) == [], field


def test_a_way_of_asking_stands_under_one_entry() -> None:
    seen: dict[str, str] = {}
    for entry in ENTRIES:
        for ask in entry["ask"]:
            assert seen.setdefault(plain(ask), entry["id"]) == entry["id"], f"{ask!r} is {seen[plain(ask)]} too"


def test_every_fact_of_the_shop_is_used_and_none_hides_a_limit() -> None:
    used = {name for entry in ENTRIES for name in PLACEHOLDER.findall(entry["answer"])}
    assert set(SHOP) - used == set()
    assert set(SHOP) & set(TERMS) == set()
    assert all(isinstance(value, int | str) and not isinstance(value, bool) for value in SHOP.values())


FACTS_OF_THE_CODE: list[tuple[str, int]] = [
    ("confirm_days", history._RECEIPT_CONFIRMED_AFTER.days),
    ("compare_at_most", product_compared.COMPARED_AT_MOST),
]


@pytest.mark.parametrize(("name", "value"), FACTS_OF_THE_CODE)
def test_facts_that_the_code_knows_are_the_same(name: str, value: int) -> None:
    assert SHOP[name] == value


def test_couriers_are_those_of_the_demo_mall() -> None:
    couriers = "、".join(str(SHOP[name]) for name in ("couriers", "cold_courier", "big_courier"))
    assert set(couriers.split("、")) == set(_CARRIERS)


def test_freight_is_that_of_the_demo_mall() -> None:
    terms = read(ROOT / "demo" / "freight.yml")
    told = [(entry["yuan"], entry.get("free_from")) for entry in terms]
    everywhere = (SHOP["freight_yuan"], SHOP["free_shipping_yuan"])
    assert told == [everywhere, (SHOP["far_freight_yuan"], None), (SHOP["abroad_freight_yuan"], None)]
    assert terms[1]["regions"] == str(SHOP["far_regions"]).split("、")


def test_coupons_are_those_of_the_demo_mall() -> None:
    terms = {(title, f"满 {minimum} 减 {off} 元", days) for title, off, minimum, days in _OFFERS}
    campaign = f"满 {SHOP['campaign_coupon_from']} 减 {SHOP['campaign_coupon_off']} 元"
    assert {
        ("新人礼券", SHOP["newcomer_coupon"], SHOP["newcomer_days"]),
        ("生日礼券", SHOP["birthday_coupon"], SHOP["birthday_days"]),
        ("大促加码券", campaign, SHOP["campaign_coupon_days"]),
        ("晚到补偿券", f"满 0 减 {SHOP['late_coupon_yuan']} 元", SHOP["late_coupon_days"]),
    } <= terms
    assert {SHOP["small_coupon"], SHOP["large_coupon"]} == {term for title, term, _ in terms if title == "满减券"}


@pytest.mark.parametrize("name", ["june_dates", "double11_dates"])
def test_everything_is_cheaper_on_these_dates_only(name: str) -> None:
    month, first, last = (int(number) for number in re.findall(r"\d+", str(SHOP[name])))
    begin, end = date(2027, month, first), date(2027, month, last)
    day = timedelta(days=1)
    assert [on_sale(when) for when in (begin - day, begin, end, end + day)] == [False, True, True, False]


@pytest.mark.parametrize(
    ("name", "regions"),
    [("near_days", ("江苏", "浙江", "上海")), ("far_days", tuple(str(SHOP["far_regions"]).split("、")))],
)
def test_days_on_the_way_are_those_of_the_regions(name: str, regions: tuple[str, ...]) -> None:
    days = [row["days"] for row in read(ROOT / "demo" / "regions.yml") if row["region"] in regions]
    assert len(days) == len(regions)
    assert [int(number) for number in re.findall(r"\d+", str(SHOP[name]))] == [min(days), max(days) + 2]
