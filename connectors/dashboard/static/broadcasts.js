// What goes to many: written, looked at, approved by somebody else, and how far it is. Asked for again every POLL ms.

import { $, Away, OFFLINE, Refusal, act, call, drawList, element, showBanner, write } from "./common.js";
import { CHANNELS } from "./names.js";

const POLL = 3_000;

const STEPS = {
  draft: [["propose", "提交批准"], ["withdraw", "撤回"]],
  proposed: [["approve", "批准并发送"], ["withdraw", "撤回"]],
  sending: [["pause", "暂停"]],
  paused: [["resume", "继续"], ["withdraw", "撤回"]],
};

const clock = new Intl.DateTimeFormat("zh-CN", {
  ...{ month: "numeric", day: "numeric", hour: "2-digit", minute: "2-digit", hour12: false, timeZone: "Asia/Shanghai" },
});

let regions = new Map();

// ---- whom it is for ----

const FIELDS = { bought: "days", category: "category", region: "region" };

function segment() {
  const kind = $("segment").value;
  const field = FIELDS[kind];
  return field ? { kind, [field]: field === "days" ? Number($(field).value) : $(field).value } : { kind };
}

function inWords({ kind, days, category, region }) {
  const told = { bought: `最近 ${days} 天买过`, category: `买过${category}`, region: `住在${regions.get(region) ?? region}` };
  return told[kind] ?? { everybody: "所有人", coupon: "有可用优惠券" }[kind];
}

async function count() {
  for (const field of Object.values(FIELDS)) $(`${field}-field`).hidden = FIELDS[$("segment").value] !== field;
  const { number } = await call("broadcasts/count", "POST", { segment: segment() });
  write($("count"), `能发到 ${number} 位顾客；退订的、今天已经收到过的不会发。`);
}

const recount = () => count().catch((error) => showBanner(error instanceof Refusal ? error.message : OFFLINE));
for (const field of ["segment", "days", "category", "region"]) $(field).onchange = recount;

function options(select, pairs) {
  if (select.options.length) return;
  select.append(...pairs.map(([value, name]) => element("option", { value }, name)));
}

// ---- writing one ----

const cents = (field) => Math.round(Number($(field).value) * 100);

/** What each of them gets; nothing where the box is not ticked. */
function coupon() {
  if (!$("gives").checked) return null;
  return { title: $("coupon-title").value, off_cents: cents("off"), min_spend_cents: cents("minimum"), days: Number($("coupon-days").value) };
}

function showCoupon() {
  $("coupon").hidden = !$("gives").checked;
  for (const field of $("coupon").querySelectorAll("input")) field.disabled = $("coupon").hidden;
}

$("gives").onchange = showCoupon;

const draft = () => ({ text: $("text").value, product_id: $("product").value.trim() || null, coupon: coupon(), segment: segment() });

$("look").onclick = ({ currentTarget }) =>
  act(currentTarget, async () => {
    if (!$("draft").reportValidity()) return;
    write($("preview"), (await call("broadcasts/preview", "POST", draft())).text);
    $("preview").hidden = false;
    await count();
  });

$("draft").onsubmit = (event) => {
  event.preventDefault();
  act(event.submitter, async () => {
    await call("broadcasts", "POST", draft());
    $("draft").reset();
    showCoupon();
    $("preview").hidden = true;
    await count();
    await look();
  });
};

// ---- those that there are ----

function line({ id, text, product, coupon: gift, segment: whom, drafted_by: by, drafted_at: at }) {
  const about = `${by}　${clock.format(new Date(at))}　发给：${inWords(whom)}${product ? `　商品：${product}` : ""}${gift ? `　每人一张：${gift.title}` : ""}`;
  const progress = element("progress", { ariaLabel: `已取到的顾客：${text}` });
  return element(
    "li",
    { className: "message", id: `broadcast-${id}` },
    element("strong", { className: "state" }),
    element("div", {}, text, element("small", {}, about), progress, element("p", { className: "how-far" }), element("ul", { className: "results" })),
    element("span", { className: "steps" }),
  );
}

function fill(node, { id, state, told, taken, total, approved_by: approver, mine, results }) {
  write(node.querySelector(".state"), told);
  const progress = node.querySelector("progress");
  progress.hidden = !taken && !["sending", "paused", "done"].includes(state);
  progress.max = Math.max(total, taken, 1);
  progress.value = taken;
  write(node.querySelector(".how-far"), progress.hidden ? `约 ${total} 位顾客` : `${taken} / ${total} 位顾客${approver ? `　${approver} 批准` : ""}`);
  drawList(node.querySelector(".results"), results, ({ channel, told }) => `${channel} ${told}`, () => element("li", {}), (one, { channel, told, number }) =>
    write(one, `${channel ? `${CHANNELS[channel] ?? channel} ` : ""}${told} ${number}`),
  );
  const steps = (STEPS[state] ?? []).filter(([step]) => step !== "approve" || !mine);
  drawList(node.querySelector(".steps"), steps, ([step]) => step, ([step, name]) =>
    element("button", {
      ...{ type: "button", ariaLabel: `${name}：${node.querySelector("div").firstChild.textContent}` },
      onclick: ({ currentTarget }) =>
        act(currentTarget, async () => {
          await call(`broadcasts/${id}/${step}`, "POST");
          await look();
        }),
    }, name),
  );
}

async function look() {
  const { broadcasts, choices } = await call("broadcasts");
  regions = new Map(choices.regions);
  options($("category"), choices.categories.map((name) => [name, name]));
  options($("region"), choices.regions);
  drawList($("sent"), broadcasts, ({ id }) => id, line, fill);
  $("none").hidden = broadcasts.length > 0;
}

async function keepLooking() {
  try {
    await look();
    showBanner("");
  } catch (error) {
    showBanner(error instanceof Refusal || error instanceof Away ? error.message : OFFLINE);
  }
  setTimeout(keepLooking, POLL);
}

showCoupon();
await keepLooking();
await recount();
