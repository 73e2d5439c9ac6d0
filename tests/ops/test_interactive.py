"""Teaching the bot by talking to it: what is brought back, and a person at a terminal who does it."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
import yaml
from rasa_sdk import Tracker
from rasa_sdk.executor import ActionExecutor, CollectingDispatcher

import settings
from ops import interactive, lessons
from ops.lessons import MARK, NEW_INTENTS, NEW_STORIES, Knowledge
from ops.training import fingerprint
from tests.ops.terminal import CTRL_C, ENTER, Terminal
from tests.stack import OURS

ORDERS = """\
version: "3.1"

# What people say about orders
nlu:
- intent: order_status  # where it stands
  examples: |
    - 我的订单呢
    - 帮我查一下ORD12345

# and about parcels
- intent: track_parcel
  examples: |
    - 快递到哪了
    - 包裹呢
"""
DIALOGUE = """\
version: "3.1"
nlu:
  - intent: greet
    examples: |
      - 你好
  # the end
"""
FLOWS = """\
flows:
  greet:
    description: A greeting.
    nlu_trigger: [{ intent: greet }]
    steps: [{ action: utter_greet }]
"""
DOMAIN = """\
version: "3.1"

intents:
  # dialogue
  - greet
  # orders
  - order_status
  - track_parcel: { use_entities: [] }

entities: [order_id]

slots:
  order_id: { type: any, mappings: [{ type: custom }] }
  member: { type: bool, mappings: [{ type: from_entity, entity: member }] }

actions:
  - action_order_status # asks the mall

responses:
  # --- small talk
  utter_greet:
    - text: |
        您好！

        请问有什么可以帮您？

session_config:
  session_expiration_time: 60 # minutes
