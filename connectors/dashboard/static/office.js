// Orders and after-sales: lists of what waits, one opened case, and the steps that settle it. What is shown is asked for
// again every POLL ms. The address behind the "#" says what is open: a list, and after a "/" the number of a case.

import { $, Away, OFFLINE, Refusal, act, call, drawList, element, showBanner, write } from "./common.js";

const POLL = 4_000;

const TICKETS = "tickets";
const ORDERS = "orders";

/** `queue` is the mall's name of what they wait for; a list without one holds all, the newest first. */
const LISTS = {
  approval: { of: TICKETS, name: "待审批", queue: "approval", empty: "没有等审批的申请。" },
  goods: { of: TICKETS, name: "待收货", queue: "goods", empty: "没有在路上的退货。" },
  settlement: { of: TICKETS, name: "待退款", queue: "settlement", empty: "没有要退的款、要补发的换货。" },
  tickets: { of: TICKETS, name: "全部售后", empty: "没有售后单。" },
  to_ship: { of: ORDERS, name: "待发货", queue: "to_ship", empty: "没有等发货的订单。" },
  late: { of: ORDERS, name: "超时", queue: "late", empty: "没有超过承诺时间的订单。" },
  lost: { of: ORDERS, name: "丢件", queue: "lost", empty: "没有要处理的丢件。" },
  orders: { of: ORDERS, name: "全部订单", empty: "没有订单。" },
};

const KINDS = { return: "退货", exchange: "换货", refund: "退款" };
const REASONS = {
  dislike: "不喜欢", wrong_size: "尺码不合适", changed_mind: "不想要了", quality: "质量问题", damaged: "收到破损",
  wrong_item: "发错货", missing_item: "少件漏发", not_as_described: "与描述不符", late_delivery: "太久没到", other: "其他",
};
const STATES = {
  open: "待审批", approved: "已同意", goods_received: "已收到退货", refunded: "已退款", exchanged: "已换货", closed: "已结案",
  rejected: "已拒绝", cancelled: "已撤销",
};
const ORDER_STATES = {
  pending_payment: "待付款", paid: "待发货", presale: "预售待发", shipped: "已发货", delivered: "已签收", completed: "已完成",
  cancelled: "已取消",
};
const PARCEL_STATES = {
  created: "待揽收", in_transit: "运输中", out_for_delivery: "派送中", delivered: "已签收", delayed: "延误", lost: "丢失",
};
const ACTORS = { customer: "顾客", rule: "规则", operator: "客服", supplier: "供应商", service: "系统", sales: "销售" };
const FREIGHT = { customer: "运费顾客付", shop: "运费商家付", nobody: "不用寄回" };
const STEPS = { approved: "同意", rejected: "拒绝", goods_received: "收到退货", refunded: "退款", exchanged: "已换货", closed: "结案", cancelled: "撤销申请" };
const AGES = [["overdue", "已超期"], ["1", "1 天以前的"], ["3", "3 天以前的"], ["7", "7 天以前的"], ["30", "30 天以前的"]];
const SORTS = [["oldest", "最早的在前"], ["newest", "最新的在前"]];
const LIVE = new Set(["open", "approved", "goods_received"]);
const UNSENT = new Set(["paid", "presale"]);

// ---- how things are written ----

const money = new Intl.NumberFormat("zh-CN", { style: "currency", currency: "CNY" });
const yuan = (cents) => money.format(cents / 100);
const SHANGHAI = { timeZone: "Asia/Shanghai" };
const clock = new Intl.DateTimeFormat("zh-CN", {
  ...{ month: "numeric", day: "numeric", hour: "2-digit", minute: "2-digit", hour12: false, ...SHANGHAI },
});
const calendar = new Intl.DateTimeFormat("zh-CN", { month: "long", day: "numeric", ...SHANGHAI });
const iso = new Intl.DateTimeFormat("sv-SE", SHANGHAI);
const when = (at) => clock.format(new Date(at));
const day = (date) => calendar.format(new Date(`${date}T12:00:00+08:00`));
const daysUntil = (date) => Math.round((Date.parse(date) - Date.parse(iso.format(new Date()))) / 86_400_000);

function due(date) {
  const days = daysUntil(date);
  if (days < 0) return `超期 ${-days} 天`;
  return days === 0 ? "今天到期" : days === 1 ? "明天到期" : `${day(date)}到期`;
}

