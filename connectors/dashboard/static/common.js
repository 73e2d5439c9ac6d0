// What every operators' page does: who is signed in, talking to the server, the banner, signing out.

export const OFFLINE = "连接断开，正在重连…";

export const $ = (id) => document.getElementById(id);

export function element(tag, properties, ...children) {
  const node = Object.assign(document.createElement(tag), properties);
  node.append(...children);
  return node;
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

/** The server will not do it, whenever it is asked. */
export class Refusal extends Error {}

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
  if (!response.ok) throw new Refusal(answer.error.message);
  return answer;
}

/** Do something once for a tap; a refusal is shown. */
export async function act(button, work) {
  button.disabled = true;
  try {
    await work();
    showBanner("");
  } catch (error) {
    showBanner(error instanceof Refusal ? error.message : OFFLINE);
  }
  button.disabled = false;
}

// ---- what is not well in the house ----

const HEALTH_POLL = 5_000;
const PARTS = {
  bot: "机器人", actions: "业务服务", gateway: "网关", database: "数据库", graph: "知识图谱", sync: "图谱同步",
  data: "数据目录", keyring: "密钥", tasks: "后台任务", limits: "访问限制", knowledge: "知识文件", answers: "答案检索",
  rules: "售后规则",
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

const { csrf, name } = await (await fetch("/dashboard/api/session")).json();
$("operator").textContent = name;
$("sign-out").addEventListener("click", ({ currentTarget }) =>
  act(currentTarget, async () => {
    await call("session", "DELETE");
    location.reload();
  }),
);
showHealth();
