from __future__ import annotations

import base64
import json
import multiprocessing
import traceback
from collections.abc import Callable
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

import pytest

import settings
from privacy import KeyRing, KeyRingError, current_ring


@pytest.fixture
def path(data_dir: Path) -> Path:
    return data_dir / "secrets" / "keyring.json"


def test_first_use_makes_a_ring_that_only_the_owner_may_read(path: Path) -> None:
    ring = KeyRing.load_or_create(path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert ring.active == 1
    assert [len(key) for key in (*ring.keys.values(), *ring.index_keys)] == [32, 32]
    assert KeyRing.load_or_create(path) == ring


def test_without_create_a_missing_ring_is_refused_and_stays_missing(path: Path) -> None:
    with pytest.raises(KeyRingError, match=f"{path}: the key ring is missing"):
        KeyRing.load_or_create(path, create=False)
    assert not path.exists()


def test_what_a_crashed_start_left_behind_is_no_obstacle(path: Path) -> None:
    path.parent.mkdir()
    path.with_name(".keyring.json.partial").write_text('{"format": 1, "act')
    assert KeyRing.load_or_create(path) == KeyRing.load(path)
    assert list(path.parent.iterdir()) == [path]


def changed(**parts: Any) -> Callable[[str], str]:
    return lambda content: json.dumps({**json.loads(content), **parts})


KEY = base64.b64encode(bytes(32)).decode()


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda content: "", "not valid JSON, perhaps cut off"),
        (lambda content: content[: len(content) // 2], "not valid JSON, perhaps cut off"),
        (lambda content: content[:-1], "not valid JSON, perhaps cut off"),
        (lambda content: "\0" * len(content), "not valid JSON, perhaps cut off"),
        (lambda content: "[]", "parts are missing"),
        (lambda content: '{"format": 1}', "parts are missing"),
        (changed(format=3), "its format is neither 1 nor 2"),
        (changed(format=1), "parts are missing"),
        (changed(index_keys=[]), "parts are missing"),
        (changed(keys=[KEY]), "its keys are not numbered"),
        (changed(keys={"first": KEY}), "its keys are not numbered"),
        (changed(keys={}), "the active key is not among its keys"),
        (changed(active=2), "the active key is not among its keys"),
        (changed(active=True), "the active key is not among its keys"),
        (changed(keys={"1": KEY[:-8] + "!!!!"}), "key 1 is not base64"),
        (changed(keys={"1": 17}), "key 1 is not base64"),
        (changed(keys={"1": base64.b64encode(bytes(16)).decode()}), "key 1 has 16 bytes instead of 32"),
        (changed(keys={"1": ""}), "key 1 has 0 bytes instead of 32"),
        (changed(index_keys=[KEY, base64.b64encode(bytes(33)).decode()]), "an index key has 33 bytes instead of 32"),
        (changed(index_keys=[None]), "an index key is not base64"),
    ],
)
def test_a_damaged_ring_is_refused_with_a_reason(damage: Callable[[str], str], reason: str, path: Path) -> None:
    KeyRing.load_or_create(path)
    content = path.read_text()
    path.write_text(damage(content))
    with pytest.raises(KeyRingError) as refusal:
        KeyRing.load_or_create(path)
    assert str(refusal.value) == f"{path}: the key ring is damaged ({reason}). Restore it from a backup."

    parts = json.loads(content)
    chain = [refusal.value, refusal.value.__context__, refusal.value.__cause__]
    told = "".join(traceback.format_exception(refusal.value)) + "".join(str(vars(error)) for error in chain if error)
    assert not [key for key in (*parts["keys"].values(), *parts["index_keys"]) if key[:12] in told]


@pytest.mark.parametrize("mode", [0o640, 0o644, 0o604, 0o660, 0o601])
def test_a_ring_that_others_may_read_is_refused(mode: int, path: Path) -> None:
    KeyRing.load_or_create(path)
    path.chmod(mode)
    with pytest.raises(KeyRingError, match=rf"mode {mode:04o}\). Run `chmod 600 {path}`"):
        KeyRing.load(path)


def test_a_folder_in_its_place_is_refused(path: Path) -> None:
    path.mkdir(parents=True)
    with pytest.raises(KeyRingError, match="cannot be read"):
        KeyRing.load_or_create(path)


