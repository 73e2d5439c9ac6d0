// The web chat: deep-chat draws it, this file keeps the conversation. Words are never read as Markdown or HTML.

import "/static/vendor/deep-chat-2.4.2/deepChat.bundle.js";
import { linked } from "/static/links.js";
import { openStorage } from "/static/storage.js";

const MAX_TEXT = 2000;
const ANSWER_WITHIN = 40_000; // ms; the gateway itself gives up on the bot after 25 s
const PAUSES = [1_000, 2_000, 4_000, 8_000, 15_000, 30_000]; // ms between tries; the last one repeats
const TRIES = { away: 8, busy: 8, fault: 4 }; // without an answer of ours, a minute and a half; with one that it failed
const LEASE = 90_000; // ms after a page's last try, when another page may send its message: longer than a try and a pause
const FRESH = 3_600_000; // ms after which a message is not sent any more without being asked
const KEPT = 86_400_000; // ms after which a message that was not sent is forgotten, as the bot forgets the conversation
const LISTEN = 1_500; // ms between looks for a person's words
const IDLE = 10_000; // ms between looks for what was said in another window
const REMEMBERED = 200; // exchanges that this window keeps
/** The page's own words in its language, and what else the server tells it: connectors/web/languages.yml. */
const WORDS = JSON.parse(document.getElementById("words").textContent);
const EMBEDDED = "embedded_in" in WORDS;

const say = (name, values) => WORDS[name].replace(/\{(\w+)\}/g, (_, key) => values[key]);
/** What the gateway says of an error, in the page's language. */
const explained = (body) => WORDS.faults[body?.error?.code] ?? body?.error?.message;

// ---- what is kept ----
//
// The server's record is the truth, and a new window shows the present session of it. This window keeps what it shows,
// also without the server. A message without an answer is kept for all windows: one that is opened later sends it again
// under its id, and the bot answers an id once.

const KEY = "zhanggui.2";
const here = openStorage("sessionStorage");
const everywhere = openStorage("localStorage");
const WINDOW = newId(); // of this page, not of a copy of it

const isText = (value) => typeof value === "string";
const isList = Array.isArray;
const isMissing = (value) => value === undefined;

// entries: {id, position?, text?, picture?, messages?} in the order of the page; text: what the customer sees of their own
// words, picture: it is one of theirs, messages: what came as an answer, missing until it is there, position: of the
// server's, missing until it is known
// after: how far the server's record is known; thumbs: by source, whether it helped
const state = { entries: [], after: null, thumbs: {} };

function remember() {
  here.set(KEY, { ...state, entries: state.entries.slice(-REMEMBERED) });
}

function isEntry(value) {
  const { id, position, text, messages } = value ?? {};
  if (!isText(id) || (isMissing(text) && isMissing(messages))) return false;
  return (isMissing(text) || isText(text)) && (isMissing(messages) || isList(messages)) && (isMissing(position) || Number.isInteger(position));
}

function recall() {
  const { entries, after, thumbs } = here.get(KEY) ?? {};
  if (isList(entries)) state.entries = entries.filter(isEntry);
  if (Number.isInteger(after) && after >= 0) state.after = after;
  if (thumbs && typeof thumbs === "object") state.thumbs = thumbs;
}

/**
 * Messages without an answer, {id, text, shown, at, by, lease, failed?}, a key each: windows do not overwrite each other.
 * `by`: the window that sends it, until `lease`; another one may then. Pictures, {…, picture, behind}, stay with their
 * `answer`, because the server's record does not tell of them; `behind`: the id of what stands before it.
 */
const outbox = {
  all: () =>
    everywhere
      .keys(`${KEY}.`)
      .map((key) => everywhere.get(key))
      .filter((each) => /^[0-9a-f]{32}$/.test(each?.id) && isText(each.text) && isText(each.shown) && Number.isFinite(each.at))
      .sort((one, other) => one.at - other.at),
  get: (id) => everywhere.get(`${KEY}.${id}`),
  put: (message) => everywhere.set(`${KEY}.${message.id}`, message),
  remove: (id) => everywhere.remove(`${KEY}.${id}`),
  /** Changes those that this window sends. */
  hold(change) {
    for (const each of outbox.all()) if (each.by === WINDOW && isWaiting(each)) outbox.put({ ...each, ...change });
  },
};

