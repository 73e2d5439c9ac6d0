// Questions without an answer and answers that did not help. Asked for again every POLL ms, quietly.

import { $, Away, OFFLINE, Refusal, call, element, showBanner, thumb } from "./common.js";
import { LABELS, TOPICS, address } from "./names.js";

const POLL = 10_000;

const LINKED = 3;

const clock = new Intl.DateTimeFormat("zh-CN", {
  ...{ month: "numeric", day: "numeric", hour: "2-digit", minute: "2-digit", hour12: false, timeZone: "Asia/Shanghai" },
});

function line(count, words, ...small) {
  return element("li", { className: "message" }, element("strong", { className: "count" }, count), element("div", {}, words, element("small", {}, ...small)));
}

/** First lines of the questions whose other words are shown; they stay so when the page is drawn anew. */
const unfolded = new Set();

/** The same question in other words, folded. */
function others(first, texts) {
  const ontoggle = ({ target }) => (target.open ? unfolded.add(first) : unfolded.delete(first));
  const lines = texts.map((text) => element("li", {}, text));
  const summary = element("summary", {}, `还有 ${texts.length} 种问法`);
  return element("details", { open: unfolded.has(first), ontoggle }, summary, element("ul", {}, ...lines));
}

/** Ways to the first conversations in which it was asked. */
function asking(conversations) {
  return conversations.slice(0, LINKED).flatMap((conversation, at) => {
    const href = `/dashboard/conversations/${conversation}`;
    return ["　", element("a", { href }, at ? `对话 ${at + 1}` : "看对话")];
  });
}

function draw({ gaps, worst }) {
  $("asked").replaceChildren(
    ...gaps.map(({ texts: [first, ...more], topic, count, last_asked, conversations }) => {
      const small = `${topic ? (TOPICS[topic] ?? topic) : "话题不明"}　最近 ${clock.format(new Date(last_asked))}`;
      const drawn = line(`${count} 次`, first, small, ...asking(conversations));
      if (more.length) drawn.lastChild.append(others(first, more));
      return drawn;
    }),
  );
  $("worst").replaceChildren(
    ...worst.map(({ source, title, label, up, down }) => {
      const words = title ? element("a", { href: address({ label, id: source }) }, title) : source;
      return line(thumb(false, down), words, `${label ? LABELS[label] : "这条答案已经删掉了"}　`, thumb(true, up));
    }),
  );
  $("all-answered").hidden = gaps.length > 0;
  $("all-helpful").hidden = worst.length > 0;
}

/** What is wrong with the files of answers, those left out first; the graph need not be there for it. */
function drawProblems({ trouble, problems }) {
  const told = [...problems].sort((one, other) => other.left_out - one.left_out).map((one) => {
    const sheet = one.sheet && `工作表“${one.sheet}”　`;
    const place = `${sheet}${one.row ? `第 ${one.row} 行　` : ""}${one.column}`;
    const state = element("strong", { className: one.left_out ? "left-out" : "" }, one.left_out ? "没读进来" : "请看一下");
    return element("li", { className: "message" }, state, element("div", {}, one.file, element("small", {}, place), element("p", {}, one.message)));
  });
  if (trouble) told.unshift(element("li", { className: "message" }, trouble));
  $("problems").replaceChildren(...told);
  $("files").hidden = !told.length;
}

async function keepLooking() {
  call("graph/files").then(drawProblems, () => {}); // the graph's answer, below, says what is not well
  try {
    draw(await call("graph/gaps"));
    showBanner("");
  } catch (error) {
    showBanner(error instanceof Refusal || error instanceof Away ? error.message : OFFLINE);
  }
  setTimeout(keepLooking, POLL);
}

keepLooking();
