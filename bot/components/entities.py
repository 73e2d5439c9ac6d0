"""Order numbers, last digits of a phone, quantities, and what "第二个" and "刚才那款" point at.

Shapes that follow a rule are found by rule: a statistical extractor would have to be shown every spelling. Values are
canonical (``ORD12345``, ``5678``, ``2``), spans point into the customer's own text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from rasa.engine.graph import ExecutionContext, GraphComponent
from rasa.engine.recipes.default_recipe import DefaultV1Recipe
from rasa.engine.storage.resource import Resource
from rasa.engine.storage.storage import ModelStorage
from rasa.nlu.extractors.extractor import EntityExtractorMixin
from rasa.shared.nlu.constants import ENTITIES, TEXT
from rasa.shared.nlu.training_data.message import Message

from bot.components.text import DIGITS, normalize


@dataclass(frozen=True)
class Entity:
    """A find: ``text[start:end]`` of the original text stands for ``value``."""

    entity: str
    start: int
    end: int
    value: str | int


_DIGIT = "[0-9" + "".join(DIGITS) + "]"
_DASH = "[ _–—‐-]"
_LINK = "[ 是为叫:#的,，]{0,4}"  # what stands between "订单号" and the number

# "ORD12345", "ord-123 45": a group of five digits or more is the whole number (more may follow: "ORD12345 5678"),
# shorter groups belong together
_ORDER = re.compile(
    r"(?<![a-z])o ?r ?d[ :#.–—_-]{0,3}"
    rf"(?P<number>[0-9]{{5,12}}(?![0-9])|[0-9]{{1,4}}(?:{_DASH}[0-9]{{1,4}}(?![0-9]))+)"
)
# "ORD12345 5678" amid other words: the four digits right behind an order's number are its phone's
_TAIL_BEHIND = re.compile(r"[ ,，、/]{1,3}(?P<number>[0-9]{4})(?![0-9a-z.%年月日号款块元万千百])")
_MOBILE = re.compile(
    rf"(?<![0-9])(?:\+?86{_DASH}?)?1[3-9][0-9]{_DASH}?(?:[0-9]{{4}}|[*x]+){_DASH}?(?P<tail>[0-9]{{4}})(?![0-9])"
)
# A parcel's number ("快递单号", "运单号") is not an order's
_NAMED_ORDER = re.compile(
    rf"(?<![递流运])(?:[订定]单(?:编号|号码|号)?|单号|编号){_LINK}(?P<number>[0-9]{{5,12}})(?![0-9])"
    rf"|(?<![0-9])(?P<before>[0-9]{{5,12}})(?:这个|那个|这笔|那笔|这|那|号|的)?(?:[订定]单|单子)"
)
_TAIL = rf"{_DIGIT}{{4}}|{_DIGIT}(?: {_DIGIT}){{3}}"
_NAMED_TAIL = re.compile(
    rf"(?:尾号|尾数|[后末][面]?[四4]位数?字?|手机号码?|电话号码?|号码){_LINK}(?P<number>{_TAIL})(?!{_DIGIT}|[a-z.%年款块元万千百十])"
    rf"|(?:手机|电话){_LINK}(?P<alone>{_TAIL})(?=[^\w%]|$)"
    rf"|(?<!{_DIGIT})(?P<before>{_TAIL})(?:结尾|收尾|尾号|这个尾号)"
)
_NUMBER = re.compile(rf"(?:{_TAIL})(?! ?{_DIGIT})|[0-9]+|{_DIGIT}+")
# Characters of a message that says nothing but numbers, politely: "您好，我的订单号是12345，谢谢"
_POLITE = re.compile(r"[订定单号码手机电话尾谢给你您好这里个喏嗯对我就是的吧啊呀哦呢了啦和跟 ,.!?~:;、。#()\"']*")
_COUNT = "十[一二三四五六七八九]?|[一二两三四五六七八九](?:十[一二三四五六七八九]?)?|[0-9]{1,3}"
_QUANTITY = re.compile(
    rf"(?<![第几百千万亿十.]|{_DIGIT})(?P<number>{_COUNT}) ?"
    r"(?:个(?!月|多?小时|多?星期|多?礼拜|工作日|自然日|问题|疑问|事|人|字|电话|地方|办法|好评|差评)|件(?!事)"
    r"|[双只条套台盒瓶包箱份张本支袋罐枚对])"
)

_ORDINAL = re.compile(
    rf"第 ?(?P<number>{_COUNT}) ?(?:[个款件单条双种项样张笔]|(?![次天年月名步批代期十百]))"
    r"|(?P<last>(?:倒数第一|最后|最下面的?)(?:那|一)?(?:个|款|件|单|条|双|种|项|样|张|笔))"
    r"|(?<![a-z])(?P<word>first|second|third|last)(?: one)?(?![a-z])"
)
_ORDINAL_WORDS = {"first": 1, "second": 2, "third": 3, "last": -1}
_MENTION = re.compile(
    r"(?:刚才|刚刚|上面|前面|之前)(?:那|这|说|看|问|发)?[^,.!?，。！？]{0,3}?(?:个|款|件|双|条|单|种|样|台|部)"
    r"|[这那][款件双条单种样台部]|(?<!其)[它牠]"
)


def _digits(text: str) -> str:
    """The digits that ``text`` spells, in ASCII: "五六 7 8" → "5678"."""
    return "".join(str(DIGITS.get(c, c)) for c in text if c in DIGITS or c.isdecimal())


def _count(text: str) -> int:
    """The number below 1000 that ``text`` spells: "12", "十二", "二十"."""
    if text.isdecimal():
        return int(text)
    tens, ten, ones = text.rpartition("十")
    return (DIGITS.get(tens, 1) * 10 if ten else 0) + DIGITS.get(ones, 0)


def _is_mobile(number: str) -> bool:
    return bool(re.fullmatch("1[3-9][0-9]{9}", number))


def _named(text: str) -> Iterator[tuple[str, int, int, str | int]]:
    """Finds that their surroundings make certain, as ``(entity, start, end, value)`` in normalised text."""
    for match in _ORDER.finditer(text):
        number = _digits(match["number"])
        if 5 <= len(number) <= 12:
            yield "order_id", *match.span(), f"ORD{number}"
            if behind := _TAIL_BEHIND.match(text, match.end()):
                yield "phone_tail", *behind.span("number"), behind["number"]
    for match in _MOBILE.finditer(text):
        yield "phone_tail", *match.span(), match["tail"]
    for match in _NAMED_ORDER.finditer(text):
        group = "number" if match["number"] else "before"
        if not _is_mobile(match[group]):
            yield "order_id", *match.span(group), f"ORD{match[group]}"
    for match in _NAMED_TAIL.finditer(text):
        group = next(name for name, found in match.groupdict().items() if found)
        yield "phone_tail", *match.span(group), _digits(match[group])
    for match in _ORDINAL.finditer(text):
        place = _count(match["number"]) if match["number"] else _ORDINAL_WORDS.get(match["word"], -1)
        if place:
            yield "ordinal", *match.span(), place
    for match in _MENTION.finditer(text):
        yield "mention", *match.span(), "last"
    for match in _QUANTITY.finditer(text):
        if (count := _count(match["number"])) > 0:
            yield "quantity", *match.span(), count


def _bare(text: str, found: set[str]) -> Iterator[tuple[str, int, int, str | int]]:
    """Finds in a message that, but for what was ``found``, holds only numbers: one order number, one phone tail."""
    if not _POLITE.fullmatch(_NUMBER.sub("", text)):
        return
    finds = []
    for match in _NUMBER.finditer(text):
        number = _digits(match.group())
        if len(number) == 4:
            finds.append(("phone_tail", *match.span(), number))
        elif match.group().isdecimal() and 5 <= len(number) <= 12:
            finds.append(("order_id", *match.span(), f"ORD{number}"))
        else:  # a date, a price, a size: then the others are not ours either
            return
    kinds = [kind for kind, *_ in finds]
    yield from (find for find in finds if kinds.count(find[0]) == 1 and find[0] not in found)


def extract(text: str) -> list[Entity]:
    """All order numbers, phone tails and quantities of ``text``, in the order in which they stand."""
    normalized = normalize(text)
    rest = normalized.text
    finds: list[tuple[str, int, int, str | int]] = []
    for find in _named(normalized.text):
        _, start, end, _ = find
        if "\0" not in rest[start:end]:  # the first to claim a place keeps it
            rest = rest[:start] + "\0" * (end - start) + rest[end:]
            finds.append(find)
    finds.extend(_bare(rest.replace("\0", " "), {kind for kind, *_ in finds}))
    return [
        Entity(kind, *normalized.span(start, end), value)
        for kind, start, end, value in sorted(finds, key=lambda find: find[1])
    ]


@DefaultV1Recipe.register(DefaultV1Recipe.ComponentType.ENTITY_EXTRACTOR, is_trainable=False)
class ShopEntityExtractor(GraphComponent, EntityExtractorMixin):
    """Adds :func:`extract`'s finds to the entities of each message."""

    @classmethod
    def create(
        cls,
        config: dict[str, Any],
        model_storage: ModelStorage,
        resource: Resource,
        execution_context: ExecutionContext,
    ) -> ShopEntityExtractor:
        return cls()

    def process(self, messages: list[Message]) -> list[Message]:
        for message in messages:
            found = self.add_extractor_name([vars(entity).copy() for entity in extract(message.get(TEXT))])
            message.set(ENTITIES, message.get(ENTITIES, []) + found, add_to_output=True)
        return messages