const isWaiting = ({ failed, answer }) => !failed && !answer;

function newId() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

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

/** `of`: the exchange that it belongs to. */
function choice({ title, payload }, of) {
  const node = element("button", { type: "button", className: "choice" }, title);
  Object.assign(node.dataset, { payload, of });
  return node;
}

const choices = (buttons, of) => element("div", { className: "choices" }, ...buttons.map((button) => choice(button, of))).outerHTML;

function card({ title, text, image, button }, of) {
  const node = element("article", { className: "goods" }, image ? element("img", { src: image, alt: "" }) : "", element("h2", {}, title), element("p", {}, text ?? ""));
  if (button) node.append(choice(button, of));
  return node;
}

const cards = (goods, of) =>
  element("div", { className: "shelf", role: "group", ariaLabel: WORDS.goods, tabIndex: 0 }, ...goods.map((each) => card(each, of))).outerHTML;

function table({ columns, rows }) {
  const head = element("tr", {}, ...columns.map((name) => element("th", { scope: "col" }, name)));
  const body = rows.map(([name, ...values]) => element("tr", {}, element("th", { scope: "row" }, name), ...values.map((value) => element("td", {}, value))));
  const whole = element("table", {}, element("thead", {}, head), element("tbody", {}, ...body));
  return element("div", { className: "sheet", role: "group", ariaLabel: WORDS.table, tabIndex: 0 }, whole).outerHTML;
}

function thumb(source, helpful) {
  const node = element("button", { type: "button", className: "thumb", ariaLabel: helpful ? WORDS.helpful : WORDS.unhelpful, ariaPressed: "false" });
  Object.assign(node.dataset, { source, helpful });
  return node;
}

/** Where an answer comes from, quietly, and whether it helped. */
function origin({ id, title, valid_until }) {
  const words = element("p", {}, title, valid_until ? element("small", {}, say("valid_until", { date: valid_until })) : "");
  const line = element("details", {}, element("summary", {}, WORDS.source), words);
  return element("div", { className: "origin" }, line, thumb(id, true), thumb(id, false)).outerHTML;
}

/** What was set aside says why, beside its bubble. */
function aside({ id, failed }) {
  const act = (className, words) => {
    const node = element("button", { type: "button", className }, words);
    node.dataset.id = id;
    return node;
  };
  const buttons = element("div", { className: "choices" }, act("again", WORDS.again), act("drop", WORDS.drop));
  return element("div", { className: "aside" }, element("p", {}, say("not_sent", { reason: failed })), buttons).outerHTML;
}

/** One message for the customer as deep-chat's. */
function bubbles({ text, image, buttons, custom }, of) {
  const drawn = [];
  const role = custom?.by === "operator" ? "operator" : "ai";
  if (text && role === "operator") drawn.push({ role, html: element("p", { className: "words" }, ...linked(text)).outerHTML });
  else if (text) drawn.push({ role, text });
  if (image) drawn.push({ role: "ai", html: element("img", { className: "picture", src: image, alt: WORDS.image }).outerHTML });
  const { cards: goods, table: rows, source } = custom ?? {};
  if (goods?.length) drawn.push({ role: "ai", html: cards(goods, of) });
  if (rows) drawn.push({ role: "ai", html: table(rows) });
  if (source) drawn.push({ role: "ai", html: origin(source) });
  if (buttons?.length && !goods?.length) drawn.push({ role: "ai", html: choices(buttons, of) }); // cards have their own
  return drawn;
}

/** What cannot be drawn is left out: it must not take the rest with it, now and after every reload. */
function drawable(message, of) {
  try {
    return bubbles(message, of);
  } catch {
    return isText(message?.text) ? [{ role: "ai", text: message.text }] : [];
  }
}

