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
const FREIGHT = { customer: "顾客付", shop: "商家付", nobody: "不用寄回" };
const STEPS = { approved: "同意", rejected: "拒绝", goods_received: "收到退货", refunded: "已退款", exchanged: "已换货", closed: "结案", cancelled: "撤销申请" };
const NOTE_SEEN = "原因（顾客会看到）";
const NOTE = "备注（可不填）";
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

const sum = ({ decision }) => (decision.refund_cents ? ` · ${yuan(decision.refund_cents)}` : "");

function fillOrder(each, order) {
  const waits = UNSENT.has(order.status);
  const parcels = order.shipments.filter(({ delivered_at }) => !delivered_at);
  const over = waits ? late(order.ships_by) : parcels.map(({ promised_by }) => late(promised_by)).find(Boolean);
  const lost = parcels.some(({ status }) => status === "lost");
  const tickets = order.lines.some(({ open_ticket_id }) => open_ticket_id);
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

function lines(order, ids) {
  const items = order.lines.map((line) => {
    const inside = !ids || ids.includes(line.id);
    const price = element("b", {}, yuan(line.unit_price_cents * line.quantity));
    const other = !ids && line.open_ticket_id;
    const about = other ? element("small", {}, element("a", { href: address(other) }, `售后 ${other}`)) : "";
    return element("li", { className: inside ? "" : "faint" }, element("span", {}, goods(line), about), price);
  });
  return element("ul", { className: "lines" }, ...items);
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

function history(ticket) {
  const steps = ticket.history.toReversed().map(({ time, status, actor, by, note }) => {
    const words = note && !(actor === "rule") ? element("q", {}, note) : "";
    const who = by ? `${ACTORS[actor] ?? actor} \u2068${by}\u2069` : (ACTORS[actor] ?? actor);
    return element("li", {}, element("small", {}, when(time)), element("span", {}, element("b", {}, STATES[status]), `　${who}　`, words));
  });
  return element("ol", { className: "history" }, ...steps);
}

function drawTicket({ ticket, note, order, customer, steps, rule, conversations = [] }) {
  const { decision } = ticket;
  write($("what"), `${KINDS[ticket.kind]} ${ticket.id}`);
  const waits = LIVE.has(ticket.status);
  write($("state"), waits ? `${STATES[ticket.status]} · ${due(ticket.due_on)}` : STATES[ticket.status]);
  const buttons = steps.map((to) => {
    const className = ["rejected", "cancelled"].includes(to) ? "" : "primary";
    const button = element("button", { type: "button", className }, STEPS[to]);
    button.addEventListener("click", () => askTicket(ticket, to));
    return button;
  });
  $("steps").replaceChildren(...buttons.toReversed());
  $("facts").replaceChildren(
    element("p", { className: "amount" }, element("b", {}, decision.refund_cents ? yuan(decision.refund_cents) : "不退款"), element("span", {}, `${REASONS[ticket.reason]} · 运费${FREIGHT[decision.freight_payer]}`)),
    part("商品", lines(order, ticket.line_ids)),
    note ? part("顾客的话", element("blockquote", {}, note)) : "",
    part("规则", element("p", {}, rule), element("small", {}, decision.auto_approve ? "符合条件，自动通过" : "要人工审核")),
    part("经过", history(ticket)),
    part("订单", facts([
      ["订单", element("a", { href: address(order.id) }, order.id)],
      ["状态", ORDER_STATES[order.status]],
      ["顾客", `${customer.name}（${customer.region}）`],
      ["下单", when(order.placed_at)],
      ["签收", order.delivered_at && when(order.delivered_at)],
      ["实付", yuan(order.total_cents)],
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

function drawOrder({ order, customer, delivery, tickets, conversations = [] }) {
  write($("what"), `订单 ${order.id}`);
  const over = UNSENT.has(order.status) ? late(order.ships_by) : "";
  write($("state"), [ORDER_STATES[order.status], over].filter(Boolean).join(" · "));
  const held = tickets.some(({ status }) => LIVE.has(status));
  const button = element("button", { type: "button", className: "primary" }, "发货");
  button.addEventListener("click", () => askParcel(order, delivery));
  $("steps").replaceChildren(...(UNSENT.has(order.status) && !held ? [button] : []));
  const list = tickets.map((ticket) =>
    element("li", {}, element("a", { href: address(ticket.id) }, `${KINDS[ticket.kind]} ${ticket.id}`), element("span", {}, STATES[ticket.status])),
  );
  $("facts").replaceChildren(
    UNSENT.has(order.status) && held ? element("p", { className: "hint" }, "有售后在处理，先处理完再发货。") : "",
    element("p", { className: "amount" }, element("b", {}, yuan(order.total_cents)), element("span", {}, ORDER_STATES[order.status])),
    part("商品", lines(order)),
    part("收货", facts([["收件人", delivery.recipient_name], ["电话", delivery.phone], ["地址", delivery.address]])),
    part("包裹", ...parcels(order)),
    list.length ? part("售后", element("ul", { className: "lines" }, ...list)) : "",
    part("订单", facts([
      ["顾客", `${customer.name}（${customer.region}）`],
      ["下单", when(order.placed_at)],
      ["承诺发出", order.ships_by && `${when(order.ships_by)} 前`],
      ["签收", order.delivered_at && when(order.delivered_at)],
      ["对话", traces(conversations)],
    ])),
  );
}

$("back").addEventListener("click", () => (location.hash = address(null)));

// ---- a step, asked once more before it is done ----

let asking = null; // what "do" does: {button, body, path, needs}

/** The key is made when the question is asked: whatever becomes of the network, the step is done once. */
const newKey = () => Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");

let picked = { reasons: {}, carriers: [] };

function ask(title, pairs, action, question) {
  asking = { key: newKey(), number: chosen, ...question };
  write($("confirm-title"), title);
  $("confirm-facts").replaceChildren(...facts(pairs).children);
  write($("do"), action);
  $("note").value = "";
  $("problem").hidden = true;
  $("confirm").showModal();
}

const AFTER = {
  approved: (ticket, decision) =>
    ticket.kind === "refund" || decision.freight_payer === "nobody" ? "顾客会看到：已通过，正在办理" : "顾客会看到：已通过，请寄回",
  rejected: () => "顾客会看到原因，可以再申请",
  goods_received: () => "顾客会看到：退货已收到",
  refunded: () => "顾客会看到：已退款",
  exchanged: () => "顾客会看到：新商品已寄出",
  closed: () => "",
  cancelled: () => "申请撤销，商品可以重新申请",
};

function askTicket(ticket, to) {
  const { decision } = ticket;
  const paid = to === "refunded" || (to === "approved" && decision.refund_cents);
  ask(`${STEPS[to]} · ${KINDS[ticket.kind]}`, [
    ["商品", ticket.summary],
    [to === "refunded" ? "退款" : "应退", paid ? element("b", { className: "sum" }, yuan(decision.refund_cents)) : ""],
    ["运费", to === "approved" ? FREIGHT[decision.freight_payer] : ""],
    ["之后", AFTER[to](ticket, decision)],
  ], paid ? `${STEPS[to]} ${yuan(decision.refund_cents)}` : STEPS[to], {
    path: `office/tickets/${ticket.id}/steps`,
    body: () => ({ to, note: $("note").value.trim() }),
    missing: () => (to === "rejected" && !$("note").value.trim() ? "请写明原因，顾客会看到。" : ""),
  });
  $("parcel").hidden = true;
  $("words").hidden = false;
  write($("note-label"), to === "rejected" ? NOTE_SEEN : NOTE);
  $("templates").replaceChildren(...(picked.reasons[to] ?? []).map((text) => {
    const button = element("button", { type: "button" }, text);
    button.addEventListener("click", () => {
      $("note").value = text;
      $("note").focus();
    });
    return element("li", {}, button);
  }));
  if (to === "rejected") $("note").focus();
  else $("do").focus();
}

function askParcel(order, delivery) {
  ask("发货", [
    ["商品", order.lines.map(goods).join("、")],
    ["收件人", `${delivery.recipient_name} ${delivery.phone}`],
    ["地址", delivery.address],
  ], "已交给快递", {
    path: `office/orders/${order.id}/ship`,
    body: () => ({ carrier: $("carrier").value.trim(), tracking_number: $("tracking").value.trim() }),
    missing: () => {
      if (!$("carrier").value.trim()) return "请填快递公司。";
      return /^[a-z0-9-]{5,40}$/i.test($("tracking").value.normalize("NFKC").replace(/\s/g, "")) ? "" : "请填快递单号：5 到 40 位字母和数字。";
    },
  });
  $("parcel").hidden = false;
  $("words").hidden = true;
  $("tracking").value = "";
  $("carrier").focus();
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
