"""What a message is made of."""

from __future__ import annotations

import numpy as np
import pytest

from bot.components.linear import Linear, features


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["退", "货"], ["退", "货", "^ 退", "退 货", "货 $", "#2"]),
        (["hi"], ["hi", "^ hi", "hi $", "#1"]),
        (["hello"], ["hello", "^ hello", "hello $", "&<hel", "&hell", "&ello", "&llo>", "#1"]),
        (list("一二三四五"), [*"一二三四五", "^ 一", "一 二", "二 三", "三 四", "四 五", "五 $", "#4"]),
    ],
)
def test_features(words: list[str], expected: list[str]) -> None:
    assert features(words) == expected


def test_what_is_not_known_makes_the_scores_smaller() -> None:
    columns = {feature: column for column, feature in enumerate(features(["退", "货"]))}
    model = Linear(["a", "b"], columns, np.ones((len(columns), 2)), np.zeros(2))
    assert (
        model.scores(["退", "货"])[0] > model.scores(["退", "货", "吧"])[0] > model.scores(["好", "吧", "呀"])[0] == 0
    )
