from __future__ import annotations

from pathlib import Path

import pytest

from privacy import KeyRing, KeyRingError
from privacy.cipher import OVERHEAD, TamperedError, seal, unseal

PLAIN = "我想退货 ORD12345".encode()


@pytest.fixture
def ring(data_dir: Path) -> KeyRing:
    return KeyRing.load_or_create(data_dir / "keyring.json")


@pytest.mark.parametrize("plain", [b"", b"x", PLAIN, PLAIN * 10_000])
def test_what_is_sealed_opens(plain: bytes, ring: KeyRing) -> None:
    sealed = seal(ring, plain, b"here")
    assert unseal(ring, sealed, b"here") == plain
    assert len(sealed) == len(plain) + OVERHEAD


def test_equal_values_are_sealed_differently(ring: KeyRing) -> None:
    assert len({seal(ring, PLAIN, b"here") for _ in range(100)}) == 100


def test_every_changed_bit_and_every_cut_is_noticed(ring: KeyRing) -> None:
    sealed = seal(ring, PLAIN, b"here")
    forgeries = [sealed[:length] for length in range(len(sealed))] + [sealed + b"\0"]
    for bit in range(8 * len(sealed)):
        changed = bytearray(sealed)
        changed[bit // 8] ^= 1 << bit % 8
        forgeries.append(bytes(changed))
    for forged in forgeries:
        # a changed version asks for a key that does not exist
        with pytest.raises((TamperedError, KeyRingError)):
            unseal(ring, forged, b"here")


def test_a_value_does_not_open_elsewhere(ring: KeyRing) -> None:
    with pytest.raises(TamperedError):
        unseal(ring, seal(ring, PLAIN, b"here"), b"there")


def test_a_value_does_not_open_with_another_ring(ring: KeyRing, data_dir: Path) -> None:
    other = KeyRing.load_or_create(data_dir / "other.json")
    with pytest.raises(TamperedError):
        unseal(other, seal(ring, PLAIN, b"here"), b"here")


def test_after_a_rotation_old_values_open_and_new_ones_use_the_new_key(ring: KeyRing) -> None:
    old = seal(ring, PLAIN, b"here")
    rotated = ring.rotate()
    new = seal(rotated, PLAIN, b"here")
    assert (old[:4], new[:4]) == (b"\0\0\0\1", b"\0\0\0\2")
    assert unseal(rotated, old, b"here") == unseal(rotated, new, b"here") == PLAIN
    with pytest.raises(KeyRingError, match=f"{ring.path}: the key ring lacks key 2"):
        unseal(ring, new, b"here")