/** The days by which a moment is over, in words; empty while it is not. */
function late(at) {
  const passed = Date.now() - Date.parse(at);
  if (!at || passed < 0) return "";
  const hours = Math.floor(passed / 3_600_000);
  return hours < 24 ? `超时 ${Math.max(hours, 1)} 小时` : `超时 ${Math.floor(hours / 24)} 天`;
}

const goods = ({ product_name, spec, quantity }) => `${product_name} ${spec} ×${quantity}`;

function summary({ lines }) {
  const rest = lines.length > 1 ? ` 等 ${lines.length} 种` : "";
  return lines.length ? `${goods(lines[0])}${rest}` : "没有商品";
}

// ---- which list, which case ----

let list = "approval";
let chosen = null; // number of the open case
let cursors = [null]; // of the pages up to the one that is shown
let following = null; // cursor of the next page
let drawing = 0; // counts what was asked for, so that an answer about something earlier is not drawn

const isTicket = (number) => number.startsWith("RT");
const address = (number, tab = list) => `#${tab}${number ? `/${number}` : ""}`;

function readAddress() {
  const [tab, number] = location.hash.slice(1).split("/");
  const known = tab in LISTS ? tab : "approval";
  if (known !== list) cursors = [null];
  if (known !== list || (number || null) !== chosen) {
    drawing += 1;
    showBanner("");
  }
  if ((number || null) !== chosen) closeCase();
  list = known;
  chosen = number || null;
  $("case").hidden = chosen === null;
  $("choose").hidden = chosen !== null;
  document.body.classList.toggle("talking-now", chosen !== null);
  for (const [name, link] of Object.entries(links)) link.ariaCurrent = name === list ? "page" : null;
  showFilters();
  for (const row of $("rows").children) mark(row);
}

const links = {};
for (const [name, { name: title }] of Object.entries(LISTS)) {
  links[name] = element("a", { href: address(null, name) }, title);
  $("queues").append(links[name]);
}

function drawWaiting({ tickets, orders }) {
  for (const [name, { of, queue }] of Object.entries(LISTS)) {
    const count = queue && { tickets, orders }[of][queue];
    if (count) links[name].dataset.count = count;
    else delete links[name].dataset.count;
  }
  const waiting = Object.values(tickets).reduce((sum, count) => sum + count, 0);
  document.title = `${waiting ? `(${waiting}) ` : ""}掌柜 · 订单售后`;
}

// ---- filters ----

function options(select, first, pairs) {
  select.replaceChildren(...[["", first], ...pairs].map(([value, name]) => element("option", { value }, name)));
}
options($("kind"), "全部", Object.entries(KINDS));
options($("reason"), "全部", Object.entries(REASONS));
options($("supplier"), "全部", []);
options($("age"), "不限", AGES);
options($("order"), "自动", SORTS);
const PICKED = ["kind", "reason", "supplier", "age", "order"];

function showFilters() {
  const ofTickets = LISTS[list].of === TICKETS;
  $("text").placeholder = ofTickets ? "售后单号、订单号或手机号" : "订单号、快递单号或手机号";
  $("text").ariaLabel = $("text").placeholder;
  for (const name of ["kind", "reason"]) $(name).parentElement.hidden = !ofTickets;
  $("age").querySelector("[value=overdue]").hidden = !ofTickets;
  write($("more-filters"), used() ? `筛选 ${used()}` : "筛选");
}

/** How many filters of this list are set. */
const used = () => PICKED.filter((name) => $(name).value && !$(name).parentElement.hidden).length;

function wanted() {
  const { of, queue } = LISTS[list];
  const asked = new URLSearchParams();
  const tell = (name, value) => value && asked.set(name, value);
  tell("queue", queue);
  if (of === TICKETS) {
    tell("kind", $("kind").value);
    tell("reason", $("reason").value);
    tell("overdue", $("age").value === "overdue" && "true");
  }
  tell("supplier", $("supplier").value);
  tell("days", /^\d+$/.test($("age").value) && $("age").value);
  tell("text", $("text").value.trim());
  tell("newest", ($("order").value || (queue ? "oldest" : "newest")) === "newest" && "true");
  tell("cursor", cursors.at(-1));
  return `office/${of}?${asked}`;
}

