"""Tokens for Chinese without a word list: single characters, runs of letters, runs of digits, emoji.

Pairs of these tokens (``classifier.py``) carry what segmentation would, no name of a product can be cut in the wrong
place, and entity spans always begin and end with a token.
"""

from __future__ import annotations

import re
from typing import Any

from rasa.engine.recipes.default_recipe import DefaultV1Recipe
from rasa.nlu.tokenizers.tokenizer import Token, Tokenizer
from rasa.shared.nlu.training_data.message import Message

from bot import patterns
from bot.components.text import normalize

_EMOJI = "\u2600-\u27bf\u2b00-\u2bff\U0001f000-\U0001faff"
_TOKEN = re.compile(rf"(?P<number>(?:ord[ :#.–—_-]*)?[0-9]{{4,}})|[0-9]+|[a-z\u00df-\u024f]+|[{_EMOJI}]|[^\W_]")

_SAID = patterns.load("turn", "named", "says_nothing", "card", "bare", "and_that")

PHONE_TAIL = "digits4"
NUMBER = "digits"
NOTHING = "nothing"
"""Text of the one token of a message without words."""


def _word(match: re.Match[str]) -> str:
    if match["number"]:
        return PHONE_TAIL if len(match["number"]) == len("5678") else NUMBER
    return match.group()


@DefaultV1Recipe.register(DefaultV1Recipe.ComponentType.MESSAGE_TOKENIZER, is_trainable=False)
class CharacterTokenizer(Tokenizer):
    """Cuts a message into characters, letters, digits, emoji. Token texts are normalised, places are the original's."""

    @classmethod
    def fingerprint_addon(cls, config: dict[str, Any]) -> str | None:
        """What is cut off is cut off anew when the pattern changes; Rasa's cache looks at the training data alone."""
        return _SAID["card"].pattern

    @staticmethod
    def get_default_config() -> dict[str, Any]:
        return {
            "intent_tokenization_flag": False,
            "intent_split_symbol": "_",
            "token_pattern": None,
            "prefix_separator_symbol": None,
        }

    def tokenize(self, message: Message, attribute: str) -> list[Token]:
        text: str = message.get(attribute)
        normalized = normalize(text)
        matches = list(_TOKEN.finditer(normalized.text))
        cards = [card.span() for card in _SAID["card"].finditer(normalized.text)]
        # An order number beside "退货" says nothing of what is wanted; alone it is the answer to a question
        numbers = [match for match in matches if match["number"]]
        words = [
            match
            for match in matches
            if not match["number"] and not any(start <= match.start() < end for start, end in cards)
        ]
        tokens = []
        for match in words or (cards and numbers) or matches:
            start, end = normalized.span(*match.span())
            tokens.append(Token(_word(match), start, end))
        return tokens or [Token(NOTHING, 0, len(text))]
