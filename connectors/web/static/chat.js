// The web chat: deep-chat draws it, this file keeps the conversation. Words are never read as Markdown or HTML.

import "/static/vendor/deep-chat-2.4.2/deepChat.bundle.js";

const MAX_TEXT = 2000;
const ANSWER_WITHIN = 40_000; // ms; the gateway itself gives up on the bot after 25 s
const PAUSES = [1_000, 2_000, 4_000, 8_000, 15_000]; // ms between tries; the last one repeats
const LISTEN = 1_500; // ms between looks for a person's words
const GREETING = "您好，我是掌柜。退换货、查订单、问物流，直接跟我说就行。";
const SUGGESTIONS = ["我想退货", "我的订单到哪了", "我的退货到哪一步了", "你能做什么"];
const REFUSED = "这条消息没有发出去，请换个说法再试。";
const OFFLINE = "网络断开，正在重连…";


// ---- what survives a reload: kept in this tab only, so that a shared computer forgets it when the tab is closed ----

const KEY = "zhanggui";
// lines: {customer: text} or {bot: message}; outbox: what has no answer yet, in order; spent: buttons of lines before this one are used up;
// after: place of the last thing that came by itself; expecting: more may come, because a person talks or is asked for;
// thumbs: by source, whether it helped
const state = { lines: [], outbox: [], spent: 0, after: null, expecting: true, thumbs: {}, ...JSON.parse(sessionStorage.getItem(KEY) ?? "{}") };
const { lines, outbox, spent, thumbs } = state;
const save = () => sessionStorage.setItem(KEY, JSON.stringify(state));

// ---- words and elements ----

function element(tag, properties, ...children) {
  const node = Object.assign(document.createElement(tag), properties);
  node.append(...children);
  return node;
}

const asText = (text) => element("p", {}, text).outerHTML;

// deep-chat's own hook for its Markdown renderer: plain text takes its place
window.remarkable_plugins = [{ plugin: (markdown) => (markdown.render = asText) }];

// deep-chat takes elements as HTML: what is set on them has to be an attribute

function choice({ title, payload }, disabled) {
  const node = element("button", { type: "button", className: "choice", disabled }, title);
  node.dataset.payload = payload;
  return node;
}

const choices = (buttons, disabled) => element("div", { className: "choices" }, ...buttons.map((button) => choice(button, disabled))).outerHTML;

function card({ title, text, image, button }, used) {
  const node = element("article", { className: "goods" }, image ? element("img", { src: image, alt: "" }) : "", element("h2", {}, title), element("p", {}, text ?? ""));
  if (button) node.append(choice(button, used));
  return node;
}

const cards = (goods, used) =>
  element("div", { className: "shelf", role: "group", ariaLabel: "商品，可左右滑动", tabIndex: 0 }, ...goods.map((each) => card(each, used))).outerHTML;

function table({ columns, rows }) {
  const head = element("tr", {}, ...columns.map((name) => element("th", { scope: "col" }, name)));
  const body = rows.map(([name, ...values]) => element("tr", {}, element("th", { scope: "row" }, name), ...values.map((value) => element("td", {}, value))));
  const whole = element("table", {}, element("thead", {}, head), element("tbody", {}, ...body));
  return element("div", { className: "sheet", role: "group", ariaLabel: "对比表，可左右滑动", tabIndex: 0 }, whole).outerHTML;
}

function thumb(source, helpful) {
  const node = element("button", { type: "button", className: "thumb", ariaLabel: helpful ? "有用" : "没用", ariaPressed: String(thumbs[source] === helpful) });
  Object.assign(node.dataset, { source, helpful });
  return node;
}

/** Where an answer comes from, quietly, and whether it helped. */
function origin({ id, title, valid_until }) {
  const words = element("p", {}, title, valid_until ? element("small", {}, `有效期至 ${valid_until}`) : "");
  const line = element("details", {}, element("summary", {}, "来源"), words);
  return element("div", { className: "origin" }, line, thumb(id, true), thumb(id, false)).outerHTML;
}

