"""What a customer types when the parcel shall go elsewhere."""

from __future__ import annotations

import pytest

from bot.actions.delivery import read_delivery


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("上海市徐汇区漕溪路 250 号 5 楼", {"address": "上海市徐汇区漕溪路 250 号 5 楼"}),
        ("地址改成浙江省杭州市西湖区湖滨路18号", {"address": "浙江省杭州市西湖区湖滨路18号"}),
        (
            "收件人王小明 13900001111 上海市浦东新区张江路 12 号",
            {"recipient_name": "王小明", "phone": "13900001111", "address": "上海市浦东新区张江路 12 号"},
        ),
        (
            "北京市海淀区中关村大街1号 李强 139 0000 1111",
            {"recipient_name": "李强", "phone": "13900001111", "address": "北京市海淀区中关村大街1号"},
        ),
        ("电话换成 13900001111", {"phone": "13900001111"}),
        ("改到公司吧", {}),
        ("嗯", {}),
    ],
)
def test_read_delivery(text: str, found: dict[str, str]) -> None:
    assert read_delivery(text) == found
