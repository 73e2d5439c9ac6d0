// Energy that is looked at before it counts. Asked for again every POLL ms.

import { $, Away, OFFLINE, Refusal, act, call, drawList, element, showBanner } from "./common.js";
import { CHANNELS } from "./names.js";

const POLL = 5_000;

const STEPS = [["approve", "通过"], ["refuse", "不通过"]];

const clock = new Intl.DateTimeFormat("zh-CN", {
  ...{ month: "numeric", day: "numeric", hour: "2-digit", minute: "2-digit", hour12: false, timeZone: "Asia/Shanghai" },
});

function line({ id, person, invitee, told, points, channel, reasons, earned_at: at, order_id: order, earlier, refused }) {
  const before = `这位一共 ${earlier} 笔${refused ? `，其中 ${refused} 笔没通过` : ""}`;
  const about = [told, CHANNELS[channel] ?? channel, clock.format(new Date(at)), order, before].filter(Boolean).join("　");
  return element(
    "li",
    { className: "message", id: `energy-${id}` },
    element("strong", { className: "state" }, `+${points}`),
    element(
      "div",
      {},
      `${person} ← ${invitee}`,
      element("small", {}, about),
      element("ul", { className: "why" }, ...reasons.map((reason) => element("li", {}, reason))),
    ),
    element(
      "span",
      { className: "steps" },
      ...STEPS.map(([step, name]) =>
        element("button", {
          ...{ type: "button", ariaLabel: `${name}：${person} +${points}`, textContent: name },
          onclick: ({ currentTarget }) =>
            act(currentTarget, async () => {
              await call(`energy/${id}/${step}`, "POST");
              await look();
            }),
        }),
      ),
    ),
  );
}

async function look() {
  const { held } = await call("energy");
  drawList($("held"), held, ({ id }) => id, line);
  $("none").hidden = held.length > 0;
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

await keepLooking();