/** The whole conversation as deep-chat's messages. */
function transcript() {
  const suggestions = Object.entries(WORDS.suggestions).map(([title, payload]) => ({ title, payload }));
  const drawn = [{ role: "ai", text: WORDS.greeting }, { role: "ai", html: choices(suggestions, "") }];
  for (const { id, text, picture, messages } of state.entries) {
    if (picture) drawn.push({ role: "user", html: pictures.html(id) });
    else if (text !== undefined) drawn.push({ role: "user", text });
    const unsent = messages ? null : outbox.get(id);
    if (unsent?.failed) drawn.push({ role: "user", html: aside(unsent) });
    for (const message of messages ?? []) drawn.push(...drawable(message, id));
  }
  return drawn;
}

// ---- pictures: made small here, sent like words, and shown to nobody but who sent them ----

const LONGEST = 2048; // pixels of the longer side

const pictures = {
  files: new Map(), // by id, of this page
  addresses: new Map(), // by id; null while it is fetched
  has: (id) => pictures.files.has(id),
  get: (id) => pictures.files.get(id),
  html(id) {
    const node = element("img", { className: "picture mine", alt: WORDS.image });
    node.dataset.id = id;
    return node.outerHTML;
  },
};

/** As a JPEG: without where it was taken. Throws if the browser cannot draw it. */
async function shrunk(file) {
  const whole = await createImageBitmap(file);
  const scale = Math.min(1, LONGEST / Math.max(whole.width, whole.height));
  const [width, height] = [whole.width, whole.height].map((side) => Math.max(1, Math.round(side * scale)));
  const canvas = element("canvas", { width, height });
  const paper = canvas.getContext("2d");
  paper.fillStyle = "#fff";
  paper.fillRect(0, 0, width, height);
  paper.drawImage(whole, 0, 0, width, height);
  const small = await new Promise((resolve) => canvas.toBlob(resolve, "image/jpeg", 0.85));
  if (!small) throw new Error("no picture");
  return small;
}

async function sendPicture(file) {
  const id = newId();
  try {
    pictures.files.set(id, await shrunk(file));
  } catch {
    return showBanner(WORDS.picture_odd);
  }
  const behind = state.entries.at(-1)?.id;
  state.entries.push({ id, text: "", picture: true });
  outbox.put({ id, text: "", shown: "", picture: true, behind, at: Date.now(), by: WINDOW, lease: Date.now() + LEASE });
  show();
  chat.scrollToBottom();
  deliver();
}

function showPictures() {
  for (const image of chat.shadowRoot.querySelectorAll(".picture.mine:not([src])")) {
    const { id } = image.dataset;
    if (pictures.addresses.get(id)) image.src = pictures.addresses.get(id);
    else if (!pictures.addresses.has(id) && (pictures.has(id) || outbox.get(id)?.answer || !outbox.get(id))) fetchPicture(id);
  }
}

async function fetchPicture(id) {
  pictures.addresses.set(id, null);
  try {
    const kept = pictures.get(id) ?? (await fetched(`/api/chat/pictures/${id}`));
    pictures.addresses.set(id, URL.createObjectURL(kept));
    showPictures();
  } catch {
    pictures.addresses.delete(id); // asked for again when something is shown
  }
}

async function fetched(address) {
  const response = await fetch(address, { headers: await introduction(), signal: AbortSignal.timeout(ANSWER_WITHIN) });
  if (!response.ok) throw new Error(response.statusText);
  return response.blob();
}

/** Beside the box, a button that asks for a picture; one can be pasted, too. */
function addAttaching(root) {
  const chooser = element("input", { type: "file", accept: "image/jpeg,image/png,image/webp,image/gif", hidden: true });
  const button = element("button", { type: "button", className: "attach", title: WORDS.attach, ariaLabel: WORDS.attach });
  const send = (files) => Array.from(files).filter(({ type }) => type.startsWith("image/")).forEach(sendPicture);
  button.addEventListener("click", () => chooser.click());
  chooser.addEventListener("change", () => {
    send(chooser.files);
    chooser.value = ""; // the same one may be chosen again
  });
  root.addEventListener("paste", (event) => {
    if (!event.clipboardData?.files.length) return;
    event.preventDefault();
    send(event.clipboardData.files);
  });
  root.getElementById("input").prepend(button, chooser);
}

// ---- the chat ----

