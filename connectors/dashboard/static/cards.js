// How cards travel: the address after # names one. Time is a slider: who had the card by then is drawn.

import { $, Away, OFFLINE, Refusal, call, drawList, element, showBanner, write } from "./common.js";
import { init } from "./vendor/echarts-6.1.0/echarts.esm.min.js";

const POLL = 10_000;
const STRANGER = "一位朋友";
const STAGES = { awareness: "刚认识", interest: "有兴趣", consideration: "在考虑", intent: "快下单", converted: "已成交", lost: "没动静" };
const STILL = matchMedia("(prefers-reduced-motion: reduce)").matches;
const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name); // light or dark
const clock = new Intl.DateTimeFormat("zh-CN", {
  ...{ month: "numeric", day: "numeric", hour: "2-digit", minute: "2-digit", hour12: false, timeZone: "Asia/Shanghai" },
});
const yuan = (cents) => `¥${(cents / 100).toFixed(cents % 100 ? 2 : 0)}`;
const all = (levels) => levels.reduce((sum, each) => sum + each, 0);

let chart;
let shown; // the card that is drawn
let moments = []; // when each of its copies came, in order

const named = (place) => shown.people[place] ?? STRANGER;
const chosen = () => decodeURIComponent(location.hash.slice(1));

// ---- the list ----

function line({ id }) {
  const link = element("a", { href: `#${encodeURIComponent(id)}`, className: "entry" }, element("span", {}), element("small", {}));
  return element("li", {}, link);
}

function fill(node, { id, name, levels, bought }) {
  write(node.querySelector("span"), name);
  write(node.querySelector("small"), `${all(levels)} 人 · ${levels.length} 层 · ${bought} 单`);
  node.querySelector("a").ariaCurrent = id === chosen() ? "true" : null;
}

async function list() {
  const { cards } = await call("cards");
  drawList($("every-card"), cards, ({ id }) => id, line, fill);
  $("no-cards").hidden = cards.length > 0;
}

// ---- the picture ----

function tree(until) {
  const nodes = new Map([[0, { name: named(0), children: [], symbolSize: 18, itemStyle: { color: colour("--brand") } }]]);
  for (const { person, source, since, orders, channel, brought } of shown.copies) {
    if (Date.parse(since) > until || !nodes.has(source)) continue;
    const node = { name: named(person), children: [], value: [channel, clock.format(new Date(since)), brought], symbolSize: 10 + Math.min(brought, 8) };
    if (orders) node.itemStyle = { color: "#2e7d4f" };
    nodes.set(person, node);
    nodes.get(source).children.push(node);
  }
  return nodes.get(0);
}

function draw() {
  chart ??= init($("way"));
  chart.resize();
  const until = moments.length ? moments[Math.round((moments.length - 1) * ($("until-slider").value / 100))] : 0;
  write($("until-told"), until ? clock.format(new Date(until)) : "");
  const label = { color: colour("--ink"), backgroundColor: colour("--paper"), padding: [1, 3], fontSize: 12 };
  const series = {
    ...{ type: "tree", orient: "LR", edgeShape: "curve", roam: true, initialTreeDepth: -1, expandAndCollapse: false },
    ...{ left: 90, right: 110, top: 24, bottom: 24, data: [tree(until)] },
    itemStyle: { color: "#e0892b" },
    lineStyle: { color: colour("--rail"), width: 1.4 },
    label: { ...label, position: "bottom", distance: 6 },
    leaves: { label: { ...label, position: "right" } },
    emphasis: { focus: "ancestor" },
  };
  const formatter = ({ name, value }) => (value ? `${name}<br>${value[1]}，带来 ${value[2]} 人` : name);
  chart.setOption({ animation: !STILL, tooltip: { formatter }, series: [series] }, { notMerge: true });
}

$("until-slider").addEventListener("input", draw);
new ResizeObserver(() => shown && $("way").clientHeight && draw()).observe($("way"));

// ---- the facts beside it ----

const rows = (title, items) => (items.length ? [element("h3", {}, title), element("ul", {}, ...items.map((text) => element("li", {}, text)))] : []);

function drawFacts() {
  const { levels, bought, cents, opened_after_minutes: minutes, carriers, orders, leads } = shown;
  const most = Math.max(1, ...levels);
  const bars = levels.map((people, place) =>
    element("div", { className: "level" }, element("span", {}, `第 ${place + 1} 层`), element("meter", { min: 0, max: most, value: people }), element("span", {}, `${people} 人`)),
  );
  $("card-facts").replaceChildren(
    element("h2", {}, named(0)),
    element("p", {}, `${all(levels)} 人打开过，成交 ${bought} 单，共 ${yuan(cents)}。${minutes === null ? "" : `一般 ${minutes} 分钟内被打开。`}`),
    ...bars,
    ...rows("传得最多的", carriers.map(({ person, brought, orders: sold }) => `${named(person)}：带来 ${brought} 人${sold ? `，成交 ${sold} 单` : ""}`)),
    ...rows("最热的线索", leads.map(({ person, stage, asked }) => `${named(person)}：${STAGES[stage] ?? stage}${asked ? `，问过 ${asked} 次` : ""}`)),
    ...rows("成交路径", orders.map(({ path, cents: paid }) => `${path.map(named).join(" → ")}：${yuan(paid)}`)),
  );
}

async function show() {
  const id = chosen();
  if (!id) return;
  const latest = await call(`cards/${encodeURIComponent(id)}`);
  if (id !== chosen()) return;
  shown = latest;
  moments = shown.copies.map(({ since }) => Date.parse(since)).sort((a, b) => a - b);
  $("choose").hidden = true;
  $("card-facts").hidden = false;
  $("until").hidden = moments.length < 2;
  draw();
  drawFacts();
}

async function look() {
  try {
    await list();
    await show();
    showBanner("");
  } catch (error) {
    showBanner(error instanceof Refusal || error instanceof Away ? error.message : OFFLINE);
  }
}

async function keepLooking() {
  await look();
  setTimeout(keepLooking, POLL);
}

addEventListener("hashchange", () => {
  $("until-slider").value = 100;
  look();
});
keepLooking();
