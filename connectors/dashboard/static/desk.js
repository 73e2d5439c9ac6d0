// The service desk: the queue, one open conversation, the trainers' queue. Everything is asked for again every POLL ms;
// an answer keeps its id until the server has it, so that a broken network neither loses nor doubles it.

import { linked } from "/static/links.js";
import { openStorage } from "/static/storage.js";
import { $, OFFLINE, Refusal, act, call, drawList, element, name, showBanner, write } from "./common.js";
import { CHANNELS } from "./names.js";

const POLL = 1_500;
const REASONS = { asked: "想找人工", not_understood: "机器人没听懂", stuck: "办事卡住了", complaint: "要投诉", lead: "销售想联系" };
const COMPLAINTS = {
  harmed: "伤到人", fake: "疑似假货", courier: "快递员", not_received: "签收未收到", unanswered: "没人理",
  promise: "说了没做到", compensation: "要求赔偿", threat: "要举报曝光", other: "生气",
};
const SPEAKERS = { customer: "顾客", bot: "掌柜", operator: "人工" };

const clock = (at) => new Date(at).toLocaleTimeString("zh-CN", { hour: "2-digit", minute: "2-digit", hour12: false });

function waited(at) {
  const minutes = Math.floor((Date.now() - new Date(at)) / 60_000);
  return minutes < 1 ? "刚来" : minutes < 60 ? `等了 ${minutes} 分钟` : `等了 ${Math.floor(minutes / 60)} 小时 ${minutes % 60} 分`;
}

// ---- the queue ----

let chosen = null; // id of the open hand-off
let after = null;
let titles = new Map(); // payload → title of the buttons that were shown
let drawing = 0; // counts the choices, so that an answer about an earlier one is not drawn

function drawQueue({ open, handoffs }) {
  $("hours").hidden = open;
  $("nobody").hidden = handoffs.length > 0;
  const waiting = handoffs.filter(({ status }) => status === "waiting");
  if (waiting.length) $("tab-queue").dataset.count = waiting.length;
  else delete $("tab-queue").dataset.count;
  document.title = `${waiting.length ? `(${waiting.length}) ` : ""}掌柜 · 人工客服台`;
  drawList($("handoffs"), handoffs, ({ id }) => id, handoffRow, fillHandoff);
}

function handoffRow(handoff) {
  const title = element("strong", {}, `${label(handoff)} · ${REASONS[handoff.reason]}`);
  const button = element("button", { type: "button", className: "handoff" }, title, element("small", {}));
  button.dataset.id = handoff.id;
  if (handoff.id === chosen) button.setAttribute("aria-current", "true");
  button.addEventListener("click", () => choose(handoff.id));
  return element("li", {}, button);
}

function fillHandoff(row, handoff) {
  const state = row.querySelector("small");
  const talking = handoff.status === "claimed";
  state.classList.toggle("talking", talking);
  write(state, talking ? serves(handoff) : waited(handoff.requested_at));
}

/** The name isolated, so that one with marks of direction turns nothing but itself. */
const serves = ({ operator, in_chat }) => `\u2068${operator}\u2069 ${in_chat ? "在自己的聊天里接待" : "正在服务"}`;

// A list is not changed under a finger: what is pressed there would not be what is let go.
let pressed = false;
for (const list of ["handoffs", "messages", "grievances"]) $(list).addEventListener("pointerdown", () => (pressed = true));
for (const end of ["pointerup", "pointercancel", "blur"]) addEventListener(end, () => (pressed = false));

/** The page that explains the conversation. It opens beside this one: what is being typed here stays. */
const trace = ({ conversation }) => `/dashboard/conversations/${conversation}`;

const label = ({ id, channel }) => `${CHANNELS[channel] ?? channel}顾客 #${id}`;

function choose(id) {
  chosen = id;
  $("words").value = drafts[id] ?? "";
  after = null;
  titles = new Map();
  drawing += 1;
  attends = false;
  Object.assign(told, { typing: 0, read: null });
  $("lines").replaceChildren();
  $("talk").hidden = id === null;
  $("choose").hidden = id !== null;
  document.body.classList.toggle("talking-now", id !== null);
  for (const button of document.querySelectorAll(".handoff")) button.removeAttribute("aria-current");
  document.querySelector(`.handoff[data-id="${id}"]`)?.setAttribute("aria-current", "true");
  for (const part of ["trace", "claim", "resolved", "unresolved", "answer"]) $(part).hidden = true;
  refresh();
}

// ---- the open conversation ----