const banner = document.getElementById("banner");
let problem = "";
let notice = ""; // stays when there is no other problem

function showBanner(text) {
  problem = text;
  banner.textContent = problem || notice;
  banner.hidden = !banner.textContent;
}

// ---- who is at it: the bot, which has dots of its own in the log, or a person, who types now and then ----

const TOLD = 20_000; // ms in which it is not read out again that a person types
const subtitle = document.getElementById("subtitle");
const typing = { bot: false, person: false, told: 0 };

function showTyping(on) {
  if (on !== typing.bot) chat.displayLoadingBubble.toggle(on ? {} : undefined);
  typing.bot = on;
  showTypist();
}

function showTypist() {
  const on = typing.bot || typing.person;
  subtitle.textContent = on ? WORDS.typing : WORDS.subtitle;
  if (on && !typing.bot && Date.now() - typing.told < TOLD) return;
  if (on) typing.told = Date.now();
  document.getElementById("typing").textContent = on ? WORDS.typing : ""; // read out: the dots are not
}

recall();
for (const { id, at } of outbox.all()) if (Date.now() - at > KEPT) outbox.remove(id);
takeUnsent();
let drawn = transcript().map((bubble) => JSON.stringify(bubble)); // what deep-chat shows
let ready = false; // deep-chat is

const chat = Object.assign(document.createElement("deep-chat"), {
  connect: { websocket: true, handler: (_, signals) => signals.onOpen() }, // never busy: the outbox does the sending
  displayLoadingBubble: { toggle: () => {} }, // deep-chat puts its own switch in here
  history: drawn.map((bubble) => JSON.parse(bubble)),
  textInput: { characterLimit: MAX_TEXT, placeholder: { text: WORDS.placeholder, style: { color: "var(--ink-soft)" } } },
  htmlClassUtilities: {
    choice: {
      events: {
        click: ({ currentTarget: { textContent, dataset } }) =>
          chat.submitUserMessage({ text: textContent, custom: { payload: dataset.payload } }),
      },
    },
    thumb: { events: { click: ({ currentTarget: { dataset } }) => judge(dataset.source, dataset.helpful === "true") } },
    again: { events: { click: ({ currentTarget: { dataset } }) => sendAgain(dataset.id) } },
    drop: { events: { click: ({ currentTarget: { dataset } }) => drop(dataset.id) } },
  },
  onMessage: ({ message, isHistory }) => {
    if (isHistory || message.role !== "user" || !message.text) return;
    const id = newId();
    state.entries.push({ id, text: message.text });
    drawn.push(JSON.stringify({ role: "user", text: message.text })); // deep-chat has drawn it
    outbox.put({ id, text: message.custom?.payload ?? message.text, shown: message.text, at: Date.now(), by: WINDOW, lease: Date.now() + LEASE });
    show();
    stopTyping();
    deliver();
  },
  // on a slow machine deep-chat draws everything a second time, two timers after the first
  onComponentRender: () => setTimeout(() => setTimeout(start)),
});
// set here and not in the style sheet: without a font of its own deep-chat asks a font server for one
Object.assign(chat.style, { fontFamily: "inherit", width: "100%", height: "100%", border: "0 solid", backgroundColor: "transparent" });
for (const name of ["operator", "operator_sign", "read"]) chat.style.setProperty(`--${name}`, JSON.stringify(WORDS[name]));
document.getElementById("chat").append(chat);

function start() {
  if (ready) return;
  ready = true;
  const root = chat.shadowRoot;
  const style = new CSSStyleSheet();
  style.replaceSync(Array.from(document.styleSheets[0].cssRules, (rule) => rule.cssText).join("\n"));
  root.adoptedStyleSheets.push(style); // after deep-chat's own
  Object.assign(root.getElementById("messages"), { role: "log", ariaLive: "polite", ariaLabel: WORDS.conversation, lang: "zh-CN" });
  root.querySelector(".input-button").ariaLabel = WORDS.send;
  // Safari ends a composition before it reports its Enter: that Enter chooses a word, it does not send
  const composing = (event) => (event.isComposing || event.keyCode === 229) && event.stopPropagation();
  root.addEventListener("keydown", composing, { capture: true });
  root.addEventListener("load", chat.scrollToBottom, { capture: true }); // a picture has come and needs its room
  root.addEventListener("input", tellTyping);
  addAttaching(root);
  keepEnd(root.getElementById("messages"));
  show();
  chat.scrollToBottom();
  if (around) enter();
  keepLooking();
}

