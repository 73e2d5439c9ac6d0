"""AES-256-GCM. A sealed value: version of the key (4 bytes, big-endian), nonce (12), cipher text, tag (16)."""

from __future__ import annotations

import secrets
import struct
from functools import lru_cache

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from privacy.keyring import KeyRing, KeyRingError

_VERSION = struct.Struct(">I")
_NONCE_BYTES = 12
_TAG_BYTES = 16
OVERHEAD = _VERSION.size + _NONCE_BYTES + _TAG_BYTES
"""Bytes by which a sealed value is longer than the plain one."""


class TamperedError(Exception):
    """A sealed value was changed, cut or moved to another place since it was written."""


_aead = lru_cache(maxsize=64)(AESGCM)  # one serves all threads, and takes as long to make as to use


def version_of(sealed: bytes) -> int:
    """The version of the key with which a value is sealed."""
    return int(_VERSION.unpack_from(sealed)[0])


def mark_of(version: int) -> bytes:
    """How every value begins that is sealed with this version of the key."""
    return _VERSION.pack(version)


def seal(ring: KeyRing, plain: bytes, place: bytes) -> bytes:
    """Encrypts with the active key. ``place`` says where the value belongs: it opens nowhere else."""
    nonce = secrets.token_bytes(_NONCE_BYTES)
    return _VERSION.pack(ring.active) + nonce + _aead(ring.keys[ring.active]).encrypt(nonce, plain, place)


def unseal(ring: KeyRing, sealed: bytes, place: bytes) -> bytes:
    """Raises TamperedError, or KeyRingError when the ring lacks the key of this value."""
    if len(sealed) < OVERHEAD:
        raise TamperedError("a sealed value is cut off")
    (version,) = _VERSION.unpack_from(sealed)
    if version not in ring.keys:
        raise KeyRingError(
            f"{ring.path}: the key ring lacks key {version}, with which data is sealed. Restore its newest copy."
        )
    nonce = sealed[_VERSION.size : _VERSION.size + _NONCE_BYTES]
    try:
        return _aead(ring.keys[version]).decrypt(nonce, sealed[_VERSION.size + _NONCE_BYTES :], place)
    except InvalidTag:
        raise TamperedError("a sealed value was changed, moved, or sealed with another key ring") from None
