// The graph around one node: the address after # names it, so that the browser's own back walks back.

import { $, Away, OFFLINE, Refusal, call, element, showBanner, thumb } from "./common.js";
import { LABELS, RELATIONS, TOPICS, address, named } from "./names.js";
import { init } from "./vendor/echarts-6.1.0/echarts.esm.min.js";

const AGAIN = 3_000; // ms until the next try while the graph is away
const MANY = 14; // edges; with more of them their names are shown only where one points
const RINGS = [[1], [1, 0.66], [1, 0.76, 0.5]]; // how far out neighbours stand, in turn: the more, the more rings
const EACH = 12; // neighbours for one ring
const KINDS = Object.keys(LABELS);
const COLOURS = ["#c8402f", "#e0892b", "#2e7d4f", "#6b5b95", "#8d8078", "#2a6f97", "#3f9c93", "#b5487a", "#55606e", "#a0763c"];
const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name); // light or dark
const HALO = { textBorderColor: colour("--paper"), textBorderWidth: 3 }; // words stay readable where a line crosses them
const STILL = matchMedia("(prefers-reduced-motion: reduce)").matches;

// ---- asking, and asking again while the graph is away; a later question makes an earlier one void ----

const latest = {};
let troubled; // the kind of question whose trouble the banner tells: only an answer to such a one takes it down

async function ask(what, path, draw, refused = () => {}) {
  const mine = (latest[what] = Symbol(path));
  for (;;) {
    try {
      const answer = await call(`graph/${path}`);
      if (latest[what] !== mine) return;
      if (troubled === what) showBanner("");
      return draw(answer);
    } catch (error) {
      if (latest[what] !== mine) return;
      troubled = what;
      showBanner(error instanceof Refusal || error instanceof Away ? error.message : OFFLINE);
      if (error instanceof Refusal) return refused();
    }
    await new Promise((resolve) => setTimeout(resolve, AGAIN));
    if (latest[what] !== mine) return;
  }
}

// ---- finding a node ----

function entry(node, relation) {
  const link = element("a", { href: address(node), className: "entry" }, element("span", {}, named(node)));
  link.dataset.label = node.label;
  link.append(element("small", {}, relation ?? LABELS[node.label] ?? node.label));
  return element("li", {}, link);
}

function search() {
  const words = $("sought").value.trim();
  ask("search", `search?words=${encodeURIComponent(words)}`, ({ nodes }) => {
    $("found").replaceChildren(...nodes.map((node) => entry(node)));
    mark();
    $("nothing").hidden = nodes.length > 0;
    $("nothing").textContent = words ? "没有找到，换个说法试试。" : "图谱还是空的，商品和答案同步后会出现在这里。";
  });
}

function mark() {
  for (const link of $("found").querySelectorAll("a")) link.ariaCurrent = link.hash === location.hash ? "true" : null;
}

let typing = 0;
$("sought").addEventListener("input", () => {
  document.body.classList.remove("walking");
  clearTimeout(typing);
  typing = setTimeout(search, 250);
});
$("sought").addEventListener("focus", () => document.body.classList.remove("walking"));
$("search").addEventListener("submit", (event) => {
  event.preventDefault();
  clearTimeout(typing);
  search();
});

// ---- the picture ----

let chart;
let shown = { nodes: [], edges: [] };

/** Relations that go both ways become one. */
function joined(edges) {
  const found = new Map();
  for (const edge of edges) {
    const back = found.get(`${edge.kind} ${edge.target} ${edge.source}`);
    if (back) back.both = true;
    else found.set(`${edge.kind} ${edge.source} ${edge.target}`, { ...edge, both: edge.kind === "COMPATIBLE_WITH" });
  }
  return [...found.values()];
}

/** Where each node stands, in pixels: the first in the middle, its neighbours around it, theirs behind them. */
function arrange({ nodes, edges }, width, height) {
  const parent = new Map([[0, null]]);
  const near = [];
  for (const from of [0, near]) {
    for (const { source, target } of edges) {
      for (const [here, there] of [[source, target], [target, source]]) {
        const reached = from === 0 ? here === 0 : near.includes(here);
        if (!reached || parent.has(there)) continue;
        parent.set(there, here);
        if (from === 0) near.push(there);
      }
    }
  }
  const middle = [width / 2, (height + 24) / 2];
  const reach = [Math.max(width / 2 - 68, 60), Math.max((height - 24) / 2 - 46, 60)];
  const at = (share, angle) => [middle[0] + reach[0] * share * Math.cos(angle), middle[1] + reach[1] * share * Math.sin(angle)];
  const spots = nodes.map(() => middle);
  const families = near.map((node) => [node, [...parent].filter(([, mine]) => mine === node).map(([child]) => child)]);
  const two = families.some(([, children]) => children.length);
  const rings = RINGS[Math.min(Math.floor((near.length - 1) / EACH), RINGS.length - 1)];
  const whole = families.reduce((sum, [, children]) => sum + Math.max(children.length, 1), 0);
  let passed = 0;
  families.forEach(([node, children], place) => {
    const wide = Math.max(children.length, 1);
    const angle = (position) => ((passed + position) / whole) * 2 * Math.PI - Math.PI / 5;
    spots[node] = at(two ? 0.52 : rings[place % rings.length], angle(wide / 2));
    children.forEach((child, number) => (spots[child] = at(number % 2 && children.length > 2 ? 0.84 : 1, angle(number + 0.5))));
    passed += wide;
  });
  return spots;
}

