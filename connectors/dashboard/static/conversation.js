// A conversation turn by turn: what was said, what was understood, what followed. Every look is put on record, so it is
// asked for once and not again and again. With a moment after the "#", the turn of that moment is shown.

import { linked } from "/static/links.js";
import { $, Away, OFFLINE, Refusal, call, element, showBanner } from "./common.js";
import { CHANNELS, FEELINGS, MEDIA, ROLES, TOPICS } from "./names.js";

const SPEAKERS = { bot: "掌柜", operator: "人工", desk: "掌柜" };
const EVENTS = {
  ...{ pause: "人工接手，机器人停口", resume: "交还机器人", reset_slots: "槽位全部清空", restart: "对话重来" },
  ...{ active_loop: "表单", followup: "接着做", action_execution_rejected: "没有执行", undo: "撤销", rewind: "退回一轮" },
};

const clock = new Intl.DateTimeFormat("zh-CN", {
  ...{ month: "numeric", day: "numeric", hour: "2-digit", minute: "2-digit", hour12: false, timeZone: "Asia/Shanghai" },
});
const when = (at) => (at ? clock.format(new Date(at)) : "时间不明");
const percent = (confidence) => (confidence === null ? "" : `${Math.round(confidence * 100)}%`);

function part(title, className, ...children) {
  return children.length ? element("section", { className }, element("h3", {}, title), ...children) : "";
}

/** Small things in a row. */
function row(className, items) {
  return items.length ? [element("ul", { className }, ...items)] : [];
}

/** A word with what it says more; a long one is folded. */
function word(name, value, properties = {}) {
  const text = element("span", { className: "value" }, value);
  if (value.length < 120) return element("li", properties, element("b", {}, name), text);
  const summary = element("summary", {}, element("b", {}, name), `${value.slice(0, 60)}…`);
  return element("li", { ...properties, className: "long" }, element("details", {}, summary, text));
}

const words = (pairs) => pairs.map(([name, value]) => word(name, value));

// ---- what was understood ----

function bar(name, confidence, className) {
  const meter = element("meter", { value: confidence ?? 0, ariaLabel: `${name} ${percent(confidence)}` });
  return element("li", { className }, element("span", {}, name), meter, element("small", {}, percent(confidence)));
}

function understood({ intent, guesses, entities, acts, worry, feeling, cues, topic, parts, more }) {
  const bars = guesses.map((guess) => bar(guess.intent, guess.confidence, "guess"));
  if (intent) bars.unshift(bar(intent.intent, intent.confidence, "taken"));
  if (worry !== null) bars.push(bar("担心", worry, "worry"));
  const felt = feeling in FEELINGS ? [["情绪", [FEELINGS[feeling], ...cues].join(" · ")]] : [];
  const about = [...(topic ? [["话题", TOPICS[topic] ?? topic]] : []), ...felt, ...acts.map((act) => ["行为", act])];
  const drawnParts = parts.map((each) => element("li", {}, each.text, ...understood({ ...each, text: "" })));
  return [
    ...row("bars", bars),
    ...row("chips", [...words(entities), ...words(about), ...words(more)]),
    ...row("parts", drawnParts),
  ];
}

// ---- what followed ----

function command({ text, reason }) {
  const drawn = element("li", { className: "command", title: reason }, element("b", {}, text));
  if (reason) drawn.append(element("small", {}, reason));
  return drawn;
}

function frame({ flow, intent, asked, asked_in, asks, parked, more }) {
  const drawn = element("li", { className: parked ? "frame parked" : "frame" }, element("b", {}, flow));
  if (parked) drawn.append(element("em", {}, "搁置"));
  if (intent && intent !== flow) drawn.append(element("small", {}, intent));
  const times = new Map(asks);
  if (asked !== null) {
    const often = times.has(asked) ? ` · 第 ${times.get(asked)} 次` : "";
    const question = element("p", { className: "asked" }, `在问 ${asked}${often}`);
    if (asked_in !== null) question.title = `第 ${asked_in} 轮问的`;
    drawn.append(question);
  }
  const earlier = asks.filter(([slot]) => slot !== asked).map(([slot, often]) => `${slot} ${often} 次`);
  if (earlier.length) drawn.append(element("small", {}, `问过 ${earlier.join("，")}`));
  for (const [name, value] of more) drawn.append(element("small", {}, `${name} ${value}`));
  return drawn;
}

function stack({ stack, more }) {
  const frames = stack.map(frame).reverse();
  const empty = element("li", { className: "frame none" }, "没有在办的事");
  const drawn = element("ol", { className: "stack" }, ...(frames.length ? frames : [empty]));
  return [drawn, ...row("chips", words(more))];
}

function action({ name, policy, confidence }) {
  const title = [policy, percent(confidence)].filter(Boolean).join(" ");
  return element("li", { title, className: name === "action_listen" ? "faint" : "" }, name);
}

function change({ name, before, after, known }) {
  const value = (text) => (text === null || text === "" ? "空" : text);
  return word(name, known ? `${value(before)} → ${value(after)}` : value(after));
}

// ---- what was said ----

function bubble(by, label, text, ...below) {
  const words = by === "operator" ? linked(text) : [text];
  return element("div", { className: `line ${by}` }, element("p", {}, ...words), element("small", {}, label), ...below);
}

function heard({ text, tapped }) {
  return bubble("customer", tapped ? `顾客点了按钮 ${text}` : "顾客", tapped ? `［${tapped}］` : text || "［没有文字］");
}

