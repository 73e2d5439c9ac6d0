"""WeChat's signatures, and the envelope of its safe mode: AES-256-CBC over random bytes, a length, the words and the
account's id."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
import secrets
import struct

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from connectors.wechat.words import WORDS

_KEY = re.compile(r"[A-Za-z0-9]{43}")
_BLOCK = 32
"""Bytes to which WeChat pads, which are two blocks of AES."""

_HEAD = 20
"""Bytes before the words: 16 random ones, and their length."""


class Unreadable(Exception):
    """What does not open with this key, or was sealed for another account."""


def signature(*parts: str) -> str:
    return hashlib.sha1("".join(sorted(parts)).encode(), usedforsecurity=False).hexdigest()  # the one WeChat knows


def signed(given: str, *parts: str) -> bool:
    return hmac.compare_digest(given.encode(errors="replace"), signature(*parts).encode())


class Envelope:
    """``key`` is the EncodingAESKey. Raises ValueError for one that WeChat would not take."""

    def __init__(self, key: str, app_id: str) -> None:
        if not _KEY.fullmatch(key):
            raise ValueError(WORDS.setup.bad_key)
        secret = base64.b64decode(f"{key}=")
        self._cipher = Cipher(algorithms.AES(secret), modes.CBC(secret[:16]))
        self._app_id = app_id.encode()

    def open(self, sealed: str) -> bytes:
        try:
            closed = base64.b64decode(sealed, validate=True)
        except (binascii.Error, ValueError):
            raise Unreadable from None
        if not closed or len(closed) % _BLOCK:
            raise Unreadable
        decryptor = self._cipher.decryptor()
        padded = decryptor.update(closed) + decryptor.finalize()
        padding = padded[-1]
        if not 1 <= padding <= _BLOCK or padded[-padding:] != bytes([padding]) * padding:
            raise Unreadable
        opened = padded[:-padding]
        if len(opened) < _HEAD:
            raise Unreadable
        (length,) = struct.unpack(">I", opened[16:_HEAD])
        words, app_id = opened[_HEAD : _HEAD + length], opened[_HEAD + length :]
        if len(words) != length or not hmac.compare_digest(app_id, self._app_id):
            raise Unreadable
        return words

    def seal(self, words: bytes) -> str:
        opened = secrets.token_bytes(16) + struct.pack(">I", len(words)) + words + self._app_id
        padding = _BLOCK - len(opened) % _BLOCK
        encryptor = self._cipher.encryptor()
        closed = encryptor.update(opened + bytes([padding]) * padding) + encryptor.finalize()
        return base64.b64encode(closed).decode()