const atEnd = (log, height = log.clientHeight) => log.scrollHeight - log.scrollTop - height < 80;

/** The last words stay in sight when the keyboard, the banner or a longer text takes room. */
function keepEnd(log) {
  let stay = true;
  let height = log.clientHeight; // as it was when somebody scrolled: the news of another one comes later
  log.addEventListener("scroll", () => (stay = atEnd(log, Math.max(height, log.clientHeight))));
  new ResizeObserver(() => {
    height = log.clientHeight;
    if (stay) chat.scrollToBottom();
  }).observe(log);
}

/** Keeps the state, and brings the page in line with it: what is new is added, and only another order is drawn anew. */
function show() {
  remember();
  if (!ready) return;
  const wanted = transcript();
  const keys = wanted.map((bubble) => JSON.stringify(bubble));
  const log = chat.shadowRoot.getElementById("messages");
  const place = atEnd(log) ? null : log.scrollTop;
  const anew = drawn.some((key, index) => key !== keys[index]);
  if (anew) {
    const working = typing.bot;
    showTyping(false);
    log.ariaLive = "off"; // it was read out before
    chat.clearMessages(false);
    wanted.forEach((bubble) => chat.addMessage(bubble));
    showTyping(working);
    if (place === null) chat.scrollToBottom();
    else log.scrollTop = place;
    setTimeout(() => (log.ariaLive = "polite"));
  } else {
    const added = wanted.slice(drawn.length);
    added.forEach((bubble) => chat.addMessage(bubble));
    if (added.some(({ role }) => role !== "user")) tellAround("news");
  }
  drawn = keys;
  showControls();
  showPictures();
  showRead();
}

/** Under the customer's last words, once the bot has answered them or the person who talks has seen them. */
function showRead() {
  const last = state.entries.findLast(({ text }) => text !== undefined);
  const read = last && (last.read || last.messages?.length > 0);
  const mine = [...chat.shadowRoot.querySelectorAll("#messages .deep-chat-outer-container-role-user")];
  const place = read ? mine.at(-1) : undefined;
  for (const bubble of mine) bubble.classList.toggle("read", bubble === place);
}

/** Buttons can be tapped until the customer says something else; a message that was set aside does not count. */
function showControls() {
  const last = state.entries.findLastIndex(({ id, text, messages }) => text !== undefined && (messages || !outbox.get(id)?.failed));
  const usable = new Set(state.entries.slice(Math.max(last, 0)).map(({ id }) => id)).add(last < 0 ? "" : null);
  for (const button of chat.shadowRoot.querySelectorAll(".choice")) button.disabled = !usable.has(button.dataset.of);
  for (const source of Object.keys(state.thumbs)) showThumbs(source);
}

// ---- thumbs: shown at once, taken back if they did not arrive; one at a time for each source, so that none overtakes another ----

const judging = new Set();

function showThumbs(source) {
  for (const button of chat.shadowRoot.querySelectorAll(".thumb")) {
    if (button.dataset.source !== source) continue;
    button.ariaPressed = String(String(state.thumbs[source]) === button.dataset.helpful);
    button.disabled = judging.has(source);
  }
}

async function judge(source, helpful) {
  const before = state.thumbs[source];
  state.thumbs[source] = helpful;
  judging.add(source);
  showThumbs(source);
  const { response, body } = await ask("/api/feedback", 10_000, { source, helpful });
  const words = response?.ok ? "" : (explained(body) ?? WORDS.offline);
  if (words) state.thumbs[source] = before;
  judging.delete(source);
  showThumbs(source);
  showBanner(words);
  remember();
}

// ---- who is speaking: a cookie says it, or, in a frame where the browser has kept none, a token that this page keeps ----

const VISITOR = "zhanggui.visitor";
const isToken = (value) => isText(value) && /^[\w.-]{16,256}$/.test(value);
let keeps = true; // this browser keeps what the frame wants to remember
let visitor; // the promise of a token, or of null where a cookie does

