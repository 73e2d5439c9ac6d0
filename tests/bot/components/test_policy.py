"""What the flows want is told from facts, and a story changes it there and nowhere else.

A tiny shop, trained as Rasa trains policies; its actions are told what they find.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from rasa.core.agent import Agent
from rasa.core.channels.channel import CollectingOutputChannel, UserMessage
from rasa.core.policies.ensemble import DefaultPolicyPredictionEnsemble
from rasa.core.policies.policy import Policy
from rasa.core.training import load_data
from rasa.engine.graph import ExecutionContext, GraphSchema
from rasa.engine.storage.local_model_storage import LocalModelStorage
from rasa.engine.storage.resource import Resource
from rasa.shared.core.domain import Domain
from rasa.shared.core.events import (
    ActionExecuted,
    ActionReverted,
    BotUttered,
    Event,
    SlotSet,
    UserUtteranceReverted,
    UserUttered,
)
from rasa.shared.core.trackers import DialogueStateTracker
from rasa.shared.exceptions import InvalidConfigException

from bot.components import interactive
from bot.components.dialogue.flows import Flows
from bot.components.dialogue.policy import INSTEAD_OF, MIRROR, FlowPolicy, StoryPolicy, deviations, fold, trained
from bot.components.patches import Patch

ROOT = Path(__file__).parents[3]

CONTROL = ("dialogue", "heard", "problem", "missing", "refusal", "summary", "confirmed", "proposal", "change", "focus")
SLOTS = (*CONTROL, "order_id", "reason", "too_late")
DOMAIN = """
version: "3.1"
intents: [greet, request_return, order_status, inform, affirm, thank, stop]
entities: [order_id: {influence_conversation: false}, reason: {influence_conversation: false}]
slots:
  SLOTS
  instead_of: {type: text, mappings: [{type: custom}]}
actions: [validate_return_goods, action_ask_confirm_return, action_return, action_order_status, action_interrupt,
  action_remind, action_ask_resume, action_begin_next, action_noted]
responses:
  utter_greet: [{text: 您好}]
  utter_gift: [{text: 送您一朵花}]
  utter_sorry: [{text: 让您费心了}]
  utter_ask_order_id: [{text: 哪个订单？}]
  utter_ask_order_id_again: [{text: 订单号在订单页。}]
  utter_ask_reason: [{text: 为什么退？}]
  utter_too_late: [{text: 过了时间。}]
  utter_thank: [{text: 不客气}]
  utter_cancelled: [{text: 好的}]
  utter_acknowledge: [{text: 嗯}]
  utter_pardon: [{text: 没听懂}]
  utter_leave_question: [{text: 先放着}]
""".replace("SLOTS", "\n  ".join(f"{name}: {{type: any, mappings: [{{type: custom}}]}}" for name in SLOTS))

FLOWS = """
flows:
  return_goods:
    description: Goods come back.
    nlu_trigger: [{intent: request_return}]
    holds: [too_late]
    changeable: [reason]
    steps:
      - collect: order_id
      - action: utter_too_late
        if: too_late
        next: end
      - collect: reason
        in_own_words: free
      - write: action_return
        summary: action_ask_confirm_return
  order_status:
    description: Where an order stands.
    nlu_trigger: [{intent: order_status}]
    steps:
      - action: action_order_status
        needs: [order_id]
  greet:
    description: A greeting.
    nlu_trigger: [{intent: greet}]
    steps: [{action: utter_greet}]
  pattern_thank: {description: Thanks., pattern: true, quiet: true, steps: [{action: utter_thank}]}
  pattern_thank_unsent: {description: Thanks., pattern: true, quiet: true, steps: [{action: utter_thank}]}
  pattern_cancelled: {description: A stop., pattern: true, quiet: true, steps: [{action: utter_cancelled}]}
  pattern_nothing_to_cancel: {description: A stop., pattern: true, quiet: true, steps: [{action: utter_cancelled}]}
  pattern_acknowledge: {description: Heard., pattern: true, quiet: true, steps: [{action: utter_acknowledge}]}
  cannot_handle: {description: Not understood., pattern: true, steps: [{action: utter_pardon}]}
