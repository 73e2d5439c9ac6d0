// What could not be sent, or worked on, and why. Asked for again every POLL ms, quietly.

import { $, Away, OFFLINE, Refusal, act, call, drawList, element, showBanner, write } from "./common.js";
import { CHANNELS } from "./names.js";

const POLL = 5_000;

const clock = new Intl.DateTimeFormat("zh-CN", {
  ...{ month: "numeric", day: "numeric", hour: "2-digit", minute: "2-digit", hour12: false, timeZone: "Asia/Shanghai" },
});
const channelName = (channel) => CHANNELS[channel] ?? channel;

function line({ box, id, channel, kind, conversation, created_at: at, again }) {
  const small = element("small", {}, `${channelName(channel)}　${clock.format(new Date(at))}　`);
  if (conversation) small.append(element("a", { href: `/dashboard/conversations/${conversation}` }, "看对话"));
  const drawn = element("li", { className: "message" }, element("strong", { className: "state" }), element("div", {}, kind, small, element("p", {})));
  if (again) {
    const onclick = ({ currentTarget }) =>
      act(currentTarget, async () => {
        await call(`delivery/${box}/${id}/again`, "POST");
        await look();
      });
    drawn.append(element("button", { type: "button", onclick, ariaLabel: `再发一次：${kind}，${channelName(channel)}` }, "再发一次"));
  }
  return drawn;
}

function fill(drawn, { told, reason, attempts }) {
  write(drawn.querySelector(".state"), told);
  write(drawn.querySelector("p"), attempts > 1 ? `${reason}（试过 ${attempts} 次）` : reason);
}

function draw({ waiting, stuck }) {
  drawList($("waiting"), waiting, ({ channel, state }) => `${channel} ${state}`, () => element("li", { className: "message" }), (node, { channel, state, number }) =>
    write(node, `${channelName(channel)}：${state} ${number} 条`),
  );
  drawList($("stuck"), stuck, ({ box, id }) => `${box} ${id}`, line, fill);
  $("all-sent").hidden = waiting.length > 0;
  $("none-stuck").hidden = stuck.length > 0;
}

const look = async () => draw(await call("delivery"));

async function keepLooking() {
  try {
    await look();
    showBanner("");
  } catch (error) {
    showBanner(error instanceof Refusal || error instanceof Away ? error.message : OFFLINE);
  }
  setTimeout(keepLooking, POLL);
}

keepLooking();