/** Headers that say who is speaking. Throws if the server cannot be asked. */
async function introduction() {
  if (!EMBEDDED) return {};
  visitor ??= renewed().catch((error) => {
    visitor = undefined;
    throw error;
  });
  const token = await visitor;
  return token === null ? {} : { "X-Visitor": token };
}

async function renewed() {
  const known = everywhere.get(VISITOR);
  const headers = isToken(known) ? { "X-Visitor": known } : {};
  const response = await fetch("/api/chat/visitor", { method: "POST", headers, signal: AbortSignal.timeout(10_000) });
  const { token } = await response.json();
  if (token === null) return null;
  if (!isToken(token)) throw new Error("no token");
  const other = everywhere.get(VISITOR); // another window may have been faster: all are one visitor
  if (!isToken(known) && isToken(other)) return other;
  keeps = everywhere.set(VISITOR, token);
  return token;
}

// ---- asking the server ----

/** The response and its JSON; neither, if none came within `ms`; no body, if it is no JSON. A body is posted: a file, or as JSON. */
async function ask(address, ms, body = undefined) {
  const patience = new AbortController();
  const timer = setTimeout(() => patience.abort(), ms);
  try {
    const headers = await introduction();
    const [type, content] = body instanceof Blob ? [body.type, body] : ["application/json", JSON.stringify(body)];
    const posting = { method: "POST", headers: { ...headers, "Content-Type": type }, body: content };
    const response = await fetch(address, { headers, ...(body && posting), signal: patience.signal });
    return { response, body: await response.json().catch(() => null) };
  } catch {
    return {};
  } finally {
    clearTimeout(timer);
  }
}

/** A pause that `cut` ends early, or keeps from beginning. */
function pause() {
  let wanted = false;
  let end = () => {};
  return {
    async wait(ms) {
      if (!wanted) {
        await new Promise((resolve) => {
          const timer = setTimeout(resolve, ms);
          end = () => (clearTimeout(timer), resolve());
        });
      }
      wanted = false;
    },
    cut() {
      wanted = true;
      end();
    },
  };
}

// ---- what was said: in this window, in another one, or by a person ----

const looking = pause();
let expecting = true; // more may come, because a person talks or is asked for
let unreachable = false;

async function keepLooking() {
  for (;;) {
    deliver(); // also what a window has left that is gone
    if (expecting || !document.hidden) await look().catch(console.error);
    await looking.wait(!expecting ? IDLE : document.hidden ? 5_000 : LISTEN);
  }
}

async function look() {
  const unknown = state.entries.filter(({ id, messages }) => !messages && !outbox.get(id));
  const query = state.after === null ? "" : `?after=${state.after}`;
  const { response, body } = await ask(`/api/chat/history${query}`, 10_000);
  if (!response?.ok || !isList(body?.said)) {
    unreachable = true;
    return;
  }
  if (unreachable) sending.cut();
  unreachable = false;
  const pending = outbox.all().some(isWaiting);
  if (problem === WORDS.offline && navigator.onLine && !pending) problem = "";
  notice = body.visitor ? (keeps ? "" : WORDS.no_storage) : WORDS.no_cookies;
  showBanner(problem);
  if (body.after < state.after) for (const entry of state.entries) delete entry.position; // another conversation
  state.after = body.after;
  expecting = body.more;
  merge(body.said);
  for (const entry of state.entries) if (entry.position < body.read) entry.read = true;
  typing.person = body.typing === true;
  showTypist();
  takeUnsent(); // pictures have their place now
  // another window has deleted it
  state.entries = state.entries.filter((entry) => entry.messages || !unknown.includes(entry));
  show();
  tellRead();
}

// ---- what a person who is asked for, or talks, sees of this customer: whether they type, and how far they have read ----

const TYPING = 3_000; // ms after which it is said again; the gateway forgets it after twice as long
const told = { typing: 0, read: null };

const tellSeen = (seen) => ask("/api/chat/presence", 10_000, { read: told.read, ...seen });