/** One line of the transcript as deep-chat's messages. */
function bubbles({ customer, bot }, used) {
  if (!bot) return [{ role: "user", text: customer }];
  const messages = [];
  const role = bot.custom?.by === "operator" ? "operator" : "ai";
  if (bot.text) messages.push({ role, text: bot.text });
  if (bot.image) messages.push({ role: "ai", html: element("img", { className: "picture", src: bot.image, alt: "图片" }).outerHTML });
  const { cards: goods, table: rows, source } = bot.custom ?? {};
  if (goods?.length) messages.push({ role: "ai", html: cards(goods, used) });
  if (rows) messages.push({ role: "ai", html: table(rows) });
  if (source) messages.push({ role: "ai", html: origin(source) });
  if (bot.buttons?.length && !goods?.length) messages.push({ role: "ai", html: choices(bot.buttons, used) }); // cards have their own
  return messages;
}

// ---- the chat ----

const banner = document.getElementById("banner");

function showBanner(text) {
  banner.textContent = text;
  banner.hidden = !text;
}

function useUpButtons() {
  state.spent = lines.length;
  for (const button of chat.shadowRoot.querySelectorAll(".choice")) button.disabled = true;
}

function showTyping(on) {
  if (on !== showTyping.on) chat.displayLoadingBubble.toggle(on ? {} : undefined);
  showTyping.on = on;
}
showTyping.on = false;

const chat = Object.assign(document.createElement("deep-chat"), {
  connect: { websocket: true, handler: (_, signals) => signals.onOpen() }, // never busy: the outbox below does the sending
  displayLoadingBubble: { toggle: () => {} }, // deep-chat puts its own switch in here
  errorMessages: { displayServiceErrorMessages: true }, // the gateway's refusals are written for customers
  history: lines.flatMap((line, index) => bubbles(line, index < spent)),
  introMessage: [
    { text: GREETING },
    { html: choices(SUGGESTIONS.map((title) => ({ title, payload: title })), lines.length > 0) },
  ],
  textInput: { characterLimit: MAX_TEXT, placeholder: { text: "想说什么，写在这里" } },
  htmlClassUtilities: {
    choice: {
      events: {
        click: ({ currentTarget: { textContent, dataset } }) =>
          chat.submitUserMessage({ text: textContent, custom: { payload: dataset.payload } }),
      },
    },
    thumb: { events: { click: ({ currentTarget: { dataset } }) => judge(dataset.source, dataset.helpful === "true") } },
  },
  onMessage: ({ message, isHistory }) => {
    if (isHistory || message.role !== "user") return;
    lines.push({ customer: message.text });
    useUpButtons();
    outbox.push({ text: message.custom?.payload ?? message.text, message_id: newId() });
    save();
    deliver();
  },
  // on a slow machine deep-chat draws everything a second time, two timers after the first
  onComponentRender: () => setTimeout(() => setTimeout(start)),
});
// set here and not in the style sheet: without a font of its own deep-chat asks a font server for one
Object.assign(chat.style, { fontFamily: "inherit", width: "100%", height: "100%", border: "0 solid", backgroundColor: "transparent" });
document.getElementById("chat").append(chat);

function start() {
  const root = chat.shadowRoot;
  const style = new CSSStyleSheet();
  style.replaceSync(Array.from(document.styleSheets[0].cssRules, (rule) => rule.cssText).join("\n"));
  root.adoptedStyleSheets.push(style); // after deep-chat's own
  Object.assign(root.getElementById("messages"), { role: "log", ariaLive: "polite", ariaLabel: "对话" });
  root.querySelector(".input-button").ariaLabel = "发送";
  // Safari ends a composition before it reports its Enter: that Enter chooses a word, it does not send
  const composing = (event) => (event.isComposing || event.keyCode === 229) && event.stopPropagation();
  root.addEventListener("keydown", composing, { capture: true });
  root.addEventListener("load", chat.scrollToBottom, { capture: true }); // a picture has come and needs its room
  chat.scrollToBottom();
  deliver();
  if (state.expecting) listen();
}

