// What worried customers were offered, what is left of the budgets, what the experiment has found. Asked for again
// every POLL ms, quietly.

import { $, Away, OFFLINE, Refusal, call, drawList, element, showBanner, write } from "./common.js";

const POLL = 15_000;

const clock = new Intl.DateTimeFormat("zh-CN", {
  ...{ month: "numeric", day: "numeric", hour: "2-digit", minute: "2-digit", hour12: false, timeZone: "Asia/Shanghai" },
});
const yuan = (cents) => `¥${(cents / 100).toFixed(2)}`;
const percent = (share) => `${(100 * share).toFixed(1)}%`;

const row = () => element("li", { className: "message" }, element("strong", { className: "state" }), element("div", {}, element("span", {}), element("p", {})));

function fill(drawn, state, text, more) {
  write(drawn.querySelector(".state"), state);
  write(drawn.querySelector("span"), text);
  write(drawn.querySelector("p"), more);
}

const budget = (drawn, { supplier_id: supplier, points, spent_cents: spent, limit_cents: limit }) =>
  fill(drawn, supplier ? `供应商 ${supplier}，本月` : points ? "今天，能量" : "今天，券和运费", `${yuan(spent)} / ${yuan(limit)}`, "");

function variant(drawn, { variant: name, customers, accepted, presales, cancelled, cancel_rate: rate, against_control: against, cost_cents_each: each }) {
  const compared = against ? `比对照组 ${percent(against[0])} 到 ${percent(against[1])}（95% 区间）` : "对照组";
  fill(drawn, name, `${customers} 人，${accepted} 人收下，人均 ${yuan(each)}`, `预售 ${presales} 单，取消 ${cancelled} 单（${percent(rate)}）；${compared}`);
}

function offer(drawn, { order_id: order, kind, rule, variant: name, value_cents: value, state, why, made_at: at }) {
  const worth = value ? `${kind} ${yuan(value)}` : kind;
  fill(drawn, state, `${order}　${worth}　${clock.format(new Date(at))}`, [rule, name, why].filter(Boolean).join("；"));
}

function draw({ budgets, variants, offers }) {
  drawList($("budgets"), budgets, ({ supplier_id: supplier, points }) => supplier ?? (points ? "points" : ""), row, budget);
  drawList($("variants"), variants, ({ variant: name }) => name, row, variant);
  drawList($("made"), offers, ({ id }) => id, row, offer);
  $("no-variants").hidden = variants.length > 0;
  $("none-made").hidden = offers.length > 0;
}

async function keepLooking() {
  try {
    draw(await call("offers"));
    showBanner("");
  } catch (error) {
    showBanner(error instanceof Refusal || error instanceof Away ? error.message : OFFLINE);
  }
  setTimeout(keepLooking, POLL);
}

keepLooking();