const filtered = () => Boolean($("text").value.trim() || used() > Number($("order").value !== ""));

function fromTheBeginning() {
  cursors = [null];
  drawing += 1;
  showFilters();
  refresh();
}

$("more-filters").addEventListener("click", () => {
  $("choices").hidden = !$("choices").hidden;
  $("more-filters").ariaExpanded = String(!$("choices").hidden);
});
for (const name of PICKED) $(name).addEventListener("change", fromTheBeginning);
let typing;
$("text").addEventListener("input", () => {
  clearTimeout(typing);
  typing = setTimeout(fromTheBeginning, 300);
});
$("filters").addEventListener("submit", (event) => {
  event.preventDefault();
  clearTimeout(typing);
  fromTheBeginning();
});
$("clear").addEventListener("click", () => {
  for (const name of PICKED) $(name).value = "";
  $("text").value = "";
  fromTheBeginning();
});

// ---- the list ----

function drawRows({ items, next }) {
  following = next;
  const ofTickets = LISTS[list].of === TICKETS;
  drawList($("rows"), items, ({ id }) => id, row, ofTickets ? fillTicket : fillOrder);
  for (const each of $("rows").children) mark(each);
  $("nothing").hidden = items.length > 0;
  if (!items.length) {
    const everything = ofTickets ? "tickets" : "orders";
    const told = filtered() ? "没有符合条件的。" : LISTS[list].empty;
    const elsewhere = filtered() && list !== everything;
    const link = element("a", { href: address(null, everything) }, `在${LISTS[everything].name}里找`);
    $("nothing").replaceChildren(told, ...(elsewhere ? [element("br"), link] : []));
  }
  $("pager").hidden = cursors.length === 1 && !next;
  $("previous").disabled = cursors.length === 1;
  $("next").disabled = !next;
  write($("place"), `第 ${cursors.length} 页`);
}

function row({ id }) {
  const link = element("a", { className: "handoff", href: address(id) }, element("strong", {}), element("span", { className: "about" }), element("small", {}));
  link.dataset.id = id;
  return element("li", {}, link);
}

function mark(each) {
  const link = each.firstElementChild;
  link.href = address(link.dataset.id);
  link.ariaCurrent = link.dataset.id === chosen ? "true" : null;
}

function fill(each, title, about, words) {
  const [strong, span, small] = each.firstElementChild.children;
  write(strong, title);
  write(span, about);
  const told = words.filter(([text]) => text);
  if (small.textContent === told.map(([text]) => text).join("")) return;
  small.replaceChildren(...told.map(([text, className = ""]) => element("span", { className }, text)));
}

function fillTicket(each, ticket) {
  const waits = LIVE.has(ticket.status);
  const overdue = waits && daysUntil(ticket.due_on) < 0;
  fill(each, `${KINDS[ticket.kind]} · ${ticket.summary}`, `${REASONS[ticket.reason]}${sum(ticket)}`, [
    LISTS[list].queue ? [""] : [STATES[ticket.status], waits ? "chip" : "chip done"],
    waits ? [due(ticket.due_on), overdue ? "chip late" : ""] : [when(ticket.history.at(-1).time)],
    [ticket.id],
  ]);
}

/** What was paid back, or would be. */
const cents = ({ refunded_cents, decision }) => refunded_cents || decision.refund_cents;
const sum = (ticket) => (cents(ticket) ? ` · ${yuan(cents(ticket))}` : "");

function fillOrder(each, order) {
  const waits = UNSENT.has(order.status);
  const parcels = order.shipments.filter(({ delivered_at }) => !delivered_at);
  const over = waits ? late(order.ships_by) : parcels.map(({ promised_by }) => late(promised_by)).find(Boolean);
  const lost = parcels.some(({ status }) => status === "lost");
  const tickets = order.lines.some(({ ticket_ids }) => ticket_ids.length);
  fill(each, summary(order), `${yuan(order.total_cents)} · ${ORDER_STATES[order.status]}`, [
    lost ? ["丢件", "chip late"] : [over ?? "", "chip late"],
    waits && !over && order.ships_by ? [`${when(order.ships_by)} 前发出`] : [""],
    tickets ? ["有售后", "chip"] : [""],
    [order.id],
  ]);
}