function drawTalk({ handoff, lines, after: next, unsent, typing }) {
  const box = $("lines");
  const atEnd = box.scrollHeight - box.scrollTop - box.clientHeight < 80;
  after = next;
  $("who").textContent = label(handoff);
  $("trace").href = trace(handoff);
  $("trace").hidden = false;
  const state = {
    waiting: `${REASONS[handoff.reason]}，${waited(handoff.requested_at)}`,
    claimed: serves(handoff),
    ended: `已交还（${handoff.resolved ? "已解决" : "未解决"}）${handoff.stars ? `，顾客评 ${handoff.stars} 星` : ""}`,
    withdrawn: "顾客不等了",
  };
  write($("state"), typing ? "顾客正在输入…" : state[handoff.status]);
  const here = handoff.status === "claimed" && !handoff.in_chat;
  $("claim").hidden = here || !["waiting", "claimed"].includes(handoff.status);
  for (const part of ["resolved", "unresolved", "answer"]) $(part).hidden = !here;
  const waiting = [...box.querySelectorAll(".unsent")];
  for (const line of lines) box.insertBefore(drawLine(line), waiting[0] ?? null);
  if (unsent.join("\n") !== waiting.map((line) => line.firstChild.textContent).join("\n")) {
    for (const line of waiting) line.remove();
    for (const text of unsent) box.append(element("div", { className: "line unsent" }, element("p", {}, text), element("small", {}, "发送中…")));
  }
  drawRead(box, handoff.read_by_customer);
  if (atEnd) box.scrollTop = box.scrollHeight;
  attends = here && handoff.operator === name;
  if (attends && atEnd && !document.hidden && after !== told.read) tellSeen({ read: (told.read = after), typing: types() });
}

/** Under the last of our words that the customer has seen. */
function drawRead(box, read) {
  const last = [...box.querySelectorAll(".operator")].findLast(({ dataset }) => Number(dataset.position) < read);
  for (const line of box.querySelectorAll(".operator")) line.classList.toggle("read", line === last);
}

// ---- what the customer sees of whoever has claimed it: whether they type, and how far they have read ----

const TYPING = 3_000; // ms after which it is said again; the gateway forgets it after twice as long
const told = { typing: 0, read: null };
let attends = false; // the open conversation is this operator's

const types = () => Date.now() - told.typing < TYPING;

/** It is no matter if it does not arrive. */
const tellSeen = (seen) => call(`handoffs/${chosen}/presence`, "POST", seen).catch(() => {});

function tellTyping(text) {
  if (!attends || (text.trim() ? types() : !told.typing)) return;
  told.typing = text.trim() ? Date.now() : 0;
  tellSeen({ typing: Boolean(told.typing) });
}

function drawLine({ by, at, text, image, buttons, position }) {
  for (const [title, payload] of buttons) titles.set(payload, title);
  const words = by === "customer" && titles.has(text) ? `［${titles.get(text)}］` : text || (image ? "［图片］" : "");
  const node = element("div", { className: `line ${by}` }, element("p", {}, ...(by === "operator" ? linked(words) : [words])));
  node.dataset.position = position;
  if (buttons.length) node.append(element("div", { className: "choices" }, `可选：${buttons.map(([title]) => title).join(" / ")}`));
  node.append(element("small", {}, `${SPEAKERS[by] ? `${SPEAKERS[by]} ` : ""}${clock(at)}`));
  return node;
}

$("back").addEventListener("click", () => choose(null));
$("claim").addEventListener("click", ({ currentTarget }) =>
  act(currentTarget, async () => {
    await call(`handoffs/${chosen}/claim`, "POST", {});
    await refresh();
    $("words").focus();
  }),
);
for (const [button, resolved] of [["resolved", true], ["unresolved", false]])
  $(button).addEventListener("click", ({ currentTarget }) =>
    act(currentTarget, async () => {
      await sent;
      await call(`handoffs/${chosen}/hand-back`, "POST", { resolved });
      await refresh();
    }),
  );

// ---- answering: one after the other, the same id until the server has it ----

let sent = Promise.resolve();

// What is half typed belongs to its customer, and outlives a sign-in that has run out.
const DRAFTS = "zhanggui.desk.drafts";
const kept = openStorage("sessionStorage");
const drafts = { ...kept.get(DRAFTS) };

function keepDraft(id, text) {
  if (text) drafts[id] = text;
  else delete drafts[id];
  kept.set(DRAFTS, drafts);
  if (id === chosen && $("words").value !== text) $("words").value = text;
}

$("words").addEventListener("input", ({ currentTarget }) => {
  keepDraft(chosen, currentTarget.value);
  tellTyping(currentTarget.value);
});
$("sign-out").addEventListener("click", () => kept.remove(DRAFTS));

function newId() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

