"""One message as the actions read it: what was meant, how surely, and which values it holds."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from rasa_sdk import Tracker

T = TypeVar("T")

ANSWERS = frozenset({"inform", "affirm", "deny", "correct", "nlu_fallback"})
"""Intents of messages that only mean something as an answer to what was asked."""

CLEAR = 0.4
"""Confidence from which an intent is taken at its word while another answer is expected."""

LIKELY = 0.15
"""Confidence from which a yes or no counts as the answer to a yes-or-no question."""

_GOODS = frozenset({"product", "brand", "category"})
_NUMBERS = frozenset({"order_id", "phone_tail", "ticket_id"})
_NAMED = re.compile(r"(?:订单编?号?|[工单]单号?|[尾单]号|\border(?: number)?)(?:是|为)?[ :：#]*$", re.IGNORECASE)

MOBILE = re.compile(r"(?<!\d)(?:\+?86[ -]?)?(1[3-9]\d[ -]?\d{4}[ -]?\d{4})(?!\d)")

_NUMBER = re.compile(r"(?=[A-Za-z]*\d)[A-Za-z0-9]{6,}")
_GIVES_UP = re.compile(
    r"(?:那|我|还是|算了|先|暂时|就)*不(?:想|用|再)?(?:退|换|改|绑|开|取消|撤|办|弄|搞)(?:定)?(?:货|款|票|地址)?了(?:吧|啊|哈|谢谢)?"
)
_WHAT = "(?:这个?|什么|啥)?(?:订?单号?|订单编号|号码?|手机号?|尾号|后四位)"
_LOST = re.compile(
    r"(?:我|真的?|也|都|这个?|那个?|啊|呀)*"
    rf"(?:(?:不知道|不清楚|不记得|记不得|记不清|忘了?|忘记了?|找不[到着]|查不到)(?:{_WHAT})?|没有?{_WHAT})"
    r"(?:[了啊呀的呢吧]|怎么办|咋办|咋整|[在去上]哪[里儿]?[看找查]?)*"
    r"|(?:i )?(?:dont|don t|do not|cant|can t|cannot) (?:know|remember|find)(?: (?:it|the|my|order|number|id))*"
    r"|(?:i )?(?:forgot|lost)(?: it)?"
)
_LOOKS = (  # "我找人工" and "我查下快递" are wishes
    r"我?(?:先|去|得|给你)*(?:"
    r"(?:找找|翻翻|看看|查查|问问|[找翻看查问]一?下)(?:{0})?|[找翻看查问](?:{0}))"
).format("我?的?(?:手机|短信|记录|截图|单号|订单号|号码?|尾号|地址|税号|抬头|家里人?|妈|爸|老公|老婆|对象|同事|会计)")
_PAUSES = re.compile(
    rf"(?:[好行嗯哦啊]的?)?(?:您|你|先|请|麻烦|稍)*等(?:等|一等|一?下下?|一?会儿?|我一?下?)?[啊哈哦呀吧]?(?:{_LOOKS})?"
    rf"|(?:稍等|等)?{_LOOKS}"
    r"|(?:hold on|wait|hang on|one|just a|give me a)(?: a| one)?(?: (?:sec|second|moment|minute|min))?(?: please)?"
)
_QUESTION = re.compile(
    r"[?？吗呢么]|哪|什么|多少|几[天个时点]|怎么|为啥|咋|啥|谁|是否|能不能|可不可以|有没有|查|看看|看一?下|告诉|问"
    r"|\b(?:where|when|how|what|why|who|can|could|is|are|do|does|check)\b",
    re.IGNORECASE,
)
_SAYS_NOTHING = re.compile(r"[\W_]+|[是的了吧呀啊哦嗯呢就这个那单号我您你好请]")


@dataclass(frozen=True, slots=True)
class Turn:
    text: str
    intent: str
    confidence: float
    ranking: dict[str, float]
    entities: dict[str, list[Any]]
    rest: str  # the words without the entities: empty when the message is nothing but values
    part: int  # 1, 2, … for the later requests of one message, else 0
    message_id: str
    question: str = ""  # the words without the names of goods: empty for a button
    words: str = ""  # the words without the numbers of orders, tickets and phones: empty for a button

    @classmethod
    def of(cls, tracker: Tracker) -> Turn:
        event: dict[str, Any] = next((event for event in reversed(tracker.events) if event["event"] == "user"), {})
        return cls._read(tracker.latest_message, event)

    @classmethod
    def earlier(cls, tracker: Tracker) -> Iterator[Turn]:
        """The customer's messages before this one, the last first."""
        for event in [event for event in reversed(tracker.events) if event["event"] == "user"][1:]:
            yield cls._read({**event["parse_data"], "text": event["text"]}, event)

    @classmethod
    def _read(cls, message: dict[str, Any], event: dict[str, Any]) -> Turn:
        text: str = message.get("text") or ""
        intent = message.get("intent") or {}
        entities: dict[str, list[Any]] = {}
        rest = question = words = "" if text.startswith("/") else text
        for entity in message.get("entities") or []:
            entities.setdefault(entity["entity"], []).append(entity["value"])
            if rest and entity["entity"] != "language":
                rest = _without(rest, entity)
            if question and entity["entity"] in _GOODS:
                question = _without(question, entity)
            if words and entity["entity"] in _NUMBERS:
                named = _NAMED.search(words, 0, int(entity["start"]))
                words = _without(words, {**entity, "start": named.start() if named else entity["start"]})
        return cls(
            text=text,
            intent=intent.get("name") or "nlu_fallback",
            confidence=float(intent.get("confidence") or 0.0),
            ranking={guess["name"]: guess["confidence"] for guess in message.get("intent_ranking") or []},
            entities=entities,
            rest=_SAYS_NOTHING.sub("", rest),
            part=int((event.get("metadata") or {}).get("part") or 0),
            message_id=event.get("message_id") or "",
            question=question,
            words=words,
        )

    def first(self, entity: str) -> Any:
        return next(iter(self.entities.get(entity, ())), None)

    def pointed_at(self, listed: Sequence[T]) -> list[T]:
        """Those of what was listed that "第二个", "最后一个" and their like mean, in the order of the words."""
        places = [len(listed) if place == -1 else int(place) for place in self.entities.get("ordinal", ())]
        return [listed[place - 1] for place in places if 0 < place <= len(listed)]

    @property
    def names_goods(self) -> bool:
        return not _GOODS.isdisjoint(self.entities)

    @property
    def clear(self) -> bool:
        return self.confidence >= CLEAR

    @property
    def asks(self) -> bool:
        """Whether the message reads like a question, or asks to look something up."""
        return bool(_QUESTION.search(self.text))

    @property
    def gives_up(self) -> bool:
        """ "不绑了": the wish itself, taken back. What was meant is the stop, whatever the other words are."""
        return bool(_GIVES_UP.fullmatch(re.sub(r"[\W_]+", "", self.text)))

    @property
    def pauses(self) -> bool:
        """ "等下，我找找手机": more time is wanted, nothing else. Only where something has been asked for."""
        return bool(_PAUSES.fullmatch(self._plain))

    @property
    def lost(self) -> bool:
        """ "不知道单号": what was asked for is not at hand."""
        return bool(_LOST.fullmatch(self._plain))

    @property
    def _plain(self) -> str:
        return (" " if self.text.isascii() else "").join(re.findall(r"[a-z]+|[^\W_]", self.text.lower()))

    @property
    def yes(self) -> bool | None:
        """A yes or a no; one that was too short to be sure of is sure enough as an answer. A number is neither."""
        if _NUMBER.search(self.text):
            return None
        if self.intent in ("affirm", "deny"):
            return self.intent == "affirm"
        yes, no = self.ranking.get("affirm", 0.0), self.ranking.get("deny", 0.0)
        if self.intent == "nlu_fallback" and max(yes, no) > LIKELY:
            return yes > no
        return None


def _without(text: str, entity: dict[str, Any]) -> str:
    start, end = int(entity["start"]), int(entity["end"])
    return text[:start] + " " * (end - start) + text[end:]


def went_elsewhere(tracker: Tracker, form: str) -> bool:
    """Whether ``form`` has already passed this message on, and now only asks its question again."""
    for event in reversed(tracker.events):
        if event["event"] == "user":
            return False
        if event["event"] == "action_execution_rejected" and event["name"] == form:
            return True
    return False


def messages_so_far(tracker: Tracker) -> int:
    """How many messages the customer has sent in this conversation, today's."""
    return sum(event["event"] == "user" for event in tracker.events)


def answered_before(tracker: Tracker) -> set[str]:
    """The responses that were said in answer to the customer's last message but this one."""
    users, responses = 0, set[str]()
    for event in reversed(tracker.events):
        if event["event"] == "user":
            users += 1
            if users == 2:
                break
        elif event["event"] == "bot" and users == 1 and (name := event["metadata"].get("utter_action")):
            responses.add(name)
    return responses


def asked_before(tracker: Tracker, *responses: str) -> bool:
    """Whether one of ``responses`` was said in answer to the customer's last message but this one."""
    return not answered_before(tracker).isdisjoint(responses)