"""


@pytest.fixture
def bot(tmp_path: Path) -> Path:
    bot = tmp_path / "bot"
    texts = {
        "domain.yml": DOMAIN,
        "data/nlu/orders.yml": ORDERS,
        "data/nlu/dialogue.yml": DIALOGUE,
        "data/flows/small_talk.yml": FLOWS,
        "data/lookups/colour.yml": "red:\n  - 红\n",
    }
    for name, text in texts.items():
        (bot / name).parent.mkdir(parents=True, exist_ok=True)
        (bot / name).write_text(text)
    return bot


def changes(bot: Path, new: Knowledge) -> list[str]:
    """Added and removed lines, with the files that they are in."""
    diff = lessons.diff(bot, lessons.plan(bot, new).files)
    return [line for line in diff.splitlines() if line[:1] in "+-" and not line.startswith("---")]


def taught(*examples: tuple[str, str]) -> Knowledge:
    return Knowledge(examples=dict.fromkeys(examples))


@pytest.mark.parametrize(
    ("example", "expected"),
    [
        (("order_status", "东西发了没"), ["+++ b/bot/data/nlu/orders.yml", "+    - 东西发了没"]),
        (("greet", "在吗"), ["+++ b/bot/data/nlu/dialogue.yml", "+      - 在吗"]),
        # as taught already, but for spelling or the number
        (("order_status", "我的订单呢？"), []),
        (("order_status", "帮我查一下 ord778899"), []),
        # meant something else than the file says: it moves
        (("track_parcel", "我的订单呢"), ["+++ b/bot/data/nlu/orders.yml", "-    - 我的订单呢", "+    - 我的订单呢"]),
        # order numbers are found by code
        (("track_parcel", "[ORD7788](order_id)走到哪"), ["+++ b/bot/data/nlu/orders.yml", "+    - ORD7788走到哪"]),
        (
            ("track_parcel", '[红](colour)的[那件]{"entity": "item", "value": "it"}到了没'),
            ["+++ b/bot/data/nlu/orders.yml", "+    - 红的那件到了没"],
        ),
        (("greet", "[捂脸]"), ["+++ b/bot/data/nlu/dialogue.yml", "+      - [捂脸]"]),
        (
            ("order_status", '[ORD7788][{"entity": "order_id"}, {"entity": "item"}]发没发'),
            ["+++ b/bot/data/nlu/orders.yml", "+    - ORD7788发没发"],
        ),
    ],
)
def test_an_example_goes_to_its_intent(bot: Path, example: tuple[str, str], expected: list[str]) -> None:
    assert changes(bot, taught(example)) == expected


def test_every_other_line_stays_where_it_is(bot: Path) -> None:
    new = taught(("order_status", "东西发了没"), ("order_status", "发货没"), ("track_parcel", "我的订单呢"))
    text = lessons.plan(bot, new).files[Path("data/nlu/orders.yml")]
    expected = ORDERS.replace("    - 我的订单呢\n", "")
    expected = expected.replace("查一下ORD12345\n", "查一下ORD12345\n    - 东西发了没\n    - 发货没\n")
    assert text == expected + "    - 我的订单呢\n"


def test_of_two_files_the_one_with_more_lines_of_the_intent_gets_it(bot: Path) -> None:
    for name in ("a.yml", "z.yml"):
        (bot / "data/nlu" / name).write_text("nlu:\n- intent: order_status\n  examples: |\n    - 单子咋样了\n")
    assert changes(bot, taught(("order_status", "东西发了没")))[0] == "+++ b/bot/data/nlu/orders.yml"


def test_an_entity_that_examples_teach_keeps_its_mark(bot: Path) -> None:
    file = "data/nlu/orders.yml"
    (bot / file).write_text(ORDERS.replace("- 包裹呢", "- [裙子](item)到了没"))
    assert changes(bot, taught(("track_parcel", "[鞋](item)呢"))) == [f"+++ b/bot/{file}", "+    - [鞋](item)呢"]


def test_a_new_intent_gets_a_file_of_its_own_and_a_line_in_the_domain(bot: Path) -> None:
    new = taught(("praise", "你真棒"), ("praise", "好评"))
    new.intents = {"praise": None}
    plan = lessons.plan(bot, new)
    written = 'version: "3.1"\n\nnlu:\n- intent: praise\n  examples: |\n    - 你真棒\n    - 好评\n'
    assert plan.files[NEW_INTENTS] == written
    domain = DOMAIN.replace("{ use_entities: [] }\n", "{ use_entities: [] }\n  - praise\n")
    assert plan.files[lessons.DOMAIN] == domain
    assert any("praise 是新意图" in note for note in plan.notes)

    lessons.write(bot, plan.files)
    again = lessons.plan(bot, taught(("praise", "服务真好"), ("blame", "太差了")))
    assert again.files == {NEW_INTENTS: written + "    - 服务真好\n- intent: blame\n  examples: |\n    - 太差了\n"}


def test_new_responses_and_actions_are_added_below_the_others(bot: Path) -> None:
    new = Knowledge(actions={"action_gift": None}, responses={"utter_gift": [{"text": '送您"一束"花\n请收下'}]})
    text = lessons.plan(bot, new).files[lessons.DOMAIN]
    expected = DOMAIN.replace("# asks the mall\n", "# asks the mall\n  - action_gift\n")
    response = '  utter_gift:\n    - text: "送您\\"一束\\"花\\n请收下"\n'
    assert text == expected.replace("请问有什么可以帮您？\n", "请问有什么可以帮您？\n" + response)


def test_a_list_on_one_line_is_left_to_a_person(bot: Path) -> None:
    (bot / "domain.yml").write_text("intents: [greet]\n")
    with pytest.raises(lessons.Unchangeable, match="intents"):
        lessons.plan(bot, Knowledge(intents={"praise": None}))


STORY: dict[str, Any] = {
    "story": "interactive_story_1",
    "steps": [
        {"intent": "greet", "entities": [{"order_id": "ORD12345"}, {"order_id": "ORD12346"}, {"phone_tail": "5678"}]},
        {"slot_was_set": [{"heard": {"order_id": "ORD12345"}}]},
        {"slot_was_set": [{"member": True}]},
        {"action": "validate_after_sales"},
        {"slot_was_set": [{"order_id": "ORD12345"}]},
        {"slot_was_set": [{"instead_of": "action_ask_reason"}]},
        {"action": "utter_greet"},
        {"slot_was_set": [{"dialogue": {"turn": 1}}]},
        {"intent": "order_status"},
        {"action": "action_order_status"},
    ],
}
STORY_LINES = """\
- story: interactive {}
  steps:
  - intent: greet
    entities:
    - order_id
    - phone_tail
  - slot_was_set:
    - member: true
  - slot_was_set:
    - instead_of: action_ask_reason
  - action: utter_greet
