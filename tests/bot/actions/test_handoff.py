"""How many stars are in a customer's words."""

from __future__ import annotations

import pytest

from bot.actions.handoff import stars_in


@pytest.mark.parametrize(
    ("words", "stars"),
    [
        ("五星", 5),
        ("5分", 5),
        ("给你打5分", 5),
        ("8分", 4),
        ("8分,扣两分因为慢", 4),
        ("今天的接待我打9分", 5),
        ("中规中矩,给个七分", 4),
        ("10分满分", 5),
        ("80分吧", 4),
        ("零分", 1),
        ("3 out of 5", 3),
        ("great service, 10/10", 5),
        ("7/10", 4),
        ("2 stars", 2),
        ("物流一星，客服五星", 5),
        ("两颗星", 2),
        ("⭐⭐⭐", 3),
        ("👍", 5),
        ("满分💯", 5),
        ("五星好评", 5),
        ("给个差评,1星", 1),
        ("差评", 1),
        ("不满意", 2),
        ("没解决,评价不满意", 2),
        ("满意", 4),
        ("非常满意", 5),
        ("一般般吧,3分", 3),
        ("凑合", 3),
        ("服务評價", None),
        ("我要评价", None),
        ("ORD12345", None),
    ],
)
def test_stars(words: str, stars: int | None) -> None:
    assert stars_in(words) == stars