"""

Find = Callable[[str, DialogueStateTracker], Mapping[str, Any]]


def find(action: str, tracker: DialogueStateTracker) -> Mapping[str, Any]:
    """What an action sets: validations take what they heard, a summary is named, a status needs an order."""
    if action.startswith("validate_"):
        return dict(tracker.get_slot("heard") or {})
    if action == "action_ask_confirm_return":
        return {"summary": f"{tracker.get_slot('order_id')} {tracker.get_slot('reason')}"}
    if action == "action_order_status":
        return {"missing": None if tracker.get_slot("order_id") else "order_id"}
    return {}


def too_late(action: str, tracker: DialogueStateTracker) -> Mapping[str, Any]:
    found = find(action, tracker)
    return {**found, "too_late": True} if action.startswith("validate_") and found.get("order_id") else found


def policy(kind: type[Policy], folder: Path, config: Mapping[str, Any]) -> Any:
    folder.mkdir(exist_ok=True)
    storage = LocalModelStorage.create(folder)
    context = ExecutionContext(GraphSchema({}))
    return kind.create({**kind.get_default_config(), **config}, storage, Resource(kind.__name__), context)


def loaded(one: Any) -> Any:
    """As the model has it."""
    return type(one).load(one.config, one._model_storage, one._resource, ExecutionContext(GraphSchema({})))


class Bot:
    """Both policies, trained on a domain, flows and stories, and loaded again."""

    def __init__(
        self, folder: Path, stories: str = "", domain: Domain | None = None, flows: Sequence[Path] = ()
    ) -> None:
        self.domain = domain or Domain.from_yaml(DOMAIN)
        if not flows:
            flows = [folder / "flows"]
            flows[0].mkdir(exist_ok=True)
            (flows[0] / "shop.yml").write_text(FLOWS)
        told = folder / "stories.yml"
        told.write_text('version: "3.1"\nstories:\n' + (stories or STORY))
        trackers = load_data(str(told), self.domain)
        self.policies = []
        for kind in (FlowPolicy, StoryPolicy):
            one = policy(kind, folder / kind.__name__, {"flows": list(map(str, flows))})
            one.train(trackers, self.domain)
            self.policies.append(loaded(one))
        self.flow, self.story = self.policies
        self.ensemble = DefaultPolicyPredictionEnsemble()

    def predict(self, tracker: DialogueStateTracker) -> tuple[str, list[Event]]:
        predictions = [one.predict_action_probabilities(tracker, self.domain) for one in self.policies]
        best = self.ensemble.combine_predictions(predictions, tracker, self.domain)
        return self.domain.action_names_or_texts[best.max_confidence_index], best.events

    def new(self) -> Talk:
        return Talk(self)


class Talk:
    """One conversation, as Rasa's processor leads it."""

    def __init__(self, bot: Bot, find: Find = find) -> None:
        self.bot, self.find, self.turns = bot, find, 0
        self.found: set[int] = set()  # identities of the events that actions returned
        self.tracker = DialogueStateTracker("ann", bot.domain.slots)
        self.tracker.update(ActionExecuted("action_listen"))

    def hear(self, intent: str, text: str = "", **entities: str) -> None:
        self.turns += 1
        told = [{"entity": name, "value": value} for name, value in entities.items()]
        parse = {"intent": {"name": intent, "confidence": 1.0}, "entities": told, "text": text}
        self.tracker.update(UserUttered(text, parse["intent"], told, parse, message_id=f"m{self.turns}"))

    def do(self, action: str, events: Iterable[Event] = ()) -> None:
        self.tracker.update_with_events(list(events), self.bot.domain)
        found = [SlotSet(name, value) for name, value in self.find(action, self.tracker).items()]
        self.found |= set(map(id, found))
        self.tracker.update(ActionExecuted(action))
        if not action.startswith("validate_") and action != "action_listen":
            self.tracker.update(BotUttered(action, {}, {}))
        self.tracker.update_with_events(found, self.bot.domain)

    def say(self, intent: str, text: str = "", **entities: str) -> list[str]:
        """What the bot does, validations left out."""
        self.hear(intent, text, **entities)
        ran: list[str] = []
        while not ran or ran[-1] != "action_listen":
            action, events = self.bot.predict(self.tracker)
            self.do(action, events)
            ran.append(action)
            assert len(ran) < 10, ran
        return [action for action in ran[:-1] if not action.startswith("validate_")]

    def all(self, turns: Iterable[tuple[Any, ...]]) -> list[list[str]]:
        return [self.say(turn[0], **(turn[1] if len(turn) > 1 else {})) for turn in turns]