"""


def test_stories_are_numbered_and_follow_each_other(bot: Path) -> None:
    """Without anything of the customer's, and up to the answer that was corrected. The first brings its slot along."""
    plan = lessons.plan(bot, Knowledge(stories=[STORY, STORY]))
    first = 'version: "3.1"\n\nstories:\n' + STORY_LINES.format(1) + STORY_LINES.format(2)
    assert plan.files[NEW_STORIES] == first
    assert plan.files[lessons.DOMAIN] == DOMAIN.replace("entity: member }] }\n", f"entity: member }}] }}\n  {MARK}\n")
    lessons.write(bot, plan.files)
    assert lessons.plan(bot, Knowledge(stories=[STORY])).files == {NEW_STORIES: first + STORY_LINES.format(3)}


@pytest.mark.parametrize(
    ("corrected", "note"),
    [(None, "流程本来就会这样做"), ("validate_after_sales", "校验总是最先执行")],
)
def test_what_cannot_be_taught_is_said_instead(bot: Path, corrected: str | None, note: str) -> None:
    steps: list[dict[str, Any]] = [{"intent": "greet"}, {"action": "utter_greet"}]
    if corrected:
        steps.insert(1, {"slot_was_set": [{"instead_of": corrected}]})
    plan = lessons.plan(bot, Knowledge(stories=[{"story": "interactive_story_1", "steps": steps}]))
    assert plan.files == {}
    assert [note in said for said in plan.notes] == [True]


def test_what_rasa_wrote_anew_is_nothing_new(bot: Path) -> None:
    """Wherever the operator has it written to, and with everything else in Rasa's own words."""
    before = lessons.read(bot)
    (bot / "data/nlu/orders.yml").write_text(
        'version: "3.1"\nnlu:\n- intent: track_parcel\n  examples: |\n    - 包裹呢\n    - 快递到哪了\n    - 到没到\n'
        "- intent: order_status\n  examples: |\n    - 帮我查一下ORD12345\n    - 我的订单呢\n"
        "- intent: nlu_fallback\n  examples: |\n    - 啊吧啊吧\n"
    )
    (bot / "domain.yml").write_text(
        "intents: [greet, nlu_fallback, order_status, praise, track_parcel]\nentities: [order_id]\n"
        "actions: [action_order_status, utter_greet, utter_gift]\n"
        "responses: {utter_gift: [{text: 花}], utter_greet: [{text: 您好！}]}\n"
    )
    story = 'version: "3.1"\nstories:\n- story: interactive_story_{}\n  steps:\n  - intent: greet\n'
    (bot / "data/new.yml").write_text(story.format(1) + "\n" + story.format(2))
    new = lessons.learned(before, lessons.read(bot))
    assert new.examples == {("track_parcel", "到没到"): None}
    assert [story["story"] for story in new.stories] == ["interactive_story_1", "interactive_story_2"]
    assert (new.intents, new.entities, new.actions) == ({"praise": None}, {}, {})
    assert new.responses == {"utter_gift": [{"text": "花"}]}


WRITES = [
    step["write"]
    for file in sorted((settings.ROOT / "bot/data/flows").glob("*.yml"))
    for flow in yaml.safe_load(file.read_text(encoding="utf-8"))["flows"].values()
    for step in flow["steps"]
    if "write" in step
]
VALUES = {"order_id": "ORD12345", "ticket_kind": "return", "reason": "dislike", "ticket_id": "RT12345", "proved": True}
VALUES |= {"invoice_kind": "personal", "account_phone": "13900001111", "account_order": "ORD12345"}


