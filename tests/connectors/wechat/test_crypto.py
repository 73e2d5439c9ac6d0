"""Safe mode, against another making of it (``stand_in``): what opens, what does not, and which keys are keys."""

from __future__ import annotations

import base64

import pytest

from connectors.wechat.crypto import Envelope, Unreadable, signature, signed
from tests.connectors.wechat.stand_in import AES_KEY, APP_ID, cipher, seal, sign, unseal

ENVELOPE = Envelope(AES_KEY, APP_ID)


@pytest.mark.parametrize(
    "words", ["", *("x" * length for length in (1, 7, 8, 11, 12, 15, 16, 31, 32, 33)), "👨‍👩‍👧‍👦退货🇨🇳"]
)
def test_what_one_side_seals_the_other_opens(words: str) -> None:
    assert ENVELOPE.open(seal(words)).decode() == words
    assert unseal(ENVELOPE.seal(words.encode())) == (words, APP_ID)


def encrypted(opened: bytes) -> str:
    encryptor = cipher().encryptor()
    return base64.b64encode(encryptor.update(opened) + encryptor.finalize()).decode()


HEAD = bytes(16)
TAIL = APP_ID.encode()


@pytest.mark.parametrize(
    "sealed",
    [
        "",
        "=",
        "not base64!",
        "YWJj",
        "退货",
        base64.b64encode(bytes(16)).decode(),
        base64.b64encode(bytes(64)).decode(),
        encrypted(bytes(31) + b"\x00"),  # no padding
        encrypted(bytes(31) + b"\x21"),  # more than a block
        encrypted(bytes(30) + b"\x05\x03"),  # not all of it
        encrypted(bytes(12) + b"\x14" * 20),  # nothing but padding and a part of the head
        encrypted(HEAD + (10**6).to_bytes(4) + TAIL + b"\x0e" * 26),  # longer than it is
        encrypted(HEAD + (0xFFFFFFFF).to_bytes(4) + TAIL + b"\x1a" * 26),
        encrypted(HEAD + bytes(4) + TAIL + b"\x0a" * 10),  # padded to AES's blocks, and not to WeChat's
        seal("<xml></xml>", "wx0000000000000000"),
        seal("<xml></xml>", ""),
        seal("<xml></xml>", APP_ID + "x"),
        seal("x" * 100)[:-4],
    ],
)
def test_what_is_not_sealed_for_this_account_is_unreadable_and_nothing_worse(sealed: str) -> None:
    with pytest.raises(Unreadable):
        ENVELOPE.open(sealed)


@pytest.mark.parametrize(
    "key", ["", AES_KEY[:-1], AES_KEY + "=", AES_KEY + " ", AES_KEY + "\n", AES_KEY[:-1] + "-", "掌" * 43]
)
def test_a_key_that_wechat_would_not_take_is_refused_at_once(key: str) -> None:
    with pytest.raises(ValueError, match="WECHAT_AES_KEY") as refused:
        Envelope(key, APP_ID)
    assert not key or key not in str(refused.value)


def test_a_key_whose_last_letter_has_bits_too_many_is_one() -> None:
    odd = AES_KEY[:-1] + "D"  # WeChat makes such ones up
    assert Envelope(odd, APP_ID).open(Envelope(odd, APP_ID).seal(b"x")) == b"x"


@pytest.mark.parametrize("given", ["", "签名", "\udcff", "0" * 40, sign("token", "1", "2").upper()])
def test_another_signature_does_not_match(given: str) -> None:
    assert not signed(given, "token", "1", "2")


def test_a_signature_is_made_over_the_sorted_parts() -> None:
    assert (
        signature("token", "1700000000", "99")
        == sign("token", "1700000000", "99")
        == signature("99", "token", "1700000000")
    )
    assert signed(sign("token", "1", "2", "sealed"), "token", "1", "2", "sealed")