function tellTyping({ target }) {
  if (!expecting) return;
  if (!target.textContent.trim()) return stopTyping();
  if (Date.now() - told.typing < TYPING) return;
  told.typing = Date.now();
  tellSeen({ typing: true });
}

function stopTyping() {
  if (told.typing) tellSeen({ typing: false });
  told.typing = 0;
}

/** Of what is on the screen, and not only in the page. */
function tellRead() {
  if (!expecting || document.hidden || !ready || state.after === told.read) return;
  if (!atEnd(chat.shadowRoot.getElementById("messages"))) return;
  told.read = state.after;
  tellSeen({ typing: Date.now() - told.typing < TYPING });
}

/** Each exchange once, those whose place is known in the server's order. */
function merge(said) {
  const known = new Map(state.entries.map((entry) => [entry.id, entry]));
  const buttons = [...state.entries, ...said].flatMap(({ messages }) => messages ?? []).flatMap((message) => [
    ...(isList(message?.buttons) ? message.buttons : []),
    ...(isList(message?.custom?.cards) ? message.custom.cards.map((each) => each?.button) : []),
  ]);
  const titles = new Map(buttons.filter(Boolean).map(({ payload, title }) => [payload, title]));
  for (const { id, position, text, messages } of said) {
    const entry = known.get(id) ?? { id };
    if (!known.has(id)) {
      if (text !== null) entry.text = titles.get(text) ?? (text.startsWith("/") ? WORDS.tapped : text);
      if (text === WORDS.mark) entry.picture = true;
      state.entries.push(entry);
      known.set(id, entry);
    }
    entry.position = position;
    entry.messages ??= messages;
    outbox.remove(id);
  }
  const placed = state.entries.filter(({ position }) => position !== undefined).sort((one, other) => one.position - other.position);
  state.entries = state.entries.map((entry) => (entry.position === undefined ? entry : placed.shift()));
}

/** Shows the unsent messages and the pictures of other windows, too. */
function takeUnsent() {
  const known = new Map(state.entries.map((entry) => [entry.id, entry]));
  for (const { id, shown, picture, behind, answer } of outbox.all()) {
    if (known.has(id)) known.get(id).messages ??= answer;
    else if (!answer) state.entries.push({ id, text: shown, picture });
    else if (state.after !== null) {
      const before = state.entries.findLastIndex((entry) => entry.id === behind);
      state.entries.splice(before < 0 ? state.entries.length : before + 1, 0, { id, text: shown, picture, messages: answer });
    }
  }
}

addEventListener("storage", ({ key, newValue }) => {
  if (key !== null && !key.startsWith(KEY)) return;
  takeUnsent();
  show();
  if (newValue === null) looking.cut(); // what is gone from the outbox has an answer
});
document.addEventListener("visibilitychange", () => document.hidden || looking.cut());

// ---- sending: one message at a time, the same id until it is answered, refused or deleted ----

const sending = pause();
let delivering = false;
let left = false; // the page is: another one sends what this one has

async function deliver() {
  if (delivering) return;
  delivering = true;
  try {
    for (let message; !left && (message = next()); ) await send(message);
  } finally {
    delivering = false;
  }
}

/** The oldest message that is for this window to send. */
function next() {
  const now = Date.now();
  const mine = ({ by, lease }) => by === WINDOW || !(lease > now && lease <= now + LEASE);
  return outbox.all().find((message) => isWaiting(message) && mine(message));
}

async function send({ id }) {
  let tries = 0;
  for (let pauses = 0; ; pauses += 1) {
    const message = outbox.get(id);
    if (left || !message || !isWaiting(message)) break; // answered or given up in the meantime
    if (Date.now() - message.at > FRESH) return setAside(message, WORDS.old);
    outbox.put({ ...message, by: WINDOW });
    outbox.hold({ lease: Date.now() + LEASE }); // those behind it, too: no other window sends them first
    const thinking = setTimeout(showTyping, 300, true); // a quick answer needs no sign of life
    const { answer, fault, words, wait } = await post(message);
    clearTimeout(thinking);
    if (answer) {
      if (message.picture) outbox.put({ ...message, answer });
      else outbox.remove(id);
      return settle(id, answer);
    }
    if (navigator.onLine) tries += 1;
    if (fault === "refused" || tries >= TRIES[fault]) return setAside(message, words);
    showBanner({ away: WORDS.offline, busy: "", fault: words }[fault]);
    await sending.wait(Math.max(wait, PAUSES[Math.min(pauses, PAUSES.length - 1)]));
  }
  showBanner("");
  showTyping(false);
}