$("previous").addEventListener("click", () => {
  if (cursors.length === 1) return;
  cursors.pop();
  turned();
});
$("next").addEventListener("click", () => {
  if (!following) return;
  cursors.push(following);
  turned();
});

function turned() {
  drawing += 1;
  following = null;
  $("list").scrollTop = 0;
  refresh();
}

// A list is not changed under a finger: what is pressed there would not be what is let go.
let pressed = false;
for (const box of ["rows", "facts", "steps"]) $(box).addEventListener("pointerdown", () => (pressed = true));
for (const end of ["pointerup", "pointercancel", "blur"]) addEventListener(end, () => (pressed = false));

// ---- the open case ----

let drawn = ""; // what stands there, so that nothing is drawn again while it stays the same

function closeCase() {
  drawn = "";
  for (const part of ["facts", "steps"]) $(part).replaceChildren();
  for (const part of ["what", "state"]) write($(part), "");
}

function part(title, ...children) {
  return children.length ? element("section", {}, element("h3", {}, title), ...children) : "";
}

function facts(pairs) {
  const told = pairs.filter(([, value]) => value !== null && value !== undefined && value !== "");
  return element("dl", {}, ...told.flatMap(([name, value]) => [element("dt", {}, name), element("dd", {}, value)]));
}

function linesOf(order) {
  const items = order.lines.map((line) => {
    const tickets = line.ticket_ids.map((id) => element("a", { href: address(id) }, `售后 ${id}`));
    const about = [...(line.unsent && line.unsent < line.quantity ? [`还有 ${line.unsent} 件没发　`] : []), ...tickets];
    const small = about.length ? element("small", {}, ...about) : "";
    return element("li", {}, element("span", {}, goods(line), small), element("b", {}, yuan(line.unit_price_cents * line.quantity)));
  });
  return element("ul", { className: "lines" }, ...items);
}

function linesInTicket({ lines }) {
  const items = lines.map(({ title, quantity, received, paid_cents }) => {
    const short = received !== null && received < quantity;
    const small = short ? element("small", {}, `报了 ${quantity} 件，收到 ${received} 件`) : "";
    return element("li", {}, element("span", {}, `${title} ×${short ? received : quantity}`, small), element("b", {}, yuan(paid_cents)));
  });
  return element("ul", { className: "lines" }, ...items);
}

/** What the order cost, with what was taken off and what came on top. */
function paid({ total_cents, discount_cents, freight_cents }) {
  const beside = [discount_cents && `优惠 ${yuan(discount_cents)}`, freight_cents && `运费 ${yuan(freight_cents)}`].filter(Boolean);
  return beside.length ? `${yuan(total_cents)}（${beside.join("，")}）` : yuan(total_cents);
}

function parcels(order) {
  return order.shipments.map((parcel) => {
    const over = parcel.delivered_at || parcel.status === "lost" ? "" : late(parcel.promised_by);
    const title = element("p", {}, `${parcel.carrier} ${parcel.tracking_number}　`, element("b", {}, PARCEL_STATES[parcel.status] ?? parcel.status));
    if (over) title.append("　", element("span", { className: "chip late" }, over));
    const steps = parcel.events.toReversed().map(({ time, place, text }) => element("li", {}, element("small", {}, when(time)), element("span", {}, `${place}　${text}`)));
    const latest = element("ol", { className: "history" }, ...steps.slice(0, 2));
    const earlier = element("details", {}, element("summary", {}, `更早的 ${steps.length - 2} 条`), element("ol", { className: "history" }, ...steps.slice(2)));
    return element("div", { className: "parcel" }, title, latest, ...(steps.length > 2 ? [earlier] : []));
  });
}

function history({ history }, hands) {
  const steps = history.map(({ time, status, actor, note }, place) => {
    const words = note && actor !== "rule" ? element("q", {}, note) : "";
    const who = `${ACTORS[actor] ?? actor}${hands[place] ? ` \u2068${hands[place]}\u2069` : ""}`;
    return element("li", {}, element("small", {}, when(time)), element("span", {}, element("b", {}, STATES[status]), `　${who}　`, words));
  });
  return element("ol", { className: "history" }, ...steps.toReversed());
}

function stepButton(name, className, onclick) {
  const button = element("button", { type: "button", className }, name);
  button.addEventListener("click", onclick);
  return button;
}