STORY = """
- story: what the flows do anyway
  steps:
  - intent: request_return
  - action: utter_ask_order_id
  - intent: inform
    entities: [{order_id: ORD12345}]
  - action: utter_ask_reason
  - intent: inform
    entities: [{reason: dislike}]
  - action: action_ask_confirm_return
  - intent: affirm
  - action: action_return
"""

ORDER, REASON = {"order_id": "ORD12345"}, {"reason": "dislike"}
RETURN: list[tuple[Any, ...]] = [("request_return",), ("inform", ORDER), ("inform", REASON), ("affirm",)]
CONVERSATIONS: dict[str, list[tuple[Any, ...]]] = {
    "a return": RETURN,
    "a return in one message": [("request_return", ORDER | REASON), ("affirm",)],
    "a greeting": [("greet",), ("greet",)],
    "a status": [("order_status",), ("inform", ORDER)],
    "a status of a known order": [("order_status", ORDER)],
    "thanks in a return": [("request_return",), ("thank",), ("inform", ORDER)],
    "a stop": [("request_return",), ("stop",), ("thank",)],
    "a question in a return": [("request_return", ORDER), ("order_status", ORDER), ("inform", REASON), ("affirm",)],
}


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Bot:
    return Bot(tmp_path_factory.mktemp("plain"))


# ---------------------------------------------------------------------------------------------- flows


def test_a_return_from_the_wish_to_the_write(plain: Bot) -> None:
    expected = [["utter_ask_order_id"], ["utter_ask_reason"], ["action_ask_confirm_return"], ["action_return"]]
    assert plain.new().all(RETURN) == expected


def test_a_message_is_heard_once_however_often_it_is_predicted(plain: Bot) -> None:
    talk = plain.new()
    talk.hear("request_return")
    first, events = plain.predict(talk.tracker)
    assert (first, events) == plain.predict(talk.tracker), "nothing of it is kept in the policy"
    talk.do(first, events)
    for _ in range(3):
        action, events = plain.predict(talk.tracker)
        talk.tracker.update_with_events(events, plain.domain)
    assert talk.tracker.get_slot(MIRROR)["turn"] == 1
    talk.do(action)
    talk.hear("thank")
    assert plain.predict(talk.tracker)[0] == "utter_thank"