async function deliver(id, body) {
  for (;;) {
    try {
      await call(`handoffs/${id}/say`, "POST", body);
      showBanner("");
      return refresh();
    } catch (error) {
      if (error instanceof Refusal) {
        showBanner(error.message);
        keepDraft(id, [body.text, drafts[id]].filter(Boolean).join("\n")); // nothing typed is lost
        return;
      }
      showBanner(OFFLINE);
      await new Promise((resolve) => setTimeout(resolve, POLL));
    }
  }
}

$("answer").addEventListener("submit", (event) => {
  event.preventDefault();
  const text = $("words").value.trim();
  if (!text) return;
  const id = chosen;
  const body = { text, message_id: newId() };
  keepDraft(id, "");
  tellTyping("");
  sent = sent.then(() => deliver(id, body));
});
$("words").addEventListener("keydown", (event) => {
  if (event.key === "Enter" && !event.shiftKey && !event.isComposing && event.keyCode !== 229) {
    event.preventDefault();
    $("answer").requestSubmit();
  }
});

// ---- the trainers' queue ----

function drawReview({ messages }) {
  $("nothing").hidden = messages.length > 0;
  drawList($("messages"), messages, ({ id }) => id, ({ id, text, guesses, noted_at, conversation }) => {
    const likely = guesses.map(([intent, confidence]) => `${intent} ${Math.round(confidence * 100)}%`).join("，");
    const words = element("div", {}, text, element("small", {}, `${new Date(noted_at).toLocaleString("zh-CN")}　可能是：${likely || "没有线索"}`));
    if (conversation) {
      const link = element("a", { href: `${trace({ conversation })}#${noted_at}`, target: "_blank" }, "对话经过");
      words.lastChild.append("　", link);
    }
    const done = element("button", { type: "button" }, "完成");
    done.addEventListener("click", () =>
      act(done, async () => {
        await call(`misunderstood/${id}/settle`, "POST", {});
        drawReview(await call("misunderstood"));
      }),
    );
    return element("li", { className: "message" }, words, done);
  });
}

// ---- complaints ----

function drawComplaints({ complaints }) {
  $("content").hidden = complaints.length > 0;
  drawList($("grievances"), complaints, ({ id }) => id, grievance, fillGrievance);
}

function grievance({ id, conversation, noted_at }) {
  const link = element("a", { href: `${trace({ conversation })}#${noted_at}`, target: "_blank" }, "对话经过");
  const small = element("small", {}, element("span", {}), "　", link);
  const done = element("button", { type: "button" }, "完成");
  done.addEventListener("click", () =>
    act(done, async () => {
      await call(`complaints/${id}/settle`, "POST", {});
      drawComplaints(await call("complaints"));
    }),
  );
  return element("li", { className: "message" }, element("div", {}, element("span", {}), small), done);
}

/** A complaint grows: they go on complaining, name the order, want the courier to be asked. */
function fillGrievance(row, { kind, words, order_id, enquiry, noted_at }) {
  const about = [COMPLAINTS[kind], order_id, enquiry && "请找快递核实", new Date(noted_at).toLocaleString("zh-CN")];
  const [said, small] = row.querySelectorAll("span");
  write(said, words);
  write(small, about.filter(Boolean).join("　"));
}

// ---- what is shown, again and again ----

const TABS = ["queue", "complaints", "review"];

const shown = () => TABS.find((tab) => location.hash === `#${tab}`) ?? "queue";

let refreshing = Promise.resolve();

/** One look at a time: lines that two looks had asked for would stand there twice. */
function refresh() {
  refreshing = refreshing.then(look);
  return refreshing;
}

async function look() {
  for (const tab of TABS) {
    $(tab).hidden = tab !== shown();
    $(`tab-${tab}`).ariaCurrent = tab === shown() ? "page" : null;
  }
  try {
    const queue = await call("handoffs");
    if (!pressed) drawQueue(queue);
    if (shown() === "review") {
      const review = await call("misunderstood");
      if (!pressed) drawReview(review);
    } else if (shown() === "complaints") {
      const complaints = await call("complaints");
      if (!pressed) drawComplaints(complaints);
    } else if (chosen !== null) {
      const mine = drawing;
      const answer = await call(`handoffs/${chosen}${after === null ? "" : `?after=${after}`}`);
      if (mine === drawing) drawTalk(answer);
    }
    if ($("banner").textContent === OFFLINE) showBanner("");
  } catch (error) {
    showBanner(error instanceof Refusal ? error.message : OFFLINE);
  }
}

async function keepLooking() {
  await refresh();
  setTimeout(keepLooking, POLL);
}

addEventListener("hashchange", refresh);
keepLooking();
