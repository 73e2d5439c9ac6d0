"""What an operator saves decides; what an operator breaks does not, and is told."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import settings
from mall_adapter import BrokenRules, HouseRules, open_mall
from mall_adapter.facts import AfterSalesFacts, Trade
from mall_adapter.house_rules import house_policy
from mall_adapter.rules import RulesFile
from mall_adapter.rules.sheet import AFTER_SALES as FORM
from mall_adapter.rules_check import check
from mall_adapter.values import OrderStatus, Reason, TicketKind
from storage import migrate

GOOD = settings.rules_file().read_text(encoding="utf-8")
GENEROUS = GOOD.replace('"value": "7"', '"value": "30"', 1)
BROKEN = GOOD.replace('"\\"beauty\\""', '"\\"beuaty\\""').replace('"\\"food\\""', '"\\"fod\\""')


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The rules of a house of its own."""
    rules = tmp_path / "rules.json"
    rules.write_text(GOOD, encoding="utf-8")
    monkeypatch.setenv("RULES_FILE", str(rules))
    monkeypatch.setenv("DATA_DIR", str(tmp_path / "var"))
    return rules


def save(file: Path, content: str) -> None:
    file.write_text(content, encoding="utf-8")


def days(rules: HouseRules) -> int | None:
    return rules.after_sales.now.limits["no_reason_days"] if rules.after_sales.now else None


async def test_what_a_thread_has_taken_decides(file: Path) -> None:
    rules = HouseRules()
    await asyncio.to_thread(rules.look)
    assert rules.after_sales.now
    late = AfterSalesFacts(
        kind=TicketKind.RETURN,
        reason=Reason.DISLIKE,
        order_status=OrderStatus.DELIVERED,
        days_since_delivery=20,
        hours_since_delivery=480,
        parcel_lost=False,
        parcel_late=False,
        trade=Trade.CLOTHING,
        fresh=False,
        custom_made=False,
        opened=None,
        amount_cents=100,
        tickets_last_90_days=0,
    )
    assert rules.after_sales.now.decide(late).rule == "no_reason_too_late"
    save(file, GENEROUS)
    await asyncio.to_thread(rules.look)
    assert rules.after_sales.now.decide(late).rule == "seven_days_no_reason"


def test_a_good_change_is_taken_and_a_bad_one_is_not(file: Path, caplog: pytest.LogCaptureFixture) -> None:
    rules = HouseRules()
    rules.look()
    held = rules.after_sales.now
    save(file, GENEROUS)
    rules.look()
    assert (days(rules), rules.after_sales.now is held, rules.after_sales.broken is None) == (30, True, True)

    save(file, BROKEN)
    with caplog.at_level(logging.ERROR):
        rules.look()
        rules.look()
    assert days(rules) == 30
    assert rules.after_sales.broken
    assert ["是不是 beauty？" in record.message for record in caplog.records] == [True]  # and once

    save(file, GOOD)
    rules.look()
    assert (days(rules), rules.after_sales.broken is None) == (7, True)


@pytest.mark.parametrize("harm", [lambda file: file.unlink(), lambda file: file.write_bytes(b""), Path.unlink])
def test_a_file_that_is_gone_or_empty_changes_nothing(file: Path, harm: Callable[[Path], object]) -> None:
    rules = HouseRules()
    rules.look()
    harm(file)
    rules.look()
    assert days(rules) == 7
    assert rules.after_sales.broken


async def test_the_health_is_told_in_one_sentence_without_what_stands_in_the_file(file: Path) -> None:
    rules = HouseRules()
    rules.look()
    assert await rules.warnings() == []
    save(file, BROKEN)
    rules.look()
    (told,) = await rules.warnings()
    assert "rules.json 有 2 处错误" in told
    assert "2 fault(s)" in told
    assert "beuaty" not in told


def test_a_house_starts_with_the_last_good_rules(file: Path) -> None:
    save(file, GENEROUS)
    HouseRules().look()
    save(file, BROKEN)
    again = HouseRules()
    again.look()
    assert (days(again), again.after_sales.broken is None) == (30, False)
    assert house_policy().limits["no_reason_days"] == 30
    assert settings.kept_rules_file("after_sales.json").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("kept", [None, "", BROKEN])
def test_without_ever_a_good_file_it_does_not_start(file: Path, kept: str | None) -> None:
    if kept is not None:
        settings.kept_rules_file("after_sales.json").parent.mkdir(parents=True)
        settings.kept_rules_file("after_sales.json").write_text(kept, encoding="utf-8")
    save(file, BROKEN)
    rules = HouseRules()
    rules.look()
    assert rules.after_sales.now is None
    with pytest.raises(BrokenRules, match=r"(?s)是不是 beauty？.*2 faults: see make rules-check$"):
        house_policy()


def test_nowhere_to_keep_a_copy_is_no_reason_to_stop(file: Path, tmp_path: Path) -> None:
    (tmp_path / "var").write_text("no folder")
    rules = HouseRules()
    rules.look()
    assert days(rules) == 7


