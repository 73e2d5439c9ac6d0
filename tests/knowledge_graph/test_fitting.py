"""Which goods go together, as the catalogue says it."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from knowledge_graph import Product
from knowledge_graph.fitting import nearest_in_price, pairs_that_fit


def goods(name: str, brand: str, **attributes: str) -> Product:
    return Product(name, name, brand, "相机", "S1", "供应商", None, attributes)


CAMERAS = [
    goods("拓光年 T7 全画幅微单", "拓光年"),
    goods("拓光年 T3 微单 5G", "拓光年"),
    goods("岩羚 T7 三脚架", "岩羚"),
]


@pytest.mark.parametrize(
    ("brand", "attributes", "fits"),
    [
        pytest.param("拓光年", {"兼容机型": "拓光年 T7"}, {"拓光年 T7 全画幅微单"}, id="a model and its brand"),
        pytest.param("拓光年", {"适配机型": "T3"}, {"拓光年 T3 微单 5G"}, id="a model of its own brand"),
        pytest.param("岩羚", {"兼容机型": "T7"}, {"岩羚 T7 三脚架"}, id="which another brand has, too"),
        pytest.param(
            "岩羚", {"兼容机型": "拓光年Ｔ7或t3，按机型"}, {"拓光年 T7 全画幅微单", "拓光年 T3 微单 5G"}, id="two"
        ),
        pytest.param("拓光年", {"适用网络": "5G"}, set(), id="no model"),
        pytest.param("拓光年", {"重量": "比 T7 轻 20 g"}, set(), id="another attribute"),
        pytest.param("拓光年", {"兼容机型": "T70"}, set(), id="the beginning of a model"),
        pytest.param("禾炊", {"兼容机型": "T7"}, set(), id="of no brand here"),
    ],
)
def test_what_fits(brand: str, attributes: dict[str, str], fits: set[str]) -> None:
    battery = goods(f"{brand} 电池", brand, **attributes)
    found = pairs_that_fit([battery, *CAMERAS])
    assert {other for pair in found for other in pair} - {battery.id} == fits


def test_a_model_that_two_products_bear_says_nothing() -> None:
    battery = goods("拓光年 电池", "拓光年", 兼容机型="T7")
    assert pairs_that_fit([battery, *CAMERAS, goods("拓光年 T7 套机", "拓光年")]) == []


def test_two_that_name_each_other_are_one_pair() -> None:
    camera = goods("拓光年 T9 微单", "拓光年", 适用电池="TB-90")
    battery = goods("拓光年 TB-90 电池", "拓光年", 兼容机型="拓光年 T9")
    assert pairs_that_fit([camera, battery]) == [(camera.id, battery.id)]


@dataclass
class Kettle:
    id: str
    price_min_cents: int
    category: str = "电水壶"


def test_what_stands_in_costs_about_as_much() -> None:
    shelf = [Kettle("K1", 10000), Kettle("K2", 11000), Kettle("K3", 9500), Kettle("K4", 30000)]
    found = nearest_in_price([*shelf, Kettle("M1", 10000, "净水器")])
    assert found == {"K1": ("K2", "K3"), "K2": ("K1", "K3"), "K3": ("K1", "K2"), "K4": (), "M1": ()}
    many = nearest_in_price(Kettle(f"{place:03}", 10000 + 10 * place) for place in range(100))
    assert many["050"] == ("047", "048", "049", "051", "052", "053")
