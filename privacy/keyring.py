"""The key ring: every key of the house in one JSON file of mode 0600.

``{"format": 2, "active": 2, "keys": {"1": "<base64>", "2": "<base64>"}, "index_keys": ["<base64>"]}``; 32 bytes a key.
``keys`` seal data, new data with the ``active`` version; an old one stays until nothing is sealed with it any more.
``index_keys`` feed the keyed hashes, one sub-key per purpose. A new one is laid over the older ones: the hash of a
value is hashed again with it, so that stored hashes can follow although nobody knows any more what was hashed. None is
ever taken away. A file of format 1, with one ``index_key``, is read as well.
"""

from __future__ import annotations

import base64
import binascii
import fcntl
import hashlib
import hmac
import json
import os
import secrets
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

import settings

KEY_BYTES = 32
FORMAT = 2


class KeyRingError(Exception):
    """The key ring cannot be used. The message says what, where and what to do, and holds no key material."""


@dataclass(frozen=True)
class KeyRing:
    path: Path
    active: int
    keys: dict[int, bytes] = field(repr=False)
    index_keys: tuple[bytes, ...] = field(repr=False)

    @classmethod
    def load(cls, path: Path) -> KeyRing:
        """Raises KeyRingError when the file is missing, damaged or readable by others."""
        try:
            with path.open("rb") as file:
                mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
                content = file.read()
        except FileNotFoundError:
            raise KeyRingError(
                f"{path}: the key ring is missing. Restore it from a backup, or set KEYRING_FILE to where it is; "
                "a new installation gets one from `python -m mall_adapter migrate`."
            ) from None
        except OSError as error:
            raise KeyRingError(f"{path}: the key ring cannot be read ({error.strerror}).") from None
        if mode & 0o077:
            raise KeyRingError(f"{path}: other users may read the key ring (mode {mode:04o}). Run `chmod 600 {path}`.")
        try:
            return cls._parse(path, json.loads(content))
        except ValueError as error:
            # the parser's own exception carries the file's content: it must not travel along
            reason = "not valid JSON, perhaps cut off" if isinstance(error, _NOT_JSON) else str(error)
        raise KeyRingError(f"{path}: the key ring is damaged ({reason}). Restore it from a backup.")

    @classmethod
    def load_or_create(cls, path: Path, create: bool = True) -> KeyRing:
        """The ring at ``path``; a missing one is made if ``create``. Processes that start at once get the same ring."""
        if create:
            path.parent.mkdir(parents=True, exist_ok=True)
            with _locked(path.parent):
                if not path.exists():
                    key, index_key = secrets.token_bytes(KEY_BYTES), secrets.token_bytes(KEY_BYTES)
                    cls(path, active=1, keys={1: key}, index_keys=(index_key,))._write()
        return cls.load(path)

    def rotate(self) -> KeyRing:
        """Adds a key to the file and makes it the active one. Other processes notice the change by themselves.

        A key may seal 2**32 values before its random nonces become unsafe (NIST SP 800-38D, 8.3): rotate long before.
        """
        with self._changed() as ring:
            version = max(ring.keys) + 1
            ring = replace(ring, active=version, keys={**ring.keys, version: secrets.token_bytes(KEY_BYTES)})
            ring._write()
        return ring

    def retire(self, version: int) -> KeyRing:
        """Takes a key out of the file for good. Raises KeyRingError for the active one, and one that is not there."""
        with self._changed() as ring:
            if version not in ring.keys:
                raise KeyRingError(f"{ring.path}: there is no key {version}; there are {_listed(ring.keys)}.")
            if version == ring.active:
                raise KeyRingError(
                    f"{ring.path}: key {version} is the active one. Run `python -m privacy rotate` first."
                )
            ring = replace(ring, keys={other: key for other, key in ring.keys.items() if other != version})
            ring._write()
        return ring

    def rotate_index(self) -> KeyRing:
        """Lays a new index key over the others. What is stored has to follow before anybody looks for it."""
        with self._changed() as ring:
            ring = replace(ring, index_keys=(*ring.index_keys, secrets.token_bytes(KEY_BYTES)))
            ring._write()
        return ring

    def derive(self, label: str) -> bytes:
        """The 32-byte key for one purpose that the newest index key gives: for what need not be found again."""
        return _derive(self.index_keys[-1], label)

    def derive_each(self, label: str) -> tuple[bytes, ...]:
        """The keys for one purpose that all index keys give, the oldest first: the newest signs, each may have signed.

        The first never changes: a name that was made with it stays the same.
        """
        return tuple(_derive(key, label) for key in self.index_keys)

    def hash(self, label: str, value: str) -> str:
        """Keyed hash of ``value`` for one purpose, 64 hex digits, through all index keys."""
        digest = hmac.new(_derive(self.index_keys[0], label), value.encode(), hashlib.sha256).hexdigest()
        return self.lift(digest, 1) if len(self.index_keys) > 1 else digest

    def lift(self, digest: str, layers: int) -> str:
        """The hash of today of what was hashed when there were ``layers`` index keys."""
        lifted = bytes.fromhex(digest)
        for key in self.index_keys[layers:]:
            lifted = hmac.new(_derive(key, "layer"), lifted, hashlib.sha256).digest()
        return lifted.hex()

    @classmethod
    def _parse(cls, path: Path, content: Any) -> KeyRing:
        """Raises ValueError with a reason that quotes nothing of the content but version numbers."""
        if not isinstance(content, dict) or not {"format", "active", "keys"} <= content.keys():
            raise ValueError("parts are missing")
        if content["format"] == 1:
            content = {**content, "index_keys": [content["index_key"]] if "index_key" in content else []}
        elif content["format"] != FORMAT:
            raise ValueError(f"its format is neither 1 nor {FORMAT}")
        index_keys = content.get("index_keys")
        if not isinstance(index_keys, list) or not index_keys:
            raise ValueError("parts are missing")
        if not isinstance(content["keys"], dict) or not all(version.isdecimal() for version in content["keys"]):
            raise ValueError("its keys are not numbered")
        keys = {int(version): _key(f"key {version}", text) for version, text in content["keys"].items()}
        active = content["active"]
        if type(active) is not int or active not in keys:
            raise ValueError("the active key is not among its keys")
        return cls(path, active, keys, tuple(_key("an index key", text) for text in index_keys))

    @contextmanager
    def _changed(self) -> Iterator[KeyRing]:
        """The ring as it is in the file, which nobody else changes meanwhile."""
        with _locked(self.path.parent):
            yield KeyRing.load(self.path)

    def _write(self) -> None:
        """Whole or not at all, also when the machine stops half-way. The caller holds the folder's lock."""
        content = {
            "format": FORMAT,
            "active": self.active,
            "keys": {str(version): base64.b64encode(key).decode() for version, key in self.keys.items()},
            "index_keys": [base64.b64encode(key).decode() for key in self.index_keys],
        }
        partial = self.path.with_name(f".{self.path.name}.partial")
        partial.unlink(missing_ok=True)
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            json.dump(content, file, indent=1)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(self.path)
        _sync_folder(self.path.parent)


