"""What a person who may not be sent a message now is told instead: a notice of the account's own templates.

To a subscription notice (订阅通知) the person has agreed, once for each; a template notice (模板消息) needs no consent,
and is for what they have caused themselves: WeChat forbids offers there. ``WECHAT_NOTICE_FILE`` has what is used by
kind: ``answer``, that an answer waits, and those of ``mall_adapter/notices/kinds.yml``.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Annotated

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, TypeAdapter, model_validator

from connectors.rendering import Bubble, Occasion
from connectors.wechat.account import SUBSCRIBED, TEMPLATES, Account
from connectors.wechat.api import Api
from connectors.wechat.consents import Consents
from connectors.wechat.errors import ERRORS
from connectors.wechat.transport import NotDone, Refused, Unsure
from connectors.wechat.words import WORDS
from mall_adapter.notices import KINDS
from settings import SHANGHAI
from storage.outbox import Outcome, Retry, Sent, Unknown

log = logging.getLogger(__name__)

ANSWER = "answer"
"""That something waits which is no notice itself; the words are not told."""

SOON = timedelta(seconds=3)

Send = Callable[..., Awaitable[None]]

_VALUE = re.compile(r"\{(\w+)\}")
_FIELD = re.compile(r"([a-z_]+)[0-9]*")
_MOST = {"thing": 20, "character_string": 32, "letter": 32, "number": 32, "name": 10, "phrase": 5, "symbol": 5}
"""Characters that WeChat takes in a field of this type; of others it minds the form."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Form(_Part):
    """``data`` fills the fields of the template, as its page in the account's console names them. ``{time}`` in a value
    becomes the time, ``{text}`` what would have been said, and ``{name}`` a value of the notice."""

    template_id: str
    data: Mapping[str, str]

    def filled(self, values: Mapping[str, str]) -> dict[str, str]:
        """Raises KeyError for a value that there is not."""
        return {
            name: _shortened(name, _VALUE.sub(lambda found: values[found[1]], said)) for name, said in self.data.items()
        }


class Ways(_Part):
    subscription: Form | None = None
    template: Form | None = None

    @model_validator(mode="after")
    def _is_one(self) -> Ways:
        if not (self.subscription or self.template):
            raise ValueError("there is neither a subscription nor a template")
        return self


def _known(ways: Mapping[str, Ways]) -> Mapping[str, Ways]:
    kinds: dict[str, bool] = {ANSWER: False} | {name: kind.marketing for name, kind in KINDS.kinds.items()}
    for name, way in ways.items():
        if name not in kinds:
            raise ValueError(f"there is no kind {name}")
        if kinds[name] and way.template:
            raise ValueError(f"{name} is an offer, which a template notice may not be")
    return ways


WAYS: TypeAdapter[Mapping[str, Ways]] = TypeAdapter(Annotated[Mapping[str, Ways], AfterValidator(_known)])


def read(file: Path) -> Mapping[str, Ways]:
    """By kind. Raises ValueError for what is no such table."""
    try:
        return WAYS.validate_python(yaml.safe_load(file.read_text("utf-8")))
    except (OSError, yaml.YAMLError, ValueError) as error:
        raise ValueError(f"{WORDS.setup.bad_notice} ({type(error).__name__})") from None


class Notices:
    def __init__(self, api: Api, account: Account, consents: Consents, ways: Mapping[str, Ways]) -> None:
        self._api = api
        self._account = account
        self._consents = consents
        self._ways = ways
        self._faults: dict[str, str] = {}  # by the template, what an operator has to see to

    def check(self) -> list[str]:
        return [f"{words} ({template})" for template, words in self._faults.items()]

    async def tell(self, openid: str, bubble: Bubble, key: str) -> Outcome | None:
        """How it ended; None where there is no way, and the message waits. The ``key`` is the message's own."""
        now, about = datetime.now(UTC), bubble.occasion or Occasion(ANSWER, {})
        if (ways := self._ways.get(about.kind)) is None:
            return None
        time = f"{now.astimezone(SHANGHAI):%Y-%m-%d %H:%M}"
        values = {**about.values, "text": bubble.text if bubble.occasion else "", "time": time}
        ended = await self._subscribed(openid, ways.subscription, values, now) if ways.subscription else None
        if ended is None and ways.template:
            form = ways.template
            send = partial(self._api.send_template, openid, form.template_id, key=key)
            ended = await self._sent(TEMPLATES, form, send, values, now)
        return ended

    async def _subscribed(self, openid: str, form: Form, values: Mapping[str, str], now: datetime) -> Outcome | None:
        if (consent := await self._consents.take(openid, form.template_id, now)) is None:
            return None
        send = partial(self._api.send_subscribed, openid, form.template_id)
        ended = await self._sent(SUBSCRIBED, form, send, values, now)
        if not isinstance(ended, (Sent, Unknown)):
            await self._consents.give_back(consent)
        return ended

    async def _sent(
        self, call: str, form: Form, send: Send, values: Mapping[str, str], now: datetime
    ) -> Outcome | None:
        """None: not in this way."""
        if not self._account.may(call):
            return None
        try:
            await send(data=form.filled(values))
        except KeyError:  # of which there is nothing to tell
            self._faults[form.template_id] = WORDS.health.no_value
            return None
        except Refused as error:
            return await self._refused(call, form.template_id, error.code, now)
        except NotDone as error:
            return Retry(f"later:{error}", now + SOON)
        except Unsure as error:
            return Unknown(str(error))
        self._faults.pop(form.template_id, None)
        return Sent()

    async def _refused(self, call: str, template: str, code: int, now: datetime) -> Outcome | None:
        if code in ERRORS.no_sending:
            await self._account.refused(call)
            return None
        if code in ERRORS.no_consent:
            return None
        if fault := ERRORS.template.get(code) or ERRORS.configuration.get(code):
            log.error("WeChat does not take a notice (%d)", code)
            self._faults[template] = fault
        return None if code in ERRORS.template else ERRORS.outcome(code, now)


def _shortened(field: str, said: str) -> str:
    """In one line, and no longer than its type allows."""
    words, kind = " ".join(said.split()), _FIELD.fullmatch(field)
    most = _MOST.get(kind[1]) if kind else None
    return words if most is None or len(words) <= most else f"{words[: most - 1]}…"