function drawTicket(found) {
  const { ticket, note, order, customer, steps, rule, conversations, hands, most_cents } = found;
  const { decision } = ticket;
  write($("what"), `${KINDS[ticket.kind]} ${ticket.id}`);
  const waits = LIVE.has(ticket.status);
  write($("state"), waits ? `${STATES[ticket.status]} · ${due(ticket.due_on)}` : STATES[ticket.status]);
  const buttons = steps.map((to) =>
    stepButton(STEPS[to], ["rejected", "cancelled"].includes(to) ? "" : "primary", () => askTicket(found, to)),
  );
  // a part went back: the rest can follow
  if (ticket.status === "refunded" && most_cents > 0) buttons.push(stepButton("再退一笔", "", () => askTicket(found, "refunded")));
  $("steps").replaceChildren(...buttons.toReversed());
  const money = ticket.kind === "exchange" ? "换货" : yuan(cents(ticket));
  const told = ticket.refunded_cents && ticket.refunded_cents !== decision.refund_cents ? `应退 ${yuan(decision.refund_cents)} · ` : "";
  $("facts").replaceChildren(
    element("p", { className: "amount" }, element("b", {}, money), element("span", {}, `${told}${REASONS[ticket.reason]} · ${FREIGHT[decision.freight_payer]}`)),
    part("商品", linesInTicket(ticket)),
    note ? part("顾客的话", element("blockquote", {}, note)) : "",
    part("规则", element("p", {}, rule), element("small", {}, decision.auto_approve ? "符合条件，自动通过" : "要人工审核")),
    part("经过", history(ticket, hands)),
    part("订单", facts([
      ["订单", element("a", { href: address(order.id) }, order.id)],
      ["状态", ORDER_STATES[order.status]],
      ["顾客", `${customer.name}（${customer.region}）`],
      ["下单", when(order.placed_at)],
      ["签收", order.delivered_at && when(order.delivered_at)],
      ["实付", paid(order)],
      ["对话", traces(conversations)],
    ])),
    part("包裹", ...parcels(order)),
  );
}

/** The pages that explain what was said; they open beside this one. */
function traces(conversations) {
  if (!conversations.length) return "";
  const each = conversations.map((conversation, place) =>
    element("a", { href: `/dashboard/conversations/${conversation}`, target: "_blank" }, conversations.length > 1 ? `对话经过 ${place + 1}` : "对话经过"),
  );
  return element("span", { className: "traces" }, ...each);
}

function drawOrder({ order, customer, delivery, tickets, conversations }) {
  write($("what"), `订单 ${order.id}`);
  const over = UNSENT.has(order.status) ? late(order.ships_by) : "";
  write($("state"), [ORDER_STATES[order.status], over].filter(Boolean).join(" · "));
  const handled = new Set(tickets.filter(({ status }) => LIVE.has(status)).map(({ id }) => id));
  const held = ({ ticket_ids }) => ticket_ids.some((id) => handled.has(id));
  const waiting = UNSENT.has(order.status) ? order.lines.filter(({ unsent }) => unsent > 0) : [];
  const free = waiting.filter((line) => !held(line));
  $("steps").replaceChildren(...(free.length ? [stepButton("发货", "primary", () => askParcel(order, delivery, free))] : []));
  const list = tickets.map((ticket) =>
    element("li", {}, element("a", { href: address(ticket.id) }, `${KINDS[ticket.kind]} ${ticket.id}`), element("span", {}, STATES[ticket.status])),
  );
  $("facts").replaceChildren(
    free.length < waiting.length ? element("p", { className: "hint" }, "有商品的售后还在处理，处理完才能发。") : "",
    element("p", { className: "amount" }, element("b", {}, yuan(order.total_cents)), element("span", {}, ORDER_STATES[order.status])),
    part("商品", linesOf(order)),
    part("收货", facts([["收件人", delivery.recipient_name], ["电话", delivery.phone], ["地址", delivery.address]])),
    part("包裹", ...parcels(order)),
    list.length ? part("售后", element("ul", { className: "lines" }, ...list)) : "",
    part("订单", facts([
      ["顾客", `${customer.name}（${customer.region}）${customer.id}`],
      ["", stepButton("和另一位顾客合并", "", () => askMerge(customer))],
      ["下单", when(order.placed_at)],
      ["承诺发出", order.ships_by && `${when(order.ships_by)} 前`],
      ["签收", order.delivered_at && when(order.delivered_at)],
      ["实付", paid(order)],
      ["对话", traces(conversations)],
    ])),
  );
}