/** Send once. Gives the `answer`, or the kind of `fault`, its `words` and the least `wait` (ms) before another try. */
async function post({ id, text, picture }) {
  if (picture && !pictures.has(id)) return { fault: "refused", words: WORDS.picture_lost };
  const { response, body } = picture
    ? await ask(`/api/chat/pictures?message_id=${id}`, ANSWER_WITHIN, pictures.get(id))
    : await ask("/api/chat", ANSWER_WITHIN, { text, message_id: id });
  if (response?.ok && isList(body?.messages)) return { answer: body.messages };
  const status = response?.status ?? 0;
  const words = explained(body);
  const wait = Math.min(60, Number(response?.headers.get("Retry-After")) || 0) * 1_000;
  if (status === 429) return { fault: "busy", words: words ?? WORDS.busy, wait };
  if (status >= 500 && words) return { fault: "fault", words, wait: 0 }; // the gateway has waited already
  if (status >= 400 && status < 500 && status !== 408) return { fault: "refused", words: words ?? WORDS.refused, wait };
  return { fault: "away", words: WORDS.unsent, wait }; // no answer, or that of something on the way
}

function settle(id, messages) {
  showBanner("");
  showTyping(false);
  const entry = state.entries.find((each) => each.id === id);
  // the receipt of a message for a person is only a sign that the answer comes by itself
  if (entry) entry.messages ??= messages.filter(({ custom }) => custom?.desk !== "claimed");
  show();
  if (messages.some(({ custom }) => custom?.desk)) {
    expecting = true;
    looking.cut();
  }
}

function setAside(message, failed) {
  showBanner("");
  showTyping(false);
  if (outbox.get(message.id)) outbox.put({ ...message, failed });
  show();
}

function sendAgain(id) {
  const { failed, ...message } = outbox.get(id) ?? {};
  if (!failed) return;
  outbox.put({ ...message, at: Date.now(), by: WINDOW, lease: Date.now() + LEASE });
  const entry = state.entries.find((each) => each.id === id);
  state.entries = [...state.entries.filter((each) => each !== entry), entry];
  show();
  keepFocus();
  deliver();
}

function drop(id) {
  outbox.remove(id);
  state.entries = state.entries.filter((each) => each.id !== id);
  show();
  keepFocus();
}

/** The button that was tapped is gone; on a phone the box would bring up the keyboard. */
function keepFocus() {
  if (matchMedia("(hover: hover)").matches) chat.focusInput();
}

addEventListener("pagehide", () => {
  left = true;
  outbox.hold({ by: "", lease: 0 });
});
addEventListener("pageshow", () => {
  left = false;
  looking.cut();
});
addEventListener("offline", () => showBanner(WORDS.offline));
addEventListener("online", () => {
  if (problem === WORDS.offline) showBanner("");
  sending.cut();
  looking.cut();
});

// ---- in a frame: the page around it says when it opens it, and is told of news ----

const closer = document.getElementById("close");
let around = null; // that page's origin

const tellAround = (message) => around && parent.postMessage({ zhanggui: message }, around);

/** On a phone the box would bring up the keyboard. */
const enter = () => (matchMedia("(hover: hover)").matches ? chat.focusInput() : closer.focus());

if (EMBEDDED) {
  closer.hidden = false;
  closer.addEventListener("click", () => tellAround("close"));
  addEventListener("keydown", ({ key }) => key === "Escape" && tellAround("close"));
  addEventListener("message", ({ origin, source, data }) => {
    if (source !== parent || !WORDS.embedded_in.includes(origin)) return;
    around = origin;
    if (data?.zhanggui === "open" && ready) enter();
  });
} else {
  navigator.serviceWorker?.register("/service-worker.js").catch(console.warn); // a page for when there is no network
}