_NOT_JSON = (json.JSONDecodeError, UnicodeDecodeError)


def current_ring() -> KeyRing:
    """The ring of ``settings.keyring_file()``; a changed file is read again, so a rotation reaches every process."""
    path = settings.keyring_file()
    try:
        status = path.stat()
    except OSError:
        return KeyRing.load(path)  # says what is wrong
    return _cached(path, status.st_ino, status.st_mtime_ns)


_held: dict[Path, int] = {}


def hold(path: Path) -> None:
    """From here to its end this process is one that uses the ring; :func:`alone` can tell. Raises KeyRingError while
    somebody is alone with it."""
    if path in _held:
        return
    try:
        # not the ring itself, which is replaced; where the folder cannot be written the ring cannot change either
        descriptor = os.open(path.with_name(f".{path.name}.in-use"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError:
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise KeyRingError(f"{path}: the index key is being changed. Start again when that is done.") from None
    _held[path] = descriptor


@contextmanager
def alone(path: Path) -> Iterator[bool]:
    """Whether no other process of this machine uses the ring; if so, none can begin to while this lasts."""
    hold(path)
    if path not in _held:
        yield False
        return
    try:
        try:
            fcntl.flock(_held[path], fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            yield False
        else:
            yield True
    finally:
        fcntl.flock(_held[path], fcntl.LOCK_SH)  # the attempt alone has given it up


@lru_cache(maxsize=4)
def _cached(path: Path, inode: int, changed_ns: int) -> KeyRing:
    return KeyRing.load(path)


@lru_cache(maxsize=256)
def _derive(index_key: bytes, label: str) -> bytes:
    return HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=None, info=label.encode()).derive(index_key)


def _listed(versions: Iterable[int]) -> str:
    return ", ".join(map(str, sorted(versions)))


def _key(name: str, text: Any) -> bytes:
    try:
        key = base64.b64decode(text, validate=True)
    except (TypeError, ValueError, binascii.Error):
        raise ValueError(f"{name} is not base64") from None
    if len(key) != KEY_BYTES:
        raise ValueError(f"{name} has {len(key)} bytes instead of {KEY_BYTES}")
    return key


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """One process at a time; the lock goes with the process that holds it."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
