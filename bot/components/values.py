"""Values that follow a rule, in normalised text: numbers of orders, tickets and phones, tax numbers, e-mail addresses,
sizes, quantities, and what points at something.

Readers go over a message one after another, the surest first. What one has claimed is cut out before the next reads, so
that no character is heard twice: the digits of an order are never a tax number's, those of a phone never a quantity.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

from bot.spelling import DIGITS


class Find(NamedTuple):
    entity: str
    start: int
    end: int
    value: str | int
    weak: bool = False  # gives way to a stronger find of its kind


class Claim(NamedTuple):
    """``text[start:end]`` is spoken for: by ``finds``, or by what is none of ours (the number of a parcel)."""

    start: int
    end: int
    finds: tuple[Find, ...] = ()


CUT = "\0"

# Words that the patterns below share. Text is lower case and simplified; only 、 and 。 are left of wide punctuation.
_DIGIT = "[0-9" + "".join(DIGITS) + "]"
_DASH = "[ _–—‐-]"
_LINK = "[ 是为叫系:#=的,]{0,4}"  # between a name and its value: "订单号是：12345"
_CORRECTED = "[ 是为叫:#=的,应该改成写填错了不对]{0,9}"  # "税号写错了，应该是"
_ASSERTED = f"[^0-9{CUT}.,!?;。]{{0,8}}?[ ,]?(?:(?<!不)是|应该是?|应?为|成|填|写|:)"  # "尾号我记得是"
_ORDER_NAME = "[订定]单(?:编号|号码|号)?|单号|编号"
_TICKET_NAME = "(?:工单|售后单)(?:编号|号码|号)?"
_CARRIER = "顺丰|圆通|中通|申通|韵达|极兔|德邦|邮政|京东快递"
_PARCEL = "快递|物流|包裹"
_TAX_NAME = "税号|税务登记号|识别号|信用代码|tax ?(?:number|no[.]?|id)"
_TAIL_NAME = (
    "尾号|尾数|尾巴|(?:最后|[后末][面尾]?)的?[四4][位个码]数?字?|手机号码?|电话号码?|号码"
    "|last (?:four|4)(?: digits?| numbers?)?(?: is| are)?|(?:phone|number) end(?:s|ing)?(?: in| with)?"
)
_MEASURE = "个款件单条双种项样张笔"
_GOODS_MEASURE = "款件双条单种台部笔"
# A number before one of these says how much, when or where. Only what cannot begin another clause: "5678多久发货"
_UNIT = (
    " ?(?:[年月日号款块元圆万千百点分秒天升克斤米瓦度层楼室栋幢期倍次页折%°件双条套台盒瓶箱份袋罐枚]"
    "|个(?!人)|弄(?![错丢坏])|公[斤里分升]|毫[升安米克]|厘米|平[方米]|像素|积分|能量|美[元金]|人民币|左右|上下|[以之][上下内]|多[块元个件年天米]|余元"
    "|(?:ml|mah|k?g|mg|l|[mck]?m|w|v|hz|px|rmb|cny|yuan|kuai|usd|dollars?|bucks|points?|units?|pieces?|pcs)(?![a-z]))"
)
_BEFORE_AMOUNTS = re.compile(
    "(?:[$¥€£#*+@_]|[0-9][-/.:~]|不是|满|减|花了?|付了?|价|价格|卖|预算|便宜|优惠|[一总]共|大概|差不多|超过|不到|[低高]于|至少|最多"
    "|约|路|街|大道|巷|弄|幢|栋|楼|室|座|单元|门牌号?|房间号?|[证件密货]码|型号|积分|能量"
    "|(?<![a-z])(?:not|in|since|from|until|year|for|costs?|paid|about|around|under|over|below|above|than|room|model))"
    "(?:是|到|改成|为|:)? ?$"
)
_SEASON = re.compile("(?:19|20)[0-9]{2}[春夏秋冬新老]")
# Characters of a message that says nothing but numbers, politely: "您好，我的订单号是12345，谢谢"
_POLITE = re.compile(
    "(?:[订定单号码手机电话尾谢给你您好这里个喏嗯对我就是系的吧啊呀哦噢呢嘛哈咯哟了啦和跟请]|[^\\w¥$€£%°+*/=@<>-]"
    "|(?<![a-z])(?:it|is|its|s|my|the|phone|number|order|please|thanks?|thank|you|yes|ok|hi|hello|and)(?![a-z]))*"
)
_NO_THING = (  # "这个月", "刚才的地址": nothing that an order or a product could be
    "月(?![饼季嫂])|季度|周末|星期|礼拜|时候|时间|钟|问题|意思|事|情况|人(?!参)|地方|样子|年代|活动|流程|微信|公众|啥"
    "|号|尾号|手机号|电话|地址|名字|信息|客服|回[复答]"
)

_EMAIL = re.compile(r"(?<![a-z0-9_.+-])[a-z0-9_.+-]+ ?@ ?[a-z0-9-]+(?:\.[a-z0-9-]+)*\.[a-z]{2,}")

_GROUPS = rf"[0-9]+(?:{_DASH}[0-9]+(?![0-9]|{_UNIT}))*"
_ORDER = re.compile(rf"(?<![a-z])o ?r ?d[ :#._–—-]{{0,3}}(?P<number>{_GROUPS})")
_TICKET = re.compile(rf"(?<![0-9a-z])r ?t[ :#._–—-]{{0,3}}(?P<number>{_GROUPS})")
_NAMED_TICKET = re.compile(rf"{_TICKET_NAME}{_LINK}(?P<number>[0-9]{{5,14}})(?![0-9])")
# 13 digits and more are a slip, but still nobody's tax number
_NAMED_ORDER = re.compile(
    rf"(?<![递流运工后])(?:{_ORDER_NAME}){_LINK}(?P<number>[0-9]{{4}}{_DASH}[0-9]{{4}}{_DASH}[0-9]{{4}}|[0-9]{{6}}{_DASH}[0-9]{{6}}"
    rf"|[0-9]{{5,}})(?![0-9]|[a-z]+[0-9])"
    rf"|(?<![a-z])order(?: ?(?:number|num|no\.?|id))?(?: is)?[ :#]{{0,2}}(?P<english>[0-9]{{5,}})(?![0-9]|{_UNIT})"
    r"|(?<![0-9])(?P<before>[0-9]{5,12})(?:这个|那个|这笔|那笔|这|那|号|的)?(?:[订定]单|单子)"
)
_PARCEL_NUMBER = re.compile(
    rf"(?:(?:{_PARCEL}|{_CARRIER}|运)(?:单号?|编号|号)|tracking(?: ?(?:number|no\.?|code|id))?){_LINK}[a-z]{{0,4}}[ -]?"
    r"(?:[0-9]{8,22}|[0-9]{2,7}(?:[ -][0-9]{2,6}){2,5}|[0-9]{4,7})(?![0-9])"
    rf"|(?:{_CARRIER}){_LINK}[a-z]{{0,4}}[ -]?(?!1[3-9][0-9]{{9}}(?![0-9]))[0-9]{{4,22}}(?![0-9a-z])"
    rf"|(?:{_PARCEL}){_LINK}[a-z]{{0,4}}[ -]?(?!1[3-9][0-9]{{9}}(?![0-9]))[0-9]{{8,22}}(?![0-9a-z])"
    r"|(?<![0-9a-z])(?:sf|jd[a-z]{0,2}|jt|yt|yd|zto|sto|ems|dpk)[ -]?[0-9]{8,20}(?![0-9a-z])"
)
_MOBILE = re.compile(
    rf"(?<![0-9])(?<![0-9][a-z])(?:(?:\+|(?<![0-9a-z])(?:00)?)86{_DASH}?)?"
    rf"(?P<number>1[3-9][0-9]{{9}}|(?<![0-9]{{4}}[ -])(?:1[3-9][0-9]"
    rf"(?:{_DASH}?[0-9]{{4}}{_DASH}?[0-9]{{4}}|[0-9]{_DASH}[0-9]{{4}}{_DASH}?[0-9]{{3}}|{_DASH}[0-9]{{3}}{_DASH}[0-9]{{5}})"
    r"|1(?: [0-9]){10}))(?![0-9])"
    rf"|(?<!{_DIGIT})(?P<spoken>[1一幺][3-9三四五六七八九]{_DIGIT}{{9}})(?!{_DIGIT})"
    rf"|(?<![0-9a-z])(?:1[3-9][0-9]{{1,2}}{_DASH}?[*x•·×]+|\*){_DASH}?(?P<masked>[0-9]{{4}})(?![0-9])"
)

_TAX_RUNS = re.compile("[0-9a-z]+(?:[ –—_-][0-9a-z]+)*")
_NAMED_TAX = re.compile(f"(?:{_TAX_NAME})(?: is)?{_CORRECTED}(?P<runs>[0-9a-z]+(?:[ –—_-][0-9a-z]+){{0,21}})")
_TAX_LENGTHS = (18, 15, 20, 17)  # today's first
_INSIDE_ADDRESS = re.compile("[0-9a-z][/=?&@._]$")  # of a web page

_TAIL = rf"{_DIGIT}{{4}}|{_DIGIT}{{2}}[ -]{_DIGIT}{{2}}|{_DIGIT}(?:[ -]{_DIGIT}){{3}}"
_NAMED_TAIL = re.compile(
    rf"(?:{_TAIL_NAME})(?:不是(?:{_TAIL})[ ,的]*(?:而|应该)?)?(?:{_LINK}|{_ASSERTED} ?)"
    rf"(?P<number>{_TAIL})(?!{_DIGIT}|[a-z.%年款块元万千百十])"
    rf"|(?:{_TAIL_NAME}){_LINK}[四4]个(?P<same>{_DIGIT})(?!\w)"
    rf"|(?:手机|电话|(?<![a-z])phone(?: number)?(?: is)?){_LINK}(?P<alone>{_TAIL})(?!{_UNIT})(?=[^\w%]|$)"
    rf"|(?<!{_DIGIT})(?P<before>{_TAIL})(?:结尾|收尾|(?:这个)?尾号)(?!{_LINK}{_DIGIT})"
)
# "ORD12345 5678" amid other words: the four digits right behind an order's number are its phone's
_TAIL_BEHIND = re.compile(rf"[ ,、/]{{1,3}}(?P<number>{_TAIL})(?!{_DIGIT}|[a-z.%]|{_UNIT})")
_FOUR_DIGITS = re.compile(
    rf"(?<![0-9a-z])[0-9]{{4}}(?![0-9a-z]|[-/.:~][0-9]|{_UNIT})"
    rf"|(?<!\w)(?<!{_DIGIT} )(?:{_DIGIT}{{4}}|{_DIGIT}(?: {_DIGIT}){{3}})(?!\w| {_DIGIT}|[-/.:~][0-9]|{_UNIT})"
)
_NUMBER = re.compile(rf"(?:{_TAIL})(?! ?{_DIGIT})|[0-9]+|{_DIGIT}+")

_LETTER_SIZE = "[2-9]?x{1,5}[sl]"
_SIZE = re.compile(
    r"(?<![0-9.])(?P<number>[1-9][0-9]{1,2}(?:\.5)?)(?:(?= ?[/、,~和或到-] ?[1-9][0-9](?:\.5)? ?码)"
    r"| ?码(?P<half>半(?![天个年月价]))?)"
    r"|(?<![大小])(?P<spoken>[二三四五](?:十[一二三四五六七八九]?|[零一二三四五六七八九]))码"
    rf"|(?:尺码|鞋码|码数|(?<![a-z])size){_LINK}(?P<named>[1-9][0-9]{{0,2}}(?:\.5)?|{_LETTER_SIZE}|[sml])"
    r"(?![0-9a-z'年月日块元个天折]|\.[0-9])"
    rf"|(?<![0-9a-z'’])(?<!phone )(?P<letters>{_LETTER_SIZE})(?! max|[0-9a-z])(?: ?[码号])?"
    r"|(?<![0-9a-z'’&.+-])(?<![0-9a-z] )(?P<letter>[sml])(?! ?[0-9a-z]|['’&.+-]|[级型钩豆])(?: ?[码号])?"
    r"|(?<![偏太])(?<!不是)(?:(?P<larger>大)|(?P<smaller>[小细]))(?:[一1半两二2]个?|个)[码号]"
    r"|换个?(?:(?P<large>大)|(?P<small>[小细]))[码号]"
    r"|(?<![a-z])size (?:(?P<up>up|larger|bigger)|down|smaller)(?![a-z])"
    r"|(?<![a-z])(?:(?P<bigger>larger|bigger)|smaller) size(?![a-z])"
)
_LARGER = frozenset({"larger", "large", "up", "bigger"})

_COUNT = "十[一二三四五六七八九]?|[一二两三四五六七八九](?:十[一二三四五六七八九]?)?|[0-9]{1,3}"
_QUANTITY = re.compile(
    rf"(?<![第几百千万亿十.]|{_DIGIT})(?P<number>{_COUNT}) ?"
    r"(?:个(?!月|多?小时|多?星期|多?礼拜|工作日|自然日|问题|疑问|事|人|字|电话|地方|办法|好评|差评)|件(?!事)"
    r"|[双只条套台盒瓶包箱份张本支袋罐枚对])"
)
_ORDINAL = re.compile(
    rf"(?P<back>倒数)?第 ?(?P<number>{_COUNT}) ?(?:[{_MEASURE}]|(?![次天年月名步批代期十百]))"
    rf"|(?P<last>(?:最后|最[下底后][面边]?的?)(?:那一?|这|一)?[{_MEASURE}](?!问题|事|月|星期|礼拜|小时)"
    rf"|(?:[下底][面边下]的?)[那这]一?[{_MEASURE}])"
    rf"|(?P<first>(?:最[上前][面边头]?的?)(?:那一?|这|一)?[{_MEASURE}])"
    rf"|(?P<above>上[面边头]的?[那这]一?[{_MEASURE}])"
    r"|(?<![a-z])(?P<word>first|second|third|last)(?: one)?"
    r"(?![a-z]| (?:time|name|day|night|week|month|year|four|4)(?![a-z]))"
)
_ORDINAL_WORDS = {"first": 1, "second": 2, "third": 3, "last": -1}
_MENTION = re.compile(
    rf"(?:刚才|刚刚|上面|前面|之前)[那这说看问发]?[^,.!?。{CUT}]{{0,3}}?[个{_GOODS_MEASURE}样]"
    rf"|刚[才刚]?(?:提交|申请|生成|弄|办|建|下)?[过好完]?的(?!{_NO_THING})(?:那[个{_GOODS_MEASURE}])?"
    # a value right before or behind, "尾号5678那单", "那个ORD12345", says which one is meant
    rf"|(?<![{CUT}块元])[这那](?:[款双种台笔]|件(?!事)|条(?!件)|单(?![位独纯])|部(?![分门])|样(?=东西|商品))"
    rf"|(?<![{CUT}块元的])(?!\A那个[,.~ ])(?:这|(?<![边间])那)个(?! ?{CUT}|{_NO_THING})"
    r"|(?<!其)[它牠]"
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


def _group(match: re.Match[str]) -> str:
    """The name of the group that took part, of a pattern whose alternatives have one each."""
    return match.lastgroup or ""


def _claim(entity: str, match: re.Match[str], value: str | int, group: str | int = 0) -> Claim:
    """The whole of ``match``, names and all; the value stands in ``group``."""
    return Claim(*match.span(), (Find(entity, *match.span(group), value),))


def _number(written: str, most: int) -> tuple[str, int]:
    """The number that groups of digits begin with, and how many characters it takes.

    Short groups belong together ("1234 5678 9012"); one of five digits or more is the whole number (a phone's tail
    may follow: "12345 5678") unless two of six make the twelve that the mall gives."""
    groups = [(match.group(), match.end()) for match in re.finditer("[0-9]+", written)]
    number, end = groups[0]
    if len(number) >= 5:
        halves = len(groups) > 1 and len(number) == len(groups[1][0]) == 6
        return (number + groups[1][0], groups[1][1]) if halves else (number, end)
    for digits, after in groups[1:]:
        if len(number) + len(digits) > most:
            break
        number, end = number + digits, after
    return number, end


def _with_tail(text: str, claim: Claim) -> Claim:
    behind = _TAIL_BEHIND.match(text, claim.end)
    if not behind:
        return claim
    return Claim(
        claim.start,
        behind.end(),
        (*claim.finds, Find("phone_tail", *behind.span("number"), _digits(behind["number"]))),
    )


def _emails(text: str) -> Iterator[Claim]:
    if "@" in text:
        for match in _EMAIL.finditer(text):
            yield _claim("email", match, match.group().replace(" ", ""))


def _orders(text: str) -> Iterator[Claim]:
    for match in _ORDER.finditer(text):
        number, length = _number(match["number"], 12)
        end = match.start("number") + length
        if 5 <= len(number) <= 12:
            yield _with_tail(text, Claim(match.start(), end, (Find("order_id", match.start(), end, f"ORD{number}"),)))
        else:
            yield Claim(match.start(), end)  # too short or too long, and nothing else either


def _tickets(text: str) -> Iterator[Claim]:
    for match in _TICKET.finditer(text):
        number, length = _number(match["number"], 14)
        end = match.start("number") + length
        right = 5 <= len(number) <= 14
        yield Claim(match.start(), end, (Find("ticket_id", match.start(), end, f"RT{number}"),) if right else ())
    for match in _NAMED_TICKET.finditer(text):
        yield _claim("ticket_id", match, f"RT{match['number']}", "number")


def _parcels(text: str) -> Iterator[Claim]:
    for match in _PARCEL_NUMBER.finditer(text):
        yield Claim(*match.span())


def _joined(groups: list[tuple[str, int]]) -> Iterator[tuple[str, int]]:
    """What the first of ``groups`` may be together with those behind it; one of 15 characters is enough by itself."""
    number, end = groups[0]
    yield number, end
    for more, after in groups[1:]:
        # words do not belong to it: "91310115 MA1K35X31M please"
        if len(groups[0][0]) >= 15 or len(number) + len(more) > 22 or not (len(more) <= 1 or re.search("[0-9]", more)):
            return
        number, end = number + more, after
        yield number, end


def _tax_number(groups: list[tuple[str, int]], named: bool) -> tuple[str, int] | None:
    """The tax number that ``groups`` begin with, and where it ends."""
    if not re.search("[0-9]", groups[0][0]):
        return None
    candidates = {len(number): (number, end) for number, end in _joined(groups)}
    for length in _TAX_LENGTHS:
        number, end = candidates.get(length, ("", 0))
        if len(re.findall("[0-9]", number)) >= 8:
            return number, end
    wrong = [candidates[length] for length in sorted(candidates) if 10 <= length <= 22]
    return wrong[0] if named and wrong else None


def _groups(match: re.Match[str], group: str | int = 0) -> list[tuple[str, int]]:
    """The runs of letters and digits, each with the place where it ends."""
    return [(run.group(), match.start(group) + run.end()) for run in re.finditer("[0-9a-z]+", match[group])]


def _named_tax_numbers(text: str) -> Iterator[Claim]:
    for match in _NAMED_TAX.finditer(text):
        if found := _tax_number(_groups(match, "runs"), named=True):
            number, end = found
            yield Claim(match.start(), end, (Find("tax_number", match.start("runs"), end, number.upper()),))


def _tax_numbers(text: str) -> Iterator[Claim]:
    if len(re.findall("[0-9]", text)) < 8:
        return
    for runs in _TAX_RUNS.finditer(text):
        if len(runs.group()) < 15 or _INSIDE_ADDRESS.search(text[max(0, runs.start() - 2) : runs.start()]):
            continue
        groups, taken = _groups(runs), runs.start()
        for place, (group, group_end) in enumerate(groups):
            start, last = group_end - len(group), place + 1
            if start < taken:
                continue
            # dates and other short groups are not put together without a name
            while last < min(len(groups), place + 6) and len(groups[last - 1][0]) >= 4:
                last += 1
            if found := _tax_number(groups[place:last], named=False):
                number, taken = found
                yield Claim(start, taken, (Find("tax_number", start, taken, number.upper()),))


def _mobiles(text: str) -> Iterator[Claim]:
    for match in _MOBILE.finditer(text):
        number = _digits(match[_group(match)])
        whole = () if match["masked"] else (Find("phone", *match.span(), number),)
        yield Claim(*match.span(), (*whole, Find("phone_tail", *match.span(), number[-4:], weak=True)))


def _named_orders(text: str) -> Iterator[Claim]:
    for match in _NAMED_ORDER.finditer(text):
        number = _digits(match[_group(match)])
        if len(number) <= 12:
            yield _with_tail(text, _claim("order_id", match, f"ORD{number}", _group(match)))
        else:
            yield Claim(*match.span())


def _named_tails(text: str) -> Iterator[Claim]:
    for match in _NAMED_TAIL.finditer(text):
        tail = _digits(match[_group(match)])
        yield _claim("phone_tail", match, tail * 4 if match["same"] else tail, _group(match))  # "尾号四个8"


def _sizes(text: str) -> Iterator[Claim]:
    for match in _SIZE.finditer(text):
        size = match["number"] or match["named"] or match["letters"] or match["letter"]
        if size:
            yield _claim("size", match, size.upper() + (".5" if match["half"] else ""))
        elif spoken := match["spoken"]:
            yield _claim("size", match, str(_count(spoken)) if "十" in spoken else _digits(spoken))
        else:
            yield _claim("size", match, "larger" if match.lastgroup in _LARGER else "smaller")


def _pointers(text: str) -> Iterator[Claim]:
    for match in _ORDINAL.finditer(text):
        if match["number"]:
            place = _count(match["number"]) * (-1 if match["back"] else 1)
        else:
            place = _ORDINAL_WORDS.get(match["word"], -1 if match["last"] else 1)
        claim = _claim("ordinal", match, place)
        if match["above"]:  # the first of a list, or what was said last: who reads it knows whether there is a list
            claim = Claim(*match.span(), (*claim.finds, Find("mention", *match.span(), "last")))
        if place:
            yield claim
    for match in _MENTION.finditer(text):
        yield _claim("mention", match, "last")


def _quantities(text: str) -> Iterator[Claim]:
    for match in _QUANTITY.finditer(text):
        if (count := _count(match["number"])) > 0:
            yield _claim("quantity", match, count)


_READERS: tuple[Callable[[str], Iterator[Claim]], ...] = (
    *(_emails, _orders, _tickets, _parcels, _named_tax_numbers, _mobiles, _named_orders, _tax_numbers, _named_tails),
    *(_sizes, _pointers, _quantities),
)


def _bare(text: str, found: set[str]) -> list[Find]:
    """Finds in a message that, but for what was ``found``, holds only numbers: one order number, one phone tail."""
    finds = []
    for match in _NUMBER.finditer(text):
        number = _digits(match.group())
        if len(number) == 4:
            finds.append(Find("phone_tail", *match.span(), number))
        elif match.group().isdecimal() and 5 <= len(number) <= 12:
            finds.append(Find("order_id", *match.span(), f"ORD{number}"))
        else:  # a date, a price, a size: then the others are not ours either
            return []
    kinds = [find.entity for find in finds]
    return [find for find in finds if kinds.count(find.entity) == 1 and find.entity not in found]


def _amid_words(text: str) -> Iterator[Find]:
    """Four digits that could be a phone's tail where one has just been asked for."""
    for match in _FOUR_DIGITS.finditer(text):
        before = text[max(0, match.start() - 10) : match.start()]
        if not _BEFORE_AMOUNTS.search(before) and not _SEASON.match(text, match.start()):
            yield Find("four_digits", *match.span(), _digits(match.group()))


def read(text: str) -> list[Find]:
    """All values in normalised ``text``, in the order in which they stand."""
    rest = text
    finds: list[Find] = []
    for reader in _READERS:
        for start, end, found in reader(rest):
            if CUT not in rest[start:end]:  # the first to claim a place keeps it
                rest = rest[:start] + CUT * (end - start) + rest[end:]
                finds.extend(found)
    words = rest.replace(CUT, " ")
    if _POLITE.fullmatch(_NUMBER.sub("", words)):
        finds.extend(_bare(words, {find.entity for find in finds}))
    else:
        finds.extend(_amid_words(rest))
    if any(find.entity == "phone_tail" and not find.weak for find in finds):
        finds = [find for find in finds if not find.weak]
    return sorted(finds, key=lambda find: find.start)
