"""From what people write to where it is."""

from __future__ import annotations

import pytest

from mall_adapter import regions
from mall_adapter.models import Level


@pytest.mark.parametrize(
    ("address", "code"),
    [
        ("浙江省杭州市西湖区文三路 2 号", "330100"),
        ("浙江 杭州市 西湖区 湖滨路 18 号", "330100"),
        ("浙江杭州西湖区", "330100"),
        ("杭州市西湖区文三路", "330100"),
        ("杭州西湖", "330100"),
        ("浙江省文三路", "330000"),
        ("北京朝阳", "110000"),
        ("北京市朝阳区建国路 1 号", "110000"),
        ("上海浦东新区", "310000"),
        ("朝阳市双塔区", "211300"),
        ("朝阳区建国路", None),  # of Beijing or of Changchun
        ("辽宁朝阳", "211300"),
        ("辽宁朝阳区", "210000"),
        ("吉林市船营区", "220200"),
        ("吉林省吉林市船营区", "220200"),
        ("吉林省长春市朝阳区", "220100"),
        ("吉林 延边州 延吉市", "222400"),
        ("内蒙古自治区呼和浩特市", "150100"),
        ("广西壮族自治区桂林市", "450300"),
        ("新疆维吾尔自治区伊犁哈萨克自治州", "654000"),
        ("海南省三亚市", "460200"),
        ("海南州共和县", "632500"),
        ("湖北省仙桃市", "429004"),
        ("香港特别行政区九龙", "810000"),
        ("台湾省台北市", "710000"),
        ("苏州市姑苏区", "320500"),
        ("宿州市埇桥区", "341300"),
        ("延平路 1 号", None),
        ("", None),
    ],
)
def test_an_address_begins_with_its_region(address: str, code: str | None) -> None:
    assert regions.of_address(address) == code


def test_a_region_lies_in_others() -> None:
    assert regions.around("330100") == ("330100", "330000", "east")
    assert [regions.name_of(code) for code in regions.around("330100")] == ["杭州", "浙江", "华东"]
    assert regions.around("nowhere") == ("nowhere",)
    assert regions.name_of("海外") == "海外"  # a shop's own


@pytest.mark.parametrize(
    ("name", "code"), [("华东", "east"), ("浙江", "330000"), ("吉林", "220000"), ("宁波", "330200")]
)
def test_names_of_before_have_codes(name: str, code: str) -> None:
    assert regions.named(name) == code


def test_near_is_what_shares_the_smallest_region() -> None:
    by_distance = sorted(("510100", "330200", "330100", "310000"), key=lambda code: regions.nearness("330100", code))
    assert by_distance == ["330100", "330200", "310000", "510100"]


def test_the_tree_is_whole() -> None:
    known = regions.tree().regions
    assert sum(region.level is Level.PROVINCE for region in known) == 34
    assert sum(region.level is Level.CITY for region in known) > 333  # prefectures, and cities under a province
    for region in known:
        if region.level is Level.CITY:
            assert region.parent == f"{region.code[:2]}0000", region