@pytest.mark.parametrize("turns", CONVERSATIONS.values(), ids=CONVERSATIONS.keys())
def test_the_state_follows_from_the_events_without_its_mirror(plain: Bot, turns: list[tuple[Any, ...]]) -> None:
    """At any point; and whether the last mirrors are lost or all of them."""
    talk = plain.new()
    talk.all(turns)
    events = list(talk.tracker.events)
    mirrored = [at for at, one in enumerate(events) if isinstance(one, SlotSet) and id(one) not in talk.found]
    points = [at for at in range(1, len(events)) if at in mirrored and at - 1 not in mirrored]
    assert len(points) > len(turns)
    for point, lost in itertools.product(points, (0, mirrored[len(mirrored) // 2])):
        facts = [one for at, one in enumerate(events[:point]) if at < lost or at not in mirrored]
        assert folded(plain, facts) == folded(plain, events[:point])


def folded(bot: Bot, events: Sequence[Event]) -> tuple[Any, ...]:
    tracker = DialogueStateTracker.from_events("ann", list(events), bot.domain.slots)
    state, changes, ran = fold(tracker, bot.flow.flows)
    slots = tracker.current_slot_values() | changes
    return state.dump(), {name: value for name, value in slots.items() if name != MIRROR}, ran


def test_a_prediction_that_loses_confirms_nothing(plain: Bot) -> None:
    talk = plain.new()
    talk.all(RETURN[:2])
    talk.hear("inform", **REASON)
    action, events = plain.predict(talk.tracker)
    talk.do(action, events)
    assert action == "validate_return_goods"
    action, events = plain.predict(talk.tracker)
    assert action == "action_ask_confirm_return"
    talk.do("utter_gift", events)  # the flows have lost: nobody has seen the summary
    talk.do("action_listen", plain.predict(talk.tracker)[1])
    assert "action_return" not in talk.say("affirm")
    assert talk.tracker.get_slot("confirmed") is None
    assert talk.say("order_status", **ORDER) == ["action_order_status", "action_ask_confirm_return"]
    assert talk.say("affirm") == ["action_return"]


def test_a_flow_that_a_newer_model_lacks_is_forgotten(plain: Bot) -> None:
    talk = plain.new()
    talk.say("request_return")
    mirror = talk.tracker.get_slot(MIRROR)
    mirror["stack"].append({**mirror["stack"][0], "flow": "lottery"})
    talk.tracker.update(SlotSet(MIRROR, mirror))
    assert talk.say("inform", **ORDER) == ["utter_ask_reason"]


# ---------------------------------------------------------------------------------------------- stories


def test_what_the_flows_do_anyway_is_not_learned(plain: Bot) -> None:
    assert plain.story.lookup == {}


def test_the_story_of_the_repository_tells_what_its_flows_do(tmp_path: Path) -> None:
    domain = Domain.load(str(ROOT / "bot/domain.yml"))
    _, flows = trained([str(ROOT / "bot/data/flows")], domain)
    stories = load_data(str(ROOT / "bot/data/stories/return.yml"), domain, augmentation_factor=0)
    assert stories
    for story in stories:
        assert deviations(story, domain, flows, frozenset(domain.action_names_or_texts)) == []


@pytest.mark.parametrize(
    "steps",
    [
        # validations may be told, and what is found may be left out
        "[{intent: request_return}, {action: validate_return_goods}, {action: utter_ask_order_id}]",
        "[{intent: request_return, entities: [{order_id: ORD12345}]}, {action: utter_too_late}]",
        "[{intent: order_status}, {action: action_order_status}, {action: utter_ask_order_id}, {intent: inform,"
        " entities: [{order_id: ORD12345}]}, {action: action_order_status}]",
        "[{intent: request_return}, {slot_was_set: [{order_id: ORD12345}]}, {action: utter_ask_reason}]",
        "[{intent: order_status}, {action: action_order_status}, {slot_was_set: [{missing: order_id}]},"
        " {action: utter_ask_order_id}]",
    ],
)
def test_a_story_may_leave_out_what_is_found(tmp_path: Path, steps: str) -> None:
    assert Bot(tmp_path, f"- story: told\n  steps: {steps}").story.lookup == {}


GIFT = """
- story: a gift before the reason is asked for
  steps:
  - intent: request_return
  - action: utter_ask_order_id
  - intent: inform
    entities: [{order_id: ORD12345}]
  - action: utter_gift
  - action: utter_ask_reason
"""
SILENT_GIFT = """
- story: as interactive learning writes it
  steps:
  - intent: request_return
  - action: utter_ask_order_id
  - intent: inform
    entities: [order_id]
  - slot_was_set: [instead_of: utter_ask_reason]
  - action: utter_gift
  - slot_was_set: [instead_of: utter_ask_reason]
"""


@pytest.fixture(scope="module", params=[GIFT, SILENT_GIFT], ids=["by hand", "corrected"])
def taught(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Bot:
    return Bot(tmp_path_factory.mktemp("taught"), request.param)


def answer(bot: Bot) -> list[str]:
    return ["utter_gift"] if len(bot.story.lookup) == 2 else ["utter_gift", "utter_ask_reason"]


def test_a_corrected_action_is_recalled_there(taught: Bot) -> None:
    assert taught.new().all(RETURN[:2]) == [["utter_ask_order_id"], answer(taught)]


def test_and_what_follows_goes_on_as_before(taught: Bot, plain: Bot) -> None:
    assert taught.new().all(RETURN)[2:] == plain.new().all(RETURN)[2:]


@pytest.mark.parametrize("turns", list(CONVERSATIONS.values())[1:], ids=list(CONVERSATIONS)[1:])
def test_other_conversations_stay_as_they_were(taught: Bot, plain: Bot, turns: list[tuple[Any, ...]]) -> None:
    assert taught.new().all(turns) == plain.new().all(turns)


def test_where_the_flows_want_something_else_the_story_is_silent(taught: Bot) -> None:
    """The same words, but the goods cannot be returned any more."""
    assert Talk(taught, too_late).all(RETURN[:2]) == [["utter_ask_order_id"], ["utter_too_late"]]


def test_a_story_is_recalled_late_in_a_conversation_too(taught: Bot) -> None:
    talk = taught.new()
    for _ in range(30):
        talk.all([("greet",), ("order_status", ORDER)])
    assert talk.all(RETURN[:2]) == [["utter_ask_order_id"], answer(taught)]


def test_a_story_cannot_put_itself_before_a_validation(tmp_path: Path) -> None:
    steps = "[{intent: request_return}, {slot_was_set: [instead_of: validate_return_goods]}, {action: utter_gift}]"
    bot = Bot(tmp_path, f"- story: gift\n  steps: {steps}")
    assert bot.new().say("request_return") == ["utter_ask_order_id"]


def test_a_jump_to_a_write_is_predicted_and_left_to_the_guard_of_the_action(tmp_path: Path) -> None:
    steps = "[{intent: request_return}, {action: action_return}]"
    bot = Bot(tmp_path, f"- story: jump\n  steps: {steps}")
    talk = bot.new()
    assert talk.say("request_return")[0] == "action_return"
    assert talk.tracker.get_slot("confirmed") is None, "which is what the action looks at"
    assert bot.new().all([("greet",), ("order_status",)]) == [
        ["utter_greet"],
        ["action_order_status", "utter_ask_order_id"],
    ]


PUT_OFF = """
- story: no write after all
  steps:
  - intent: request_return
  - action: action_ask_confirm_return
  - intent: affirm
  - slot_was_set: [instead_of: action_return]
  - action: utter_sorry
  - slot_was_set: [instead_of: action_return]
"""


def test_a_write_that_a_story_put_off_wants_another_yes(tmp_path: Path) -> None:
    talk = Bot(tmp_path, PUT_OFF).new()
    assert talk.all([("request_return", ORDER | REASON), ("affirm",)]) == [
        ["action_ask_confirm_return"],
        ["utter_sorry"],
    ]
    assert talk.say("greet") == ["utter_greet", "action_ask_confirm_return"]
    assert talk.say("order_status", **ORDER)[0] == "action_order_status"
    assert talk.say("thank") == ["utter_thank"]


CONTRADICTION = """
- story: one
  steps: [{intent: greet}, {action: utter_gift}]
- story: two
  steps: [{intent: greet}, {action: utter_sorry}]
"""


def test_stories_that_contradict_each_other_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidConfigException, match="instead of utter_greet after greet"):
        Bot(tmp_path, CONTRADICTION)


# ---------------------------------------------------------------------------------------------- files


def lottery(steps: str = "[{action: utter_gift}]", more: str = "") -> str:
    return f"flows:\n  lottery:\n    description: A game.\n    steps: {steps}\n    {more}\n"


@pytest.mark.parametrize(
    ("file", "message"),
    [
        ("lottery: {}", "lottery.yml: it has no flows"),
        ("flows: {greet: {description: Again., steps: [{action: utter_greet}]}}", "the flow greet stands in two files"),
        (lottery(more="colour: red"), r"flow lottery: unknown keys \['colour'\]"),
        (lottery("[{collect: order_id, colour: red}]"), r"step 1 \(order_id\) has unknown keys \['colour'\]"),
        (lottery("[{colour: red}]"), "flow lottery: step 1 is none of collect, action, write, link"),
        (lottery("[]"), "flow lottery: it has no steps"),
        ("flows: {lottery: {steps: [{action: utter_gift}]}}", "flow lottery: it has no description"),
        (lottery("[{action: utter_gift}, {action: utter_gift}]"), "flow lottery: two steps have one id"),
        (lottery("[{action: utter_gift, next: greet}]"), "flow lottery: step 1: only 'end' may come next"),
        (lottery("[{collect: colour}]"), "flow lottery: no slot colour in the domain"),
        (lottery("[{collect: too_late}]"), "flow lottery: nothing asks for too_late: neither utter_ask_too_late"),
        (lottery("[{action: action_draw}]"), "flow lottery: no action action_draw in the domain"),
        (lottery("[{action: utter_gift, if: colour}]"), "flow lottery: no slot colour in the domain"),
        (lottery("[{action: utter_gift, if: too late}]"), "flow lottery: 'too late' is no condition"),
        (lottery("[{link: draw}]"), "flow lottery: no flow draw to link to"),
        (lottery(more="undone_by: draw"), "flow lottery: no flow draw to undo it"),
        (lottery(more="may_be: [remark, joke]"), r"flow lottery: \['remark', 'joke'\] is no list of follow_up, reason"),
        (lottery(more="may_be: remark"), "flow lottery: 'remark' is no list of"),
        (
            lottery(more="goes_on: [{acts: [question], about: draw}]"),
            r"flow lottery: \['question'\] is no list of of_acc",
        ),
        (
            lottery(more="goes_on: [{acts: [of_price], about: draw, colour: red}]"),
            r"goes_on has unknown keys \['colour'\]",
        ),
        (
            lottery(more="goes_on: [{acts: [of_price], about: draw, inside: draw}]"),
            "lottery: no flow draw to be inside",
        ),
        (lottery(more="nlu_trigger: [{intent: greet}]"), "flow lottery: the intent greet begins greet, too"),
        (lottery(more="nlu_trigger: [{intent: draw}]"), "flow lottery: no intent draw in the domain"),
        (lottery("[{write: action_return}]"), "flow lottery: step 1 .action_return. writes without a summary"),
        (
            lottery("[{write: action_return, summary: action_ask_confirm_return}]"),
            "flow lottery: a flow that writes needs an action validate_lottery",
        ),
        (
            lottery("[{write: action_return, summary: action_ask_confirm_return, yes: ['(draw']}]"),
            r"flow lottery: missing \), unterminated subpattern",
        ),
    ],
)
def test_a_bad_file_is_refused_when_it_is_trained(tmp_path: Path, file: str, message: str) -> None:
    (tmp_path / "shop.yml").write_text(FLOWS)
    (tmp_path / "lottery.yml").write_text(file)
    with pytest.raises(InvalidConfigException, match=message):
        policy(FlowPolicy, tmp_path / "model", {"flows": [str(tmp_path)]}).train([], Domain.from_yaml(DOMAIN))


def test_an_offer_must_begin_a_flow(tmp_path: Path) -> None:
    (tmp_path / "shop.yml").write_text(FLOWS)
    domain = DOMAIN.replace("[{text: 让您费心了}]", "[{text: 要抽奖吗, metadata: {offers: draw}}]")
    with pytest.raises(InvalidConfigException, match="utter_sorry offers draw, which begins no flow"):
        policy(FlowPolicy, tmp_path / "model", {"flows": [str(tmp_path)]}).train([], Domain.from_yaml(domain))


LOTTERY = {
    "domain.yml": """
version: "3.1"
intents: [draw_lot]
slots:
  lot_number: {type: any, mappings: [{type: custom}]}
actions: [action_draw_lot]
responses:
  utter_ask_lot_number: [{text: 您想要几号？}]
""",
    "flows/lottery.yml": """
flows:
  lottery:
    description: A game of the shop next door.
    nlu_trigger: [{intent: draw_lot}]
    steps:
      - collect: lot_number
      - action: action_draw_lot
""",
}


def test_a_capability_comes_in_a_folder_of_its_own(tmp_path: Path) -> None:
    """No file of another one is touched; its actions are a module that the action server finds by itself."""
    for name, text in LOTTERY.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    domain = Domain.load([str(ROOT / "bot/domain.yml"), str(tmp_path / "domain.yml")])
    bot = Bot(
        tmp_path,
        "- story: a\n  steps: [{intent: greet}, {action: action_greet}]",
        domain,
        [ROOT / "bot/data/flows", tmp_path / "flows"],
    )
    talk = bot.new()
    assert talk.say("draw_lot") == ["utter_ask_lot_number"]
    assert talk.say("greet")[0] == "action_greet"
    assert talk.say("inform", lot_number="7") == ["action_draw_lot"]


CONFIG = """
recipe: default.v1
assistant_id: tiny
language: zh
policies:
  - {name: bot.components.dialogue.policy.FlowPolicy, flows: [FLOWS]}
  - {name: bot.components.dialogue.policy.StoryPolicy, flows: [FLOWS]}
"""


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Of the shop, with a story, as Rasa trains and saves it."""
    from rasa.api import train

    folder = tmp_path_factory.mktemp("shop")
    story = "- story: gift\n  steps: [{intent: greet}, {action: utter_gift}, {intent: thank}, {action: utter_sorry}]"
    files = {
        "config.yml": CONFIG.replace("FLOWS", str(folder / "flows")),
        "domain.yml": DOMAIN,
        "data/stories.yml": f'version: "3.1"\nstories:\n{story}\n',
        "flows/shop.yml": FLOWS,
    }
    for name, text in files.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RASA_CACHE_DIRECTORY", str(folder / "cache"))
        done = train(str(folder / "domain.yml"), str(folder / "config.yml"), [str(folder / "data")], str(folder))
    assert done.model
    return str(done.model)


async def test_rasa_trains_saves_and_loads_both(model: str) -> None:
    agent = Agent.load(model)

    async def says(*texts: str) -> list[str]:
        sender = " ".join(texts)
        return [one["text"] for text in texts for one in await agent.handle_text(text, sender_id=sender) or []]

    assert await says("/greet", "/thank") == ["送您一朵花", "让您费心了"]
    assert await says("/thank") == ["不客气"]


# ---------------------------------------------------------------------------------------------- rasa interactive


PATCHES = interactive.patches(Flows(), ())


@pytest.mark.parametrize("patch", PATCHES, ids=lambda patch: patch.name)
def test_the_patched_function_is_the_one_that_was_patched_for(patch: Patch) -> None:
    assert patch.fits()


def patched(name: str, *about: Any) -> Any:
    (patch,) = (one for one in interactive.patches(*(about or (Flows(), ()))) if one.name == name)
    return patch.replace(getattr(patch.owner, name))


async def test_an_action_that_is_agreed_to_runs_with_what_was_heard(model: str) -> None:
    agent, channel = Agent.load(model), CollectingOutputChannel()
    await agent.log_message(UserMessage("/thank", channel, "ann"))
    await patched("execute_action")(agent, "ann", "utter_thank", channel, "FlowPolicy", 1.0)
    tracker = await agent.processor.get_tracker("ann")
    assert tracker.get_slot(MIRROR)["turn"] == 1
    assert [message["text"] for message in channel.messages] == ["不客气"]


def test_a_story_tells_what_was_corrected_and_nothing_that_was_undone(plain: Bot) -> None:
    talk = plain.new()
    talk.say("greet")
    talk.hear("request_return", "我要退货")
    for action in ("validate_return_goods", "utter_gift"):
        talk.do(action, plain.predict(talk.tracker)[1])
    talk.tracker.update(ActionReverted())
    talk.do("utter_ask_order_id", plain.predict(talk.tracker)[1])
    talk.do("action_listen", plain.predict(talk.tracker)[1])
    for intent in ("thank", "inform"):  # the first was misunderstood
        talk.hear(intent, "5678")
        talk.tracker.update_with_events([UserUtteranceReverted(), ActionExecuted("action_listen")], None)
    talk.say("inform", **ORDER)
    talk.hear("inform", "不喜欢", **REASON)
    talk.do("validate_return_goods", plain.predict(talk.tracker)[1])
    talk.do("utter_new")  # it is not in the domain yet, and the policies' events are lost
    talk.do("action_listen")
    story = patched("as_story", plain.flow.flows, plain.flow.actions)(talk.tracker)
    assert list(told(story.story_steps[0].events)) == [
        *("action_listen", "greet", "utter_greet"),
        *("action_listen", "request_return", "validate_return_goods", "utter_ask_order_id"),
        *("action_listen", "inform", "validate_return_goods", "utter_ask_reason"),
        *("action_listen", "inform", "validate_return_goods", "instead of action_ask_confirm_return", "utter_new"),
        *("instead of action_ask_confirm_return", "action_listen"),
    ]


def told(events: Iterable[Any]) -> Iterator[str]:
    for event in events:
        if isinstance(event, UserUttered):
            yield str(event.intent_name)
        elif isinstance(event, ActionExecuted):
            yield str(event.action_name)
        elif isinstance(event, SlotSet) and event.key == INSTEAD_OF:
            yield f"instead of {event.value}"