@pytest.mark.parametrize("confirmed", [None, "another summary"])
@pytest.mark.parametrize("name", WRITES)
async def test_a_story_that_jumps_to_a_write_meets_its_guard(
    name: str, confirmed: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def no_mall() -> object:
        return object()

    executor, dispatcher = ActionExecutor(), CollectingDispatcher()
    executor.register_package("bot.actions")
    modules = [module for name, module in sys.modules.items() if name.startswith("bot.actions.")]
    for module in modules:
        if hasattr(module, "get_mall"):
            monkeypatch.setattr(module, "get_mall", no_mall)
    domain = yaml.safe_load((settings.ROOT / "bot/domain.yml").read_text(encoding="utf-8"))
    slots = dict.fromkeys(domain["slots"]) | VALUES | {"confirmed": confirmed}
    tracker = Tracker("api:ann", slots, {}, [], False, None, {}, "")
    assert await executor.actions[name](dispatcher, tracker, domain) == []
    assert dispatcher.messages == []


def content(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def test_a_write_that_fails_changes_nothing(bot: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = content(bot.parent)
    replace, calls = Path.replace, iter((False, False, True, False, False, False))

    def on_a_failing_disk(staged: Path, target: Path) -> Path:
        if next(calls):
            raise OSError("input/output error")
        return replace(staged, target)

    files = {
        NEW_INTENTS: "nlu: []\n",
        lessons.DOMAIN: "intents: []\n",
        Path("data/flows/small_talk.yml"): "flows: {}\n",
    }
    monkeypatch.setattr(Path, "replace", on_a_failing_disk)
    with pytest.raises(OSError, match="input/output error"):
        lessons.write(bot, files)
    assert content(bot.parent) == before


TALK = """
import asyncio, json, sys
from rasa.core.actions.action import RemoteAction
from rasa.core.agent import Agent
from rasa.shared.core.events import ActionExecuted, SessionStarted, SlotSet, UserUttered

async def run(self, channel, nlg, tracker, domain):  # as if every validation took what it heard
    if self.name() == "action_session_start":
        return [SessionStarted(), ActionExecuted("action_listen")]
    heard = tracker.get_slot("heard") if self.name().startswith("validate_") else {}
    return [SlotSet(name, value) for name, value in (heard or {}).items()]

async def talk(number, texts):
    for text in texts:
        await agent.handle_text(text, sender_id=str(number))
    tracker, answers = await agent.tracker_store.retrieve(str(number)), []
    for event in tracker.applied_events():
        if isinstance(event, UserUttered):
            answers.append([])
        elif isinstance(event, ActionExecuted) and answers and event.action_name != "action_listen":
            answers[-1].append(event.action_name)
    return answers

async def main():
    return [await talk(number, texts) for number, texts in enumerate(json.loads(sys.argv[2]))]

RemoteAction.run = run
agent = Agent.load(sys.argv[1])
print(json.dumps(asyncio.run(main())))
"""
THANKS: list[dict[str, Any]] = [{"intent": "thank"}, {"slot_was_set": [{"instead_of": "utter_thank"}]}]


class Lesson:
    """`python -m ops.interactive` on a copy of the repository's bot."""

    def __init__(self, folder: Path) -> None:
        self.bot = folder / "bot"
        self.data = folder / "var"
        shutil.copytree(settings.ROOT / "bot", self.bot, ignore=shutil.ignore_patterns("__pycache__"))
        self.before = content(self.bot)
        env = {name: value for name, value in os.environ.items() if name not in OURS} | {"DATA_DIR": str(self.data)}
        self.env = env | {"PYTHONPATH": str(settings.ROOT), "RASA_TELEMETRY_ENABLED": "false"}
        command = [sys.executable, "-m", "ops.interactive", "--bot", str(self.bot)]
        self.terminal = Terminal(command, settings.ROOT, env | {"TMPDIR": str(folder)})

    def listening(self) -> list[str]:
        """Addresses of everything that it has started."""
        family = psutil.Process(self.terminal.process.pid).children(recursive=True)
        sockets = [one for process in family for one in process.net_connections("tcp")]
        return [f"http://127.0.0.1:{one.laddr[1]}" for one in sockets if one.status == psutil.CONN_LISTEN]

    def say(self, text: str) -> None:
        self.terminal.wait_for("Your input ->")
        self.terminal.press(text, ENTER)

    def confirm(self, right: bool) -> str:
        question = self.terminal.wait_for("(Y/n)")
        self.terminal.press("y" if right else "n")
        self.terminal.wait_for("Yes" if right else "No")
        return question

    def agree(self, *expected: str, undo: str = "") -> None:
        """Until the bot listens. The action ``undo`` is undone when it has run, and runs again."""
        ran: list[str] = []
        while "action_listen" not in ran:
            question = self.terminal.wait_for("(Y/n)")
            action = re.findall(r"wants to run '(\w+)'", question)[-1]  # it is drawn more than once
            if undo and undo in ran:
                self.terminal.press(CTRL_C)
                self.terminal.choose("Do you want to stop?", "Undo Last")
                ran, undo = [one for one in ran if one != undo], ""
                continue
            self.terminal.press("y")
            self.terminal.wait_for("Yes")
            ran.append(action)
        assert set(expected) <= set(ran)

    def choose_new(self, action: str, text: str) -> None:
        self.terminal.choose("What is the next action of the bot?", "<create new action>")
        self.terminal.wait_for("Please type the action name")
        self.terminal.press(action, ENTER)
        self.terminal.wait_for("Please type the message for your new bot response")
        self.terminal.press(text, ENTER)
        self.confirm(True)  # that it is said only after the training

    def accept(self) -> None:
        self.terminal.press("y", ENTER)
        self.terminal.wait_for("已写回")
        assert self.terminal.end() == 0

    def changed(self) -> set[str]:
        after = content(self.bot)
        return {name for name in {**self.before, **after} if self.before.get(name) != after.get(name)}

    def train(self) -> Path:
        """The policies alone, with what was brought back; they are asked with payloads, so no words are needed."""
        files = ("--domain", "bot/domain.yml", "--config", "bot/config.yml", "--stories", "bot/data/stories")
        command = [interactive.RASA, "-m", "bot", "rasa", "train", "core", *files, "--out", "taught"]
        subprocess.run(command, cwd=self.bot.parent, env=self.env, check=True, capture_output=True)
        return self.bot.parent / "taught"

    def told(self, model: Path, conversations: list[list[str]]) -> list[list[list[str]]]:
        """What a model does in conversations: the actions that answer each payload."""
        command = [interactive.RASA, "-c", TALK, str(model), json.dumps(conversations)]
        done = subprocess.run(command, cwd=self.bot.parent, env=self.env, check=True, capture_output=True, text=True)
        answers: list[list[list[str]]] = json.loads(done.stdout.splitlines()[-1])
        return answers

    def export(self) -> str:
        """Ends the conversation; returns what is shown before the question."""
        self.terminal.wait_for("Your input ->")
        self.terminal.press(CTRL_C)
        self.terminal.choose("Do you want to stop?", "Export & Quit")
        for file in ("stories", "NLU data", "domain"):
            self.terminal.wait_for(f"Export {file}")
            self.terminal.press(ENTER)
        return self.terminal.wait_for("[y/N]")


@pytest.fixture
def lesson(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lesson]:
    lesson = Lesson(tmp_path_factory.mktemp("lesson"))  # a short name: sockets lie in it
    yield lesson
    lesson.terminal.close()


TEXT = "ORD12345这单买得真值 一家老小都乐开花"


def test_a_corrected_intent_is_brought_back(lesson: Lesson) -> None:
    lesson.say(TEXT)
    lesson.confirm(False)
    lesson.terminal.choose("What intent is it?", "chitchat")
    lesson.terminal.wait_for("Please mark the entities")
    for address in lesson.listening():  # Rasa's whole HTTP API among them
        try:
            answer = httpx.get(f"{address}/conversations/default/tracker", trust_env=False)
        except httpx.RemoteProtocolError:  # Bolt's
            continue
        assert answer.status_code in (400, 401, 403, 404), answer.text
    lesson.terminal.press(ENTER)
    lesson.agree()
    shown = lesson.export()
    assert f"+    - {TEXT}" in shown
    assert "流程本来就会这样做" in shown
    assert content(lesson.bot) == lesson.before, "nothing is written before the yes"
    lesson.accept()

    file = "data/nlu/dialogue.yml"
    assert lesson.changed() == {file}
    assert content(lesson.bot)[file].replace(f"    - {TEXT}\n".encode(), b"") == lesson.before[file]
    assert ("chitchat", TEXT) in lessons.read(lesson.bot).examples


FLOWER = "送您一朵小花"
STORY_OF_A_FLOWER = """\
- story: interactive 1
  steps:
  - intent: request_return
    entities:
    - order_id
    - ticket_kind
  - action: action_ask_phone_tail
  - intent: thank
  - slot_was_set:
    - instead_of: utter_thank
  - action: utter_flower
  - slot_was_set:
    - instead_of: utter_thank
"""
RETURN = '/request_return{"order_id": "ORD12345"}'


def test_a_corrected_action_changes_what_the_bot_does_there_and_nowhere_else(lesson: Lesson) -> None:
    lesson.say("我要退货 ORD12345")
    lesson.confirm(True)
    lesson.agree("action_ask_phone_tail", undo="action_ask_phone_tail")  # which is asked with what was heard
    lesson.say("谢谢")
    lesson.confirm(True)
    assert "wants to run 'utter_thank'" in lesson.confirm(False)
    lesson.choose_new("utter_flower", FLOWER)
    assert "wants to run 'utter_thank'" in lesson.confirm(False)
    lesson.terminal.choose("What is the next action of the bot?", "action_listen")
    lesson.say("你好")
    lesson.confirm(True)
    lesson.agree("action_greet")
    lesson.export()
    lesson.accept()

    changed = lesson.changed()
    assert {str(NEW_STORIES), "domain.yml"} <= changed
    assert (lesson.bot / NEW_STORIES).read_text() == f'version: "3.1"\n\nstories:\n{STORY_OF_A_FLOWER}'

    asked, thanked = ["validate_after_sales", "action_ask_phone_tail"], ["utter_flower"]
    stock, taught = settings.ROOT / "models" / f"{fingerprint()}.tar.gz", lesson.train()
    assert lesson.told(taught, [[RETURN, "/thank"], ["/greet", RETURN, "/thank"]]) == [
        [asked, thanked],
        [["action_greet"], asked, thanked],
    ]
    elsewhere = [["/thank"], ["/request_return", "/thank"], [RETURN, "/greet", "/thank"], [RETURN, "/stop", "/thank"]]
    assert lesson.told(taught, elsewhere) == lesson.told(stock, elsewhere)


def test_a_no_keeps_the_changes_as_a_diff(lesson: Lesson) -> None:
    lesson.say("谢谢")
    lesson.confirm(True)
    lesson.confirm(False)
    lesson.choose_new("utter_flower", FLOWER)
    lesson.confirm(False)
    lesson.terminal.choose("What is the next action of the bot?", "action_listen")
    shown = lesson.export()
    assert FLOWER in shown
    lesson.terminal.press("n", ENTER)
    assert lesson.terminal.end() == 0
    assert content(lesson.bot) == lesson.before

    (kept,) = (lesson.data / "interactive").glob("*.diff")
    subprocess.run(["git", "apply", kept], cwd=lesson.bot.parent, check=True)
    added = f'  utter_flower:\n    - text: "{FLOWER}"\n'
    domain = (lesson.bot / "domain.yml").read_text().replace(added, "").replace(f"  {MARK}\n", "")
    assert domain.encode() == lesson.before["domain.yml"]
    assert "  - action: utter_flower\n" in (lesson.bot / NEW_STORIES).read_text()


def test_stories_that_contradict_each_other_are_left_out(tmp_path: Path) -> None:
    bot = tmp_path / "bot"
    shutil.copytree(settings.ROOT / "bot", bot, ignore=shutil.ignore_patterns("__pycache__"))
    other = 'version: "3.1"\nstories:\n- story: other\n  steps: [{ intent: thank }, { action: utter_greet }]\n'
    (bot / "data/stories/other.yml").write_text(other)
    new = Knowledge(stories=[{"story": "new", "steps": [*THANKS, {"action": "utter_goodbye"}]}])
    with interactive.scratch(bot) as (folder, jobs):
        plan = interactive.propose(bot, new, folder, jobs)
    assert plan.files == {}
    assert any("新故事无法学习" in note and "instead of utter_thank" in note for note in plan.notes)


def test_a_kill_leaves_no_process_and_no_change(lesson: Lesson) -> None:
    lesson.say("你好")
    lesson.terminal.wait_for("(Y/n)")
    family = psutil.Process(lesson.terminal.process.pid).children(recursive=True)
    assert len(family) >= 3, "the actions, Rasa, and what ends them"
    lesson.terminal.process.kill()
    _, alive = psutil.wait_procs(family, timeout=30)
    assert not alive
    assert content(lesson.bot) == lesson.before


def test_no_terminal_is_a_sentence() -> None:
    command = [sys.executable, "-m", "ops.interactive"]
    answer = subprocess.run(
        command, cwd=settings.ROOT, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60
    )
    assert answer.returncode == 2
    assert "请在终端里运行" in answer.stderr
    assert "Traceback" not in answer.stderr