$("back").addEventListener("click", () => (location.hash = address(null)));

// ---- a step, asked once more before it is done ----

let asking = null; // what "do" does: {key, path, body, missing}; path may come later

/** The key is made when the question is asked: whatever becomes of the network, the step is done once. */
const newKey = () => Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");

let picked = { reasons: {}, carriers: [] };

function ask(title, pairs, action, question) {
  asking = { key: newKey(), missing: () => "", ...question };
  write($("confirm-title"), title);
  $("confirm-facts").replaceChildren(...facts(pairs).children);
  write($("do"), action);
  for (const part of ["parcel", "money", "other"]) $(part).hidden = true;
  $("pieces").replaceChildren();
  $("words").hidden = false;
  $("templates").replaceChildren();
  $("note").value = "";
  $("problem").hidden = true;
  $("confirm").showModal();
}

const note = () => $("note").value.trim();

/** Ready-made words for a step, to be taken over and changed. */
function offer(to) {
  write($("note-label"), to === "rejected" ? "原因（顾客会看到）" : "备注（可不填）");
  $("templates").replaceChildren(...(picked.reasons[to] ?? []).map((text) =>
    element("li", {}, stepButton(text, "", () => {
      $("note").value = text;
      $("note").focus();
    })),
  ));
}

/** Asks for pieces of lines, all of them at first; `more`: what else is asked of a line. */
function askPieces(lines, more = () => "") {
  $("pieces").replaceChildren(...lines.map(({ id, title, most }) => {
    const input = element("input", { type: "number", min: 0, max: most, value: most, inputMode: "numeric", ariaLabel: `${title}，件数` });
    const row = element("li", {}, element("span", {}, title), element("label", {}, input, ` / ${most} 件`), more());
    row.dataset.line = id;
    return row;
  }));
}

/** Pieces by line, as they stand there; null where one is no number, or more than there are. */
function pieces() {
  const told = {};
  for (const row of $("pieces").children) {
    const { value, max } = row.querySelector("input[type=number]");
    if (!/^\d+$/.test(value) || Number(value) > Number(max)) return null;
    told[row.dataset.line] = Number(value);
  }
  return told;
}

const wrongPieces = () => {
  const told = pieces();
  return told && Object.values(told).some(Boolean) ? "" : "件数不对：不能超过总数，至少要有一件。";
};

const AFTER = {
  approved: ({ kind, decision }) =>
    kind === "refund" || decision.freight_payer === "nobody" ? "顾客会看到：已通过，正在办理" : "顾客会看到：已通过，请寄回",
  rejected: () => "顾客会看到原因，可以再申请",
  exchanged: () => "顾客会看到：新商品已寄出",
  closed: () => "",
  cancelled: () => "申请撤销，商品可以重新申请",
};

function askTicket(found, to) {
  const { ticket } = found;
  if (to === "goods_received") return askGoods(ticket);
  if (to === "refunded") return askRefund(found);
  const { decision } = ticket;
  const money = to === "approved" && decision.refund_cents ? yuan(decision.refund_cents) : "";
  ask(`${STEPS[to]}${KINDS[ticket.kind]}`, [
    ["商品", ticket.summary],
    ["应退", money && element("b", { className: "sum" }, money)],
    ["运费", to === "approved" && FREIGHT[decision.freight_payer]],
    ["之后", AFTER[to](ticket)],
  ], `${STEPS[to]} ${money}`.trim(), {
    path: `office/tickets/${ticket.id}/steps`,
    body: () => ({ to, note: note() }),
    missing: () => (to === "rejected" && !note() ? "请写明原因，顾客会看到。" : ""),
  });
  offer(to);
  if (to === "rejected") $("note").focus();
  else $("do").focus();
}

/** Of goods that nobody complained of the most can be sold again. */
const WHOLE = new Set(["dislike", "wrong_size", "changed_mind"]);

