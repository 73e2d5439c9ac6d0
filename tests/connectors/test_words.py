"""The file of words is checked when it is loaded, and says where it is wrong."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import pytest
import yaml
from pydantic import ValidationError

from connectors.inbound import MediaKind
from connectors.words import FILE, WORDS, read

BROKEN = {
    "a word that is missing": (["receipts", "moment"], None, "receipts.moment"),
    "an empty one": (["receipts", "again"], "", "receipts.again"),
    "one that nobody knows": (["receipts", "moment_"], "稍等", "receipts.moment_"),
    "something else to fill in": (["refusals", "too_many_requests"], "请 {minutes} 分钟后再试", "too_many_requests"),
    "half a bracket": (["receipts", "welcome"], "您好 {", "receipts.welcome"),
    "a kind that is missing": (["receipts", "media", "voice"], None, "receipts.media"),
    "a kind that there is not": (["marks", "smell"], "【气味】", "marks.smell"),
    "a pattern that is none": (["choices", "last"], "最后(", "choices.last"),
    "a place without its group": (["choices", "place"], "第{number}个", "choices.place"),
    "a numeral that is no number": (["choices", "numerals", "三"], "三", "choices.numerals"),
}


@pytest.mark.parametrize(("path", "value", "place"), BROKEN.values(), ids=BROKEN.keys())
def test_what_is_wrong_is_named(tmp_path: Path, path: list[str], value: object, place: str) -> None:
    told = yaml.safe_load(FILE.read_text("utf-8"))
    part = told
    for name in path[:-1]:
        part = part[name]
    if value is None:
        del part[path[-1]]
    else:
        part[path[-1]] = value
    file = tmp_path / "words.yml"
    file.write_text(yaml.safe_dump(told, allow_unicode=True), "utf-8")
    with pytest.raises(ValidationError) as error:
        read(file)
    assert any(place in ".".join(map(str, each["loc"])) for each in error.value.errors())


def test_every_kind_of_media_has_its_words() -> None:
    assert set(WORDS.receipts.media) == set(WORDS.marks) == set(get_args(MediaKind))