def test_rotation_adds_a_key_and_keeps_the_old_ones(path: Path) -> None:
    before = KeyRing.load_or_create(path)
    after = before.rotate()
    assert after == KeyRing.load(path)
    assert (after.active, sorted(after.keys)) == (2, [1, 2])
    assert after.keys[1] == before.keys[1] != after.keys[2]
    assert after.index_keys == before.index_keys
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_rotation_reaches_a_running_process() -> None:
    KeyRing.load_or_create(settings.keyring_file())
    assert current_ring() is current_ring()
    KeyRing.load(settings.keyring_file()).rotate()
    assert current_ring().active == 2


def test_a_ring_that_vanishes_is_missed_at_once() -> None:
    KeyRing.load_or_create(settings.keyring_file())
    current_ring()
    settings.keyring_file().unlink()
    with pytest.raises(KeyRingError, match="missing"):
        current_ring()


def test_derived_keys_differ_by_purpose_and_stay_the_same(path: Path) -> None:
    ring = KeyRing.load_or_create(path)
    assert ring.derive("one") == KeyRing.load(path).rotate().derive("one")
    assert len({ring.derive("one"), ring.derive("two"), *ring.index_keys}) == 3


def test_a_ring_of_the_first_format_is_read_and_becomes_one_of_today(path: Path) -> None:
    ring = KeyRing.load_or_create(path)
    old = json.loads(path.read_text())
    (index_key,) = old.pop("index_keys")
    path.write_text(json.dumps({**old, "format": 1, "index_key": index_key}))
    assert KeyRing.load(path) == ring
    ring.rotate()
    assert json.loads(path.read_text())["format"] == 2
    assert KeyRing.load(path).index_keys == ring.index_keys


def test_a_hash_follows_each_new_index_key_without_what_was_hashed(path: Path) -> None:
    rings = [KeyRing.load_or_create(path)]
    rings += [rings[0].rotate_index(), rings[0].rotate_index()]
    hashes = [ring.hash("customer.phone", "13800005678") for ring in rings]
    assert len(set(hashes)) == 3
    assert [rings[2].lift(digest, layers) for layers, digest in enumerate(hashes, 1)] == [hashes[2]] * 3
    assert rings[1].lift(hashes[0], 1) == hashes[1]
    assert len({ring.derive("cookie") for ring in rings}) == 3
    assert [ring.derive_each("cookie") for ring in rings] == [rings[2].derive_each("cookie")[:n] for n in (1, 2, 3)]


def test_a_retired_key_is_gone_for_good(path: Path) -> None:
    ring = KeyRing.load_or_create(path).rotate()
    with pytest.raises(KeyRingError, match="key 2 is the active one"):
        ring.retire(2)
    with pytest.raises(KeyRingError, match="no key 7; there are 1, 2"):
        ring.retire(7)
    assert ring.retire(1) == KeyRing.load(path)
    assert sorted(KeyRing.load(path).keys) == [2]
    assert sorted(KeyRing.load(path).rotate().keys) == [2, 3]  # a number never comes again


def test_a_ring_does_not_show_its_keys(path: Path) -> None:
    ring = KeyRing.load_or_create(path)
    assert repr(ring) == f"KeyRing(path={path!r}, active=1)"


def create(path: Path) -> KeyRing:
    return KeyRing.load_or_create(path)


def rotate(path: Path) -> KeyRing:
    return KeyRing.load(path).rotate()


def at_once(work: Callable[[Path], KeyRing], path: Path, processes: int = 6) -> list[KeyRing]:
    """Results of real processes that wait for each other before they begin."""
    context = multiprocessing.get_context("fork")
    barrier = context.Barrier(processes)

    def run(barrier: Barrier, results: Connection) -> None:
        barrier.wait()
        results.send(work(path))

    pipes = [context.Pipe(duplex=False) for _ in range(processes)]
    children = [context.Process(target=run, args=(barrier, sender)) for _, sender in pipes]
    for child, (_, sender) in zip(children, pipes, strict=True):
        child.start()
        sender.close()  # so that a child which fails is an EOFError and not an endless wait
    rings = [receiver.recv() for receiver, _ in pipes]
    for child in children:
        child.join()
    return rings


@pytest.mark.parametrize("attempt", range(5))
def test_processes_that_start_at_once_share_one_ring(attempt: int, path: Path) -> None:
    rings = at_once(create, path)
    assert rings == [KeyRing.load(path)] * len(rings)


def test_rotations_at_once_lose_no_key(path: Path) -> None:
    KeyRing.load_or_create(path)
    rings = at_once(rotate, path)
    last = KeyRing.load(path)
    assert sorted(ring.active for ring in rings) == [2, 3, 4, 5, 6, 7]
    assert all(last.keys[ring.active] == ring.keys[ring.active] for ring in rings)