function askGoods(ticket) {
  ask("收到退货", [["之后", "少收到的会从应退金额里扣掉，顾客可以再申请"]], "收到了", {
    path: `office/tickets/${ticket.id}/goods`,
    missing: wrongPieces,
    body: () => {
      const received = pieces();
      const whole = ([line]) => $("pieces").querySelector(`[data-line="${line}"] input[type=checkbox]`).checked;
      return { received, sellable: Object.fromEntries(Object.entries(received).filter(whole)), note: note() };
    },
  });
  askPieces(ticket.lines.map(({ line_id, title, quantity }) => ({ id: line_id, title, most: quantity })), () =>
    element("label", { className: "check" }, element("input", { type: "checkbox", checked: WHOLE.has(ticket.reason) }), "完好，可再卖"),
  );
  offer("goods_received");
  $("do").focus();
}

/** Cents of an amount in yuan; null where it is none. */
function amount() {
  const told = $("amount").value.normalize("NFKC").trim();
  return /^\d{1,7}(\.\d{1,2})?$/.test(told) ? Math.round(Number(told) * 100) : null;
}

function askRefund({ ticket, due_cents, most_cents }) {
  const already = ticket.refunded_cents;
  ask(already ? "再退一笔" : "退款", [
    ["商品", ticket.summary],
    ["已退", already ? yuan(already) : ""],
    ["之后", "顾客会看到：已退款"],
  ], "退款", {
    path: `office/tickets/${ticket.id}/refund`,
    body: () => ({ cents: due_cents || already ? amount() : null, refunded_cents: already, note: note() }),
    missing: () => {
      if (!due_cents && !already) return "";
      return amount() > 0 && amount() <= most_cents ? "" : `金额不对：最多能退 ${yuan(most_cents)}。`;
    },
  });
  $("money").hidden = !due_cents && !already;
  $("amount").value = ((already ? most_cents : due_cents) / 100).toFixed(2);
  write($("limit"), `应退 ${yuan(ticket.decision.refund_cents)}，最多 ${yuan(most_cents)}`);
  tellAmount();
  offer("refunded");
  $("do").focus();
}

const tellAmount = () => write($("do"), amount() === null || $("money").hidden ? "退款" : `退款 ${yuan(amount())}`);
$("amount").addEventListener("input", tellAmount);

function askParcel(order, delivery, free) {
  ask("发货", [
    ["收件人", `${delivery.recipient_name} ${delivery.phone}`],
    ["地址", delivery.address],
  ], "已交给快递", {
    path: `office/orders/${order.id}/ship`,
    body: () => ({ carrier: $("carrier").value.trim(), tracking_number: $("tracking").value.trim(), lines: pieces() }),
    missing: () => {
      if (wrongPieces()) return wrongPieces();
      if (!$("carrier").value.trim()) return "请填快递公司。";
      return /^[a-z0-9-]{5,40}$/i.test($("tracking").value.normalize("NFKC").replace(/\s/g, "")) ? "" : "请填快递单号：5 到 40 位字母和数字。";
    },
  });
  askPieces(free.map(({ id, product_name, spec, unsent }) => ({ id, title: `${product_name} ${spec}`, most: unsent })));
  $("parcel").hidden = false;
  $("words").hidden = true;
  $("tracking").value = "";
  $("carrier").focus();
}

// ---- two customers who are one ----

const OBSTACLES = {
  same: "这就是同一位顾客。", merged_already: "其中一位已经并入别的顾客。", demo: "其中一位是演示数据。", erasing: "其中一位申请了注销，撤回以后才能合并。",
  role: "另一位有工作角色，先收回角色再合并。", own: "不能合并自己的账号。",
};

function holds({ customer, holdings }) {
  const { orders, total_cents, tickets, open_tickets, coupons, accounts } = holdings;
  const told = [`${orders} 单 ${yuan(total_cents)}`, `售后 ${tickets}（未结 ${open_tickets}）`, `优惠券 ${coupons}`, `渠道账号 ${accounts.join("、") || "无"}`];
  return `${customer.name}（${customer.region}）${customer.id}：${told.join("，")}`;
}