function said({ by, text, response, image, buttons, more }) {
  const titles = buttons.map(([title, payload]) => element("li", { title: payload }, title || payload));
  const shown = text || (image ? "［图片］" : more.length ? "［附件］" : "［没有文字］");
  const label = [SPEAKERS[by] ?? by, response].filter(Boolean).join(" · ");
  const known = by in SPEAKERS ? by : "bot";
  const extra = row("chips", [...(image ? [word("图片", image)] : []), ...words(more)]);
  return bubble(known, label, shown, ...row("buttons", titles), ...extra);
}

// ---- a turn ----

function draw(turn) {
  const { customer, commands, state, actions, slots, other } = turn;
  const number = state?.turn ? `第 ${state.turn} 轮 · ` : "";
  const title = element("h2", {}, `${number}${when(turn.at)}`);
  if (turn.session) title.append(element("em", {}, "新会话"));
  if (turn.at_desk) title.append(element("em", {}, "人工"));
  if (state?.lost && state.lost !== "0") title.append(element("em", { className: "lost" }, `连续 ${state.lost} 次没听懂`));
  const events = other.map(([event, details]) => word(EVENTS[event] ?? event, details));
  const drawn = element(
    "li",
    { className: "turn" },
    title,
    ...(customer ? [element("div", { className: "heard" }, heard(customer))] : []),
    element(
      "div",
      { className: "made" },
      part("听懂的", "understood", ...(customer ? understood(customer.meaning) : [])),
      part("指令", "commands", ...row("chips", commands.map(command))),
      part("动作", "actions", ...row("steps", actions.map(action))),
      part("槽位变化", "slots", ...row("chips", slots.map(change))),
      part("其他", "other", ...row("chips", events)),
    ),
    element("div", { className: "said" }, ...turn.said.map(said)),
    state ? part("手头的事", "open", ...stack(state)) : "",
  );
  drawn.dataset.at = turn.at ?? "";
  return drawn;
}

// ---- the page ----

const address = `conversations/${location.pathname.split("/").pop()}`;
const sought = Date.parse(decodeURIComponent(location.hash.slice(1)));
let older = null;

/** Marks the turn of the moment that is sought; null if it is not here. */
function find() {
  const turns = [...$("turns").children];
  const found = turns.findLast((turn) => Date.parse(turn.dataset.at) <= sought) ?? null;
  for (const turn of turns) turn.classList.toggle("found", turn === found);
  return found;
}

function showViewings([last, ...earlier]) {
  $("seen").hidden = false;
  $("seen").textContent = last ? `上次查看：${last.operator}，${when(last.at)}。` : "此前没有人看过。";
  if (earlier.length) $("seen").title = `更早：${earlier.map(({ operator, at }) => `${operator} ${when(at)}`).join("，")}`;
  $("seen").append("每次查看都会记录。");
}

/** Who speaks, as far as the house knows. */
function showSpeaker(speaker) {
  if (!speaker) return;
  const { name, customer_id: id, channel, roles } = speaker;
  const works = roles.map((role) => ROLES[role]).filter(Boolean);
  const who = [name, id].filter(Boolean).join(" ") || "未绑定的访客";
  $("speaker").hidden = false;
  $("speaker").textContent = `顾客：${[who, ...works, `来自 ${CHANNELS[channel] ?? channel}`].join(" · ")}`;
}

/** What the customer has sent beside words: pictures are shown, the rest can be saved. */
function showMedia({ media }) {
  $("media").replaceChildren(
    ...media.map(({ id, kind, name, place, has_content: kept, received_at: at }) => {
      const href = `/dashboard/api/${address}/media/${id}`;
      const label = `${MEDIA[kind]}${name ? ` ${name}` : ""}　${when(at)}`;
      const shown = kept && kind === "picture" ? element("img", { src: href, alt: label, loading: "lazy" }) : label;
      const where = place ? `　${place.join(", ")}` : "";
      return element("li", { title: label }, kept ? element("a", { href, target: "_blank", rel: "noopener" }, shown) : `${label}${where}`);
    }),
  );
}

async function load(path, show) {
  $("older").disabled = true;
  try {
    show(await call(path));
    showBanner("");
  } catch (error) {
    showBanner(error instanceof Refusal || error instanceof Away ? error.message : OFFLINE);
  }
  $("older").disabled = false;
}

function add(answer) {
  older = answer.older;
  $("older").hidden = older === null;
  $("turns").prepend(...answer.turns.map(draw));
  $("nothing").hidden = $("turns").children.length > 0;
}

$("older").addEventListener("click", () =>
  load(`${address}?before=${older}`, (answer) => {
    const box = $("conversation");
    const below = box.scrollHeight - box.scrollTop;
    add(answer);
    const found = find();
    if (found && answer.turns.length > [...$("turns").children].indexOf(found)) found.scrollIntoView();
    else box.scrollTop = box.scrollHeight - below; // what was read stays where it is
  }),
);

call(`${address}/media`).then(showMedia, () => {}); // the conversation's own answer says what is not well

await load(address, (answer) => {
  showSpeaker(answer.speaker);
  showViewings(answer.viewings);
  add(answer);
  const box = $("conversation");
  const found = find();
  if (found) found.scrollIntoView();
  else box.scrollTop = Number.isNaN(sought) ? box.scrollHeight : 0;
});