/** Show what was said; the receipt of a message for a person is only a sign that the answer comes by itself. */
function hear(bot) {
  if (bot.custom?.desk) expect();
  if (bot.custom?.desk === "claimed") return;
  lines.push({ bot });
  bubbles({ bot }, false).forEach((bubble) => chat.addMessage(bubble));
}

// ---- thumbs: shown at once, taken back if they did not arrive; one at a time for each source, so that none overtakes another ----

function showThumbs(source, busy) {
  for (const button of chat.shadowRoot.querySelectorAll(".thumb")) {
    if (button.dataset.source !== source) continue;
    button.ariaPressed = String(String(thumbs[source]) === button.dataset.helpful);
    button.disabled = busy;
  }
}

async function judge(source, helpful) {
  const before = thumbs[source];
  thumbs[source] = helpful;
  showThumbs(source, true);
  let problem = "";
  try {
    const response = await fetch("/api/feedback", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ source, helpful }),
      signal: AbortSignal.timeout(10_000),
    });
    if (!response.ok) problem = (await response.json()).error.message;
  } catch {
    problem = OFFLINE;
  }
  if (problem) thumbs[source] = before;
  showThumbs(source, false);
  showBanner(problem);
  save();
}

// ---- what comes by itself while a person talks ----

let listening = false;
let reasons = 0; // why more is expected; an answer that was under way does not know of the latest

function expect() {
  reasons += 1;
  state.expecting = true;
  if (!listening) listen();
}

async function listen() {
  listening = true;
  while (state.expecting) {
    const known = reasons;
    try {
      const response = await fetch(`/api/chat/updates${state.after === null ? "" : `?after=${state.after}`}`, { signal: AbortSignal.timeout(10_000) });
      if (response.ok) {
        const { more, after, messages } = await response.json();
        messages.forEach(hear);
        Object.assign(state, { after, expecting: more || known !== reasons });
        save();
        if (!state.expecting) break;
      }
    } catch {
      // no network: the next try is soon
    }
    await new Promise((resolve) => setTimeout(resolve, document.hidden ? 5_000 : LISTEN));
  }
  listening = false;
}

// ---- sending: one message at a time, the same id until it is answered ----

function newId() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

let delivering = false;
let wake = () => {};

async function deliver() {
  if (delivering) return;
  delivering = true;
  for (let tries = 0; outbox.length; ) {
    const thinking = setTimeout(showTyping, 300, true); // a quick answer needs no sign of life
    const { answer, refusal, again, notice } = await post(outbox[0]);
    clearTimeout(thinking);
    if (again) {
      showBanner(notice);
      await pause(again === true ? PAUSES[Math.min(tries++, PAUSES.length - 1)] : again);
      continue;
    }
    tries = 0;
    showBanner("");
    showTyping(false);
    outbox.shift();
    if (refusal) chat.addMessage({ error: refusal });
    else useUpButtons();
    answer?.messages.forEach(hear);
    save();
  }
  delivering = false;
}

/** Send once. Gives `answer`, or `refusal` (never to be sent again), or `again` (ms, or true for the usual pause) with a `notice`. */
async function post(message) {
  let response, body;
  try {
    response = await fetch("/api/chat", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(message),
      signal: AbortSignal.timeout(ANSWER_WITHIN),
    });
    body = await response.json();
  } catch {
    return { again: true, notice: OFFLINE };
  }
  if (response.ok) return { answer: body };
  if (response.status === 429) return { again: Number(response.headers.get("Retry-After")) * 1_000 || true, notice: "" };
  if (response.status >= 500) return { again: true, notice: body.error?.message ?? OFFLINE };
  return { refusal: body.error?.message ?? REFUSED };
}

/** Wait, but not longer than until the network comes back. */
const pause = (ms) =>
  new Promise((resolve) => {
    wake = resolve;
    setTimeout(resolve, ms);
  });

addEventListener("offline", () => showBanner(OFFLINE));
addEventListener("online", () => (outbox.length ? wake() : showBanner("")));