/** What moves is shown before it can be moved; another number takes that back. */
function askMerge({ id, name }) {
  let looked = null;
  const gone = () => $("gone").value.trim();
  const path = () => `office/customers/${id}/mergers/${encodeURIComponent(gone())}`;
  const obstacle = () => {
    if (!looked || looked.gone.customer.id !== gone()) return "先填编号，再看看会并过来什么。";
    return looked.done ? "这两位之前已经合并了。" : (OBSTACLES[looked.obstacle] ?? "");
  };
  ask(`合并到${name}`, [], "合并", { body: () => ({}), missing: obstacle });
  $("words").hidden = true;
  $("other").hidden = false;
  $("gone").value = "";
  $("gone").focus();
  $("look").onclick = ({ currentTarget }) =>
    act(currentTarget, async () => {
      if (!gone()) return problem(obstacle());
      try {
        looked = await call(path());
        asking.path = path();
      } catch (error) {
        looked = null;
        return problem(error instanceof Refusal ? error.message : OFFLINE);
      }
      $("confirm-facts").replaceChildren(...facts([
        ["保留", holds(looked.kept)],
        ["并入", holds(looked.gone)],
        ["之后", "订单、售后、优惠券、渠道账号都归保留的一位，姓名、手机和地址不变；不能撤销"],
      ]).children);
      problem(obstacle());
    });
}

function problem(text) {
  write($("problem"), text);
  $("problem").hidden = !text;
}

function leave() {
  $("confirm").close();
  asking = null;
}

$("leave").addEventListener("click", leave);
$("confirm").addEventListener("cancel", () => (asking = null));
$("confirm").addEventListener("submit", (event) => event.preventDefault());
$("confirm").addEventListener("keydown", (event) => {
  if (event.key === "Enter" && event.target.tagName === "INPUT" && !event.isComposing) $("do").click();
});

$("do").addEventListener("click", ({ currentTarget }) =>
  act(currentTarget, async () => {
    const question = asking;
    if (!question) return;
    const missing = question.missing();
    problem(missing);
    if (missing) return;
    try {
      await call(question.path, "POST", { ...question.body(), key: question.key });
    } catch (error) {
      if (error instanceof Refusal && error.code !== "meanwhile") {
        question.key = newKey(); // nothing was done, and what is typed may change
        return problem(error.message);
      }
      if (!(error instanceof Refusal)) return problem("没有连上，可能已经办成。再点一次不会办两遍。");
      leave();
      await refresh();
      throw error; // told at the top, over what happened meanwhile
    }
    leave();
    await refresh();
  }),
);

// ---- what is shown, again and again ----

let refreshing = Promise.resolve();

/** One look at a time. */
function refresh() {
  refreshing = refreshing.then(look);
  return refreshing;
}

async function look() {
  const mine = drawing;
  try {
    const shown = chosen;
    const path = shown && `office/${isTicket(shown) ? TICKETS : ORDERS}/${shown}`;
    const missing = (error) => {
      if (error instanceof Refusal) return error;
      throw error;
    };
    const [waiting, page, found] = await Promise.all([
      call("office/waiting"),
      call(wanted()).catch(missing),
      path && call(path).catch(missing),
    ]);
    drawWaiting(waiting);
    if (mine !== drawing) return;
    if (page instanceof Refusal) showBanner(page.message);
    else if (!pressed) drawRows(page);
    if (found instanceof Refusal) {
      closeCase();
      write($("what"), shown);
      $("facts").replaceChildren(element("p", { className: "empty" }, found.message));
    } else if (found && !pressed && JSON.stringify(found) !== drawn) {
      drawn = JSON.stringify(found);
      if (isTicket(shown)) drawTicket(found);
      else drawOrder(found);
    }
    if ($("banner").textContent === OFFLINE) showBanner("");
  } catch (error) {
    showBanner(error instanceof Away || error instanceof Refusal ? error.message : OFFLINE);
  }
}

async function keepLooking() {
  await refresh();
  setTimeout(keepLooking, POLL);
}

addEventListener("hashchange", () => {
  readAddress();
  refresh();
});

async function learnChoices() {
  try {
    picked = await call("office");
    if (picked.trouble) showBanner(picked.trouble);
    const kept = $("supplier").value;
    options($("supplier"), "全部", picked.suppliers.map(({ id, name }) => [id, name]));
    $("supplier").value = kept;
    $("carriers").replaceChildren(...picked.carriers.map((value) => element("option", { value })));
  } catch {
    setTimeout(learnChoices, POLL);
  }
}

readAddress();
learnChoices();
keepLooking();
