// What every operators' page does: who is signed in, talking to the server, the banner, signing out.

export const OFFLINE = "连接断开，正在重连…";

export const $ = (id) => document.getElementById(id);

export function element(tag, properties, ...children) {
  const node = Object.assign(document.createElement(tag), properties);
  node.append(...children);
  return node;
}

/** Changes a text only where it is another one: what is selected in it stays so. */
export function write(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/**
 * Brings the children of `box` in line with `items`. An item that was there keeps its element, and with it the focus, a
 * selection and the finger on it; `make` gives the element of a new one, `fill` writes into it what may change. Where
 * the focus was in an element that is gone, it goes to the next.
 */
export function drawList(box, items, key, make, fill = () => {}) {
  const elements = new Map(Array.from(box.children, (node) => [node.dataset.key, node]));
  const wanted = new Set(items.map((item) => String(key(item))));
  const focused = Array.from(box.children).findIndex((node) => node.contains(document.activeElement));
  const lost = focused >= 0 && !wanted.has(box.children[focused].dataset.key);
  for (const [known, node] of elements) if (!wanted.has(known)) node.remove();
  let place = box.firstElementChild;
  for (const item of items) {
    const name = String(key(item));
    const node = elements.get(name) ?? make(item);
    node.dataset.key = name;
    fill(node, item);
    if (node === place) place = place.nextElementSibling;
    else box.insertBefore(node, place);
  }
  if (lost) (box.children[focused] ?? box.lastElementChild)?.querySelector("button")?.focus();
}

/** A drawn 👍 or 👎 with a number: not every computer has a font for them. */
export function thumb(up, number) {
  const icon = element("span", { className: `thumb ${up ? "up" : "down"}`, role: "img", ariaLabel: up ? "有用" : "没用" });
  return element("span", { className: "thumbs" }, icon, ` ${number}`);
}

export function showBanner(text) {
  $("banner").textContent = text;
  $("banner").hidden = !text;
}

/** The server will not do it, whenever it is asked; `code` says why. */
export class Refusal extends Error {
  constructor(message, code) {
    super(message);
    this.code = code;
  }
}

/** The server cannot do it now. */
export class Away extends Error {}

/** The answer's JSON. Throws a Refusal or an Away with the server's words, or a TypeError when there was no answer. */
export async function call(path, method = "GET", body = undefined) {
  const response = await fetch(`/dashboard/api/${path}`, {
    method,
    headers: method === "GET" ? {} : { "Content-Type": "application/json", "X-CSRF-Token": csrf },
    body: body && JSON.stringify(body),
    signal: AbortSignal.timeout(15_000),
  });
  if (response.status === 401) location.reload();
  const answer = response.status === 204 ? null : await response.json().catch(() => null);
  if (response.status >= 500) throw new Away(answer?.error?.message ?? OFFLINE);
  if (!response.ok) throw new Refusal(answer.error.message, answer.error.code);
  return answer;
}

/** Do something once for a tap; a refusal is shown. The button keeps the focus, which one that is disabled would lose. */
export async function act(button, work) {
  if (button.ariaDisabled === "true") return;
  button.ariaDisabled = "true";
  try {
    await work();
    showBanner("");
  } catch (error) {
    showBanner(error instanceof Refusal ? error.message : OFFLINE);
  }
  button.ariaDisabled = "false";
}

// ---- what is not well in the house ----

const HEALTH_POLL = 5_000;
const PARTS = {
  bot: "机器人", actions: "业务服务", gateway: "网关", database: "数据库", graph: "知识图谱", sync: "图谱同步",
  data: "数据目录", keyring: "密钥", tasks: "后台任务", limits: "访问限制", knowledge: "知识文件", answers: "答案检索",
  rules: "售后规则", delivery: "消息发送", wechat: "微信", wechat_kf: "微信客服", telegram: "Telegram",
};
const partName = (part) => PARTS[part] ?? part;

async function showHealth() {
  try {
    const { parts, warnings } = await call("health");
    const down = Object.keys(parts).filter((part) => parts[part] === "down");
    const lines = [
      ...down.map((part) => element("p", { className: "down" }, `${partName(part)}：不能正常工作`)),
      ...warnings.map(({ part, text }) => element("p", { title: text }, `${partName(part)}：${text.split(" / ")[0]}`)),
    ];
    const told = lines.map((line) => line.textContent).join("\n");
    if (told === $("health").dataset.told) return; // a screen reader would read it again
    $("health").dataset.told = told;
    $("health").replaceChildren(...lines);
    $("health").hidden = !lines.length;
  } catch {
    // the page's own work says that the house does not answer
  } finally {
    setTimeout(showHealth, HEALTH_POLL);
  }
}

$("banner").before(
  element("div", { id: "health", role: "region", ariaLabel: "运行状况", ariaLive: "polite", hidden: true }),
);

async function signedIn() {
  for (;;) {
    try {
      const response = await fetch("/dashboard/api/session", { signal: AbortSignal.timeout(15_000) });
      if (response.status === 401) location.reload();
      if (response.ok) return await response.json();
    } catch {
      // no network: the next try is soon
    }
    showBanner(OFFLINE);
    await new Promise((resolve) => setTimeout(resolve, 2_000));
  }
}

const { csrf, name } = await signedIn();
export { name };
$("operator").textContent = name;
$("sign-out").addEventListener("click", ({ currentTarget }) =>
  act(currentTarget, async () => {
    await call("session", "DELETE");
    location.reload();
  }),
);
showHealth();
