// The operators' desk: who waits, the conversation as it goes, an answer. Words are only ever set as text.

const EVERY = 2_000; // ms between looks
const WHO = { customer: "客户", bot: "掌柜", operator: "我" };
const REASONS = { human_handoff: "要求转人工", complain: "投诉", affirm: "接受转人工" };
const ERRORS = { 401: "口令不对，或登录已过期。", 403: "请刷新页面再试。", 409: "这位客户已被别人处理或不再等待。", 429: "试得太多了，五分钟后再来。", 503: "掌柜暂时没有响应，请再点一次，不会重复发送。" };

const $ = (id) => document.getElementById(id);
const element = (tag, properties, ...children) => {
  const node = Object.assign(document.createElement(tag), properties);
  node.append(...children);
  return node;
};
const clock = (time) => new Date(time).toLocaleString("zh-CN", { timeZone: "Asia/Shanghai", month: "numeric", day: "numeric", hour: "2-digit", minute: "2-digit" });

let chosen = null; // id of the hand-off that is open
let tab = "queue";
let unsent = null; // {text, key} of an answer that may not have arrived: sent again under its key

function notice(text) {
  $("notice").textContent = text;
  $("notice").hidden = !text;
}

async function ask(path, options = {}) {
  const { body, ...others } = options;
  const response = await fetch(`/dashboard/${path}`, {
    ...others,
    headers: { "X-Requested-With": "zhanggui", ...(body ? { "Content-Type": "application/json" } : {}) },
    body: body && JSON.stringify(body),
    signal: AbortSignal.timeout(30_000),
  });
  if (response.status === 401) show(false);
  if (!response.ok) throw new Error(ERRORS[response.status] ?? `出错了（${response.status}）。`);
  return response.json();
}

async function attempt(doing) {
  try {
    await doing();
    notice("");
    return true;
  } catch (error) {
    notice(error instanceof TypeError || error.name === "TimeoutError" ? "网络断开，正在重试…" : error.message);
    return false;
  }
}

function show(signedIn) {
  $("sign-in").hidden = signedIn;
  $("tabs").hidden = !signedIn;
  $("queue").hidden = !signedIn || tab !== "queue";
  $("training").hidden = !signedIn || tab !== "training";
}

// ---- the queue and one conversation ----

function drawQueue(handoffs) {
  const buttons = handoffs.map((handoff) => {
    const state = handoff.status === "claimed" ? "正在人工服务" : `等候自 ${clock(handoff.requested_at)}`;
    const node = element("button", { type: "button", className: "customer" }, `${handoff.channel} 客户 ${handoff.id.slice(-4)}`, element("small", {}, `${REASONS[handoff.reason] ?? handoff.reason} · ${state}`));
    node.ariaCurrent = String(handoff.id === chosen);
    node.addEventListener("click", () => { chosen = handoff.id; look(); });
    return node;
  });
  $("waiting").replaceChildren(...(buttons.length ? buttons : [element("p", { className: "empty" }, "现在没有客户在等，喝口水吧 ☕")]));
}

function drawConversation(conversation) {
  document.querySelector("#conversation > .empty").hidden = Boolean(conversation);
  $("open").hidden = !conversation;
  if (!conversation) return;
  const box = $("lines");
  const atEnd = box.scrollHeight - box.scrollTop - box.clientHeight < 40;
  if (box.childElementCount !== conversation.lines.length || box.dataset.id !== conversation.id) {
    box.replaceChildren(...conversation.lines.map((line) => element("div", { className: `line ${line.who}-line` }, element("small", {}, `${WHO[line.who]} ${clock(line.time)}`), line.text)));
    if (atEnd || box.dataset.id !== conversation.id) box.scrollTop = box.scrollHeight;
    box.dataset.id = conversation.id;
  }
  $("claim").hidden = conversation.status !== "waiting";
  $("reply").hidden = $("ending").hidden = conversation.status !== "claimed";
}

let looking = false;
async function look() {
  if (looking) return;
  looking = true;
  await attempt(async () => {
    if (tab === "training") return drawTraining(await ask("misunderstood"));
    const handoffs = await ask("handoffs");
    show(true);
    if (!handoffs.some(({ id }) => id === chosen)) chosen = null;
    drawQueue(handoffs);
    drawConversation(chosen && (await ask(`handoffs/${chosen}`)));
  });
  looking = false;
}

$("claim").addEventListener("click", () => attempt(() => ask(`handoffs/${chosen}/claim`, { method: "POST" })).then(look));
$("ending").addEventListener("click", ({ target }) => {
  const { resolved } = target.dataset;
  if (resolved) attempt(() => ask(`handoffs/${chosen}/end`, { method: "POST", body: { resolved: resolved === "true" } })).then(look);
});
$("reply").addEventListener("submit", async (event) => {
  event.preventDefault();
  const text = $("words").value.trim();
  if (!text) return;
  if (unsent?.text !== text) unsent = { text, key: crypto.randomUUID().replaceAll("-", "") };
  if (await attempt(() => ask(`handoffs/${chosen}/messages`, { method: "POST", body: unsent }))) {
    unsent = null;
    $("words").value = "";
  }
  look();
});
$("words").addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing || event.keyCode === 229) return;
  event.preventDefault();
  $("reply").requestSubmit();
});

// ---- what was not understood ----

function drawTraining(entries) {
  const rows = entries.map((entry) => {
    const guesses = entry.guesses.slice(0, 3).map(([name, score]) => `${name} ${Math.round(score * 100)}%`).join("，");
    const done = element("button", { type: "button" }, "已处理");
    done.addEventListener("click", () => attempt(() => ask(`misunderstood/${entry.id}/settle`, { method: "POST" })).then(look));
    return element("div", { className: "entry" }, element("div", {}, entry.text, element("small", {}, `${clock(entry.time)} · 猜测：${guesses || "无"}`)), done);
  });
  $("training").replaceChildren(...(rows.length ? rows : [element("p", { className: "empty" }, "没有待处理的句子。")]));
}

// ---- signing in, tabs ----

$("sign-in").addEventListener("submit", async (event) => {
  event.preventDefault();
  if (await attempt(() => ask("session", { method: "POST", body: { token: $("token").value } }))) {
    $("token").value = "";
    look();
  }
});
$("tabs").addEventListener("click", ({ target }) => {
  if (!target.dataset.tab) return;
  tab = target.dataset.tab;
  for (const button of $("tabs").querySelectorAll("[data-tab]")) button.ariaCurrent = String(button === target);
  show(true);
  look();
});
$("sign-out").addEventListener("click", () => attempt(() => ask("session", { method: "DELETE" })).then(() => show(false)));

look().then(() => notice(""));
setInterval(() => { if ($("sign-in").hidden && !document.hidden) look(); }, EVERY);
