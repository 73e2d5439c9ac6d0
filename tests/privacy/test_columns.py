from __future__ import annotations

import pytest
from sqlalchemy import Column, Integer, MetaData, String, Table, create_engine, insert, select, text
from sqlalchemy.engine import Engine

import settings
from privacy import KeyRing, TamperedError
from privacy.columns import EncryptedText, blind_index

metadata = MetaData()
people = Table(
    "people",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", EncryptedText("people.name")),
    Column("phone", EncryptedText("people.phone")),
    Column("phone_index", String(64), index=True),
)


@pytest.fixture
def engine() -> Engine:
    KeyRing.load_or_create(settings.keyring_file())
    engine = create_engine(settings.database_url("sync"))
    metadata.create_all(engine)
    with engine.begin() as connection:
        for number, name, phone in [(1, "张小明", "13800005678"), (2, "张小明", None)]:
            index = phone and blind_index(phone, "people.phone")
            row = {"id": number, "name": name, "phone": phone, "phone_index": index}
            connection.execute(insert(people), row)
    return engine


def test_values_come_back_as_they_were(engine: Engine) -> None:
    with engine.connect() as connection:
        rows = connection.execute(select(people.c.name, people.c.phone).order_by(people.c.id)).all()
    assert [tuple(row) for row in rows] == [("张小明", "13800005678"), ("张小明", None)]


def test_the_database_holds_neither_name_nor_phone(engine: Engine) -> None:
    stored = (settings.data_dir() / "zhanggui.db").read_bytes()
    assert "张小明".encode() not in stored
    assert b"5678" not in stored
    with engine.connect() as connection:
        first, second = connection.execute(text("SELECT name FROM people")).scalars()
    assert first != second


def test_a_row_is_found_by_its_blind_index(engine: Engine) -> None:
    found = select(people.c.id).where(people.c.phone_index == blind_index("138 0000 5678", "people.phone"))
    with engine.connect() as connection:
        assert connection.execute(found).scalars().all() == [1]


@pytest.mark.parametrize(
    "tampering", ["UPDATE people SET phone = name WHERE id = 1", "UPDATE people SET phone = substr(phone, 1, 40)"]
)
def test_a_moved_or_cut_value_is_noticed(tampering: str, engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(text(tampering))
    with engine.connect() as connection, pytest.raises(TamperedError):
        connection.execute(select(people.c.phone)).all()


@pytest.mark.parametrize(
    ("one", "other", "alike"),
    [
        ("13800005678", "１３８０００0５６７８", True),
        ("13800005678", " 138 0000\u30005678\n", True),
        ("ORD12345", "ord12345", True),
        ("张三", "张 三", True),
        ("13800005678", "13800005679", False),
        ("幸福路1-12号", "幸福路11-2号", False),
    ],
)
def test_blind_index_of_forms_of_a_value(one: str, other: str, alike: bool, engine: Engine) -> None:
    assert (blind_index(one, "people.phone") == blind_index(other, "people.phone")) is alike


def test_blind_index_depends_on_purpose_and_ring(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    hashes = {blind_index("5678", "people.phone"), blind_index("5678", "people.phone_tail")}
    monkeypatch.setenv("KEYRING_FILE", str(settings.data_dir() / "other.json"))
    KeyRing.load_or_create(settings.keyring_file())
    hashes.add(blind_index("5678", "people.phone"))
    assert len(hashes) == 3
    assert {len(digest) for digest in hashes} == {64}