function drawPicture() {
  if (!chart) {
    chart = init($("canvas"));
    chart.on("click", ({ dataType, dataIndex }) => {
      if (dataType === "node" && dataIndex > 0) location.href = address(shown.nodes[dataIndex]);
    });
  }
  chart.resize();
  const { nodes, edges } = shown;
  const [width, height] = [chart.getWidth(), chart.getHeight()];
  const spots = arrange(shown, width, height);
  const crowded = edges.length > (width < 500 ? MANY / 2 : MANY);
  const corner = (x, y) => ({ x, y, symbolSize: 0, silent: true, label: { show: false } }); // or ECharts would fill the frame
  const series = {
    ...{ type: "graph", layout: "none", roam: true, left: 0, top: 0, width: "100%", height: "100%" },
    categories: KINDS.map((label, place) => ({ name: LABELS[label], itemStyle: { color: COLOURS[place] } })),
    label: { ...HALO, show: true, position: "bottom", width: Math.min(width / 4, 120), overflow: "truncate", color: colour("--ink") },
    labelLayout: ({ dataType }) => ({ hideOverlap: nodes.length > MANY && dataType === "node" }),
    edgeLabel: { ...HALO, show: !crowded, formatter: ({ data }) => data.words, fontSize: 11, color: colour("--ink-soft") },
    edgeSymbolSize: 7,
    lineStyle: { color: colour("--rail"), width: 1.4, opacity: 1 },
    emphasis: { focus: "adjacency", edgeLabel: { show: true } },
    data: [
      ...nodes.map((node, place) => ({
        id: String(place),
        name: named(node),
        category: KINDS.indexOf(node.label),
        x: spots[place][0],
        y: spots[place][1],
        symbolSize: place === 0 ? 44 : 24,
        label: place === 0 ? { fontWeight: "bold", fontSize: 14, width: 180 } : {},
      })),
      corner(0, 0),
      corner(width, height),
    ],
    links: edges.map(({ kind, source, target, both }) => ({
      source: String(source),
      target: String(target),
      words: RELATIONS[kind] ?? kind,
      symbol: both ? ["none", "none"] : ["none", "arrow"],
    })),
  };
  const kinds = [...new Set(nodes.map(({ label }) => LABELS[label]))];
  const legend = { data: kinds, top: 12, left: 12, width: width - 130, icon: "circle", itemWidth: 10, itemGap: 12, selectedMode: false };
  chart.setOption({ animation: !STILL, legend, series: [series] }, { notMerge: true });
}

new ResizeObserver(() => shown.nodes.length && $("canvas").clientHeight && drawPicture()).observe($("canvas"));

function draw({ nodes, edges, details }) {
  shown = { nodes, edges: joined(edges) };
  show(true);
  drawPicture();
  drawDetails(details);
}

// ---- the panel beside it ----

const fact = (name, value) => [element("dt", {}, name), element("dd", {}, value)];

function ofProduct({ attributes }) {
  return [element("dl", {}, ...Object.entries(attributes).flatMap((pair) => fact(...pair)))];
}

function ofAnswer({ text, topic, ask: asked, valid_from, valid_until, holds, id }, { up, down }) {
  const validity = `${valid_from ?? "一直以来"} 至 ${valid_until ?? "长期"}${holds ? "" : "（现在不生效）"}`;
  const facts = [fact("话题", TOPICS[topic] ?? topic), fact("有效期", validity), fact("顾客评价", element("span", {}, thumb(true, up), "　", thumb(false, down))), fact("编号", id)];
  return [
    element("p", { className: "answer" }, text),
    element("dl", {}, ...facts.flat()),
    element("h3", {}, `顾客会这样问（${asked.length}）`),
    element("ul", { className: "asks" }, ...asked.map((words) => element("li", {}, words))),
  ];
}

const arrow = ({ source, both }) => (both ? "↔ " : source ? "← " : "→ ");

function drawDetails({ product, answer, feedback }) {
  const { nodes, edges } = shown;
  const [centre] = nodes;
  const near = edges
    .filter(({ source, target }) => source === 0 || target === 0)
    .map((edge) => entry(nodes[edge.source || edge.target], arrow(edge) + (RELATIONS[edge.kind] ?? edge.kind)));
  const beside = near.length
    ? [element("h3", {}, `和它有关的（${near.length}）`), element("ul", {}, ...near)]
    : [element("p", { className: "hint" }, "图谱里还没有和它有关的东西。")];
  $("details").replaceChildren(
    element("small", { className: "kind" }, LABELS[centre.label] ?? centre.label),
    element("h2", {}, named(centre)),
    ...(product ? ofProduct(product) : []),
    ...(answer ? ofAnswer(answer, feedback) : []),
    ...beside,
  );
  $("details").scrollTop = 0;
}

// ---- walking ----

function show(chosen) {
  for (const part of ["canvas", "far", "details"]) $(part).hidden = !chosen;
  $("begin").hidden = chosen;
}

function walk() {
  const [label, id] = location.hash.slice(1).split("/", 2);
  document.body.classList.toggle("walking", Boolean(id));
  mark();
  latest.around = null;
  show(Boolean(id) && shown.nodes.length > 0); // the picture before stays until the next one is there
  if (id) ask("around", `around?label=${encodeURIComponent(label)}&id=${id}&hops=${$("hops").checked ? 2 : 1}`, draw, () => show(false));
}

$("hops").addEventListener("change", walk);
addEventListener("hashchange", walk);
search();
walk();