async def test_an_open_mall_takes_what_is_saved(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    await asyncio.to_thread(settings.data_dir().mkdir)
    await migrate(settings.database_url())
    monkeypatch.setattr(RulesFile.watch, "__defaults__", (0.02,))

    async def told(number: int) -> None:
        for _ in range(3000):
            if (await mall.terms())["no_reason_days"] == number:
                return
            await asyncio.sleep(0.02)
        raise AssertionError(f"{number} days: not within a minute")

    async with open_mall() as mall:
        await told(7)
        save(file, GENEROUS)
        await told(30)
        save(file, BROKEN)
        save(file, GOOD)
        await told(7)


@pytest.mark.parametrize(
    ("setting", "old", "new", "name", "before", "after"),
    [
        ("PROOFS_FILE", "sender_at_order: { tries: 5", "sender_at_order: { tries: 3", "wrong_tries", 5, 3),
        ("PROOFS_FILE", "  hours: 1\n", "  hours: 2\n", "locked_hours", 1, 2),
        ("RULES_FILE", '"out_handling_days": "5"', '"out_handling_days": "6"', "review_handling_days", 5, 6),
    ],
)
async def test_what_customers_are_told_follows_whatever_file_is_saved(
    file: Path, monkeypatch: pytest.MonkeyPatch, setting: str, old: str, new: str, name: str, before: int, after: int
) -> None:
    await asyncio.to_thread(settings.data_dir().mkdir)
    await migrate(settings.database_url())
    monkeypatch.setattr(RulesFile.watch, "__defaults__", (0.02,))
    good = (file if setting == "RULES_FILE" else settings.proofs_file()).read_text(encoding="utf-8")
    own = file.with_name("own" + (".json" if setting == "RULES_FILE" else ".yml"))
    save(own, good)
    monkeypatch.setenv(setting, str(own))

    async def told(number: int) -> None:
        for _ in range(3000):
            if (await mall.terms())[name] == number:
                return
            await asyncio.sleep(0.02)
        raise AssertionError(f"{number}: not within a minute")

    async with open_mall() as mall:
        await told(before)
        save(own, good.replace(old, new, 1))
        await told(after)
        save(own, "tail: [")
        await asyncio.sleep(0.1)
        await told(after)
    async with open_mall() as mall:  # a house that starts again
        await told(after)


async def test_each_broken_file_is_told_by_its_name(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rules = HouseRules()
    rules.look()
    save(own := file.with_name("desk.yml"), "rating_days: soon\n")
    monkeypatch.setenv("DESK_FILE", str(own))
    save(file, BROKEN)
    rules.look()
    assert [warning.partition("，")[0] for warning in await rules.warnings()] == [
        "售后规则 rules.json 有 2 处错误",
        "客服设置 desk.yml 有 2 处错误",
    ]


def test_every_file_is_checked_by_the_command(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run("rules-check").returncode == 0
    save(
        own := file.with_name("proofs.yml"), settings.proofs_file().read_text("utf-8").replace("tries: 5", "tries: no")
    )
    monkeypatch.setenv("PROOFS_FILE", str(own))
    done = run("rules-check")
    assert done.returncode == 1
    assert "✔ desk.yml" in done.stdout
    assert "✘ tail.sender_at_order.tries：应该是整数" in done.stdout


async def test_a_mall_with_a_broken_file_and_no_good_one_says_why(file: Path) -> None:
    save(file, BROKEN)
    with pytest.raises(BrokenRules, match="beuaty"):
        async with open_mall():
            pass


def test_tables_are_migrated_whatever_the_rules_say(file: Path) -> None:
    save(file, "{")
    assert run("migrate").returncode == 0


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "mall_adapter", *arguments]
    return subprocess.run(command, capture_output=True, text=True, cwd=settings.ROOT, env=os.environ, check=False)


def test_the_command_lists_what_is_wrong(file: Path) -> None:
    save(file, BROKEN)
    done = run("rules-check", str(file))
    assert (done.returncode, done.stderr) == (1, "")
    assert (
        "✘ 表“能不能办、谁付运费”第 28 行（opened_cosmetics）“行业”列：没有“beuaty”这个词，是不是 beauty？"
        in done.stdout
    )
    assert "2 处错误，不能使用 / 2 fault(s): it cannot be used" in done.stdout


def test_it_tells_what_a_good_file_decides(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert check(file)
    told = capsys.readouterr().out.splitlines()
    for line in (
        "✔ rules.json：没有错误 / no faults",
        "行数 / rows: grounds 5 · entitlement 35 · review 4",
        "  no_reason_days = 7　七天无理由的天数",
        "  退货退款，不喜欢，已签收第 3 天，美妆，已拆封 → 不能办（opened_cosmetics）",
        "    return, quality, delivered day 10, digital, opened → refused (electronics_exchange_only)",
    ):
        assert line in told


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "没有这个文件 / there is no such file"),
        (
            {"nodes": [{"id": ["x"]}, None, 7, {"id": "limits", "type": "expressionNode", "content": []}]},
            "没有节点 review",
        ),
        ({"nodes": [{"id": step, "content": {"inputs": 7}} for step in FORM.steps], "edges": 7}, "要按这个顺序连接"),
    ],
)
def test_whatever_the_file_is_it_gets_sentences(
    file: Path, capsys: pytest.CaptureFixture[str], content: object, says: str
) -> None:
    save(file, json.dumps(content)) if content else file.unlink()
    assert not check(file)
    assert says in capsys.readouterr().out
