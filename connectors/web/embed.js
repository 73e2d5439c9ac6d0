// The web chat in a page of another site: a round button, and a panel with our own page in a frame.
//
//   <script src="https://shop.example/embed.js" data-lang="en" data-side="left"></script>
//
// The page and the frame only tell each other "open", "close" and "news"; what is said stays in the frame.

{
  const script = document.currentScript;
  const { origin } = new URL(script.src);
  const WORDS = "{words}";
  const wanted = script.dataset.lang || document.documentElement.lang || navigator.language;
  const alike = (language) => language.split("-")[0] === wanted.split("-")[0].toLowerCase();
  const language = Object.keys(WORDS).find(alike) ?? Object.keys(WORDS)[0];
  const words = WORDS[language];

  const STYLE = `
    :host { all: initial; position: fixed; inset: auto 20px 20px auto; z-index: 2147483000; color-scheme: light dark; }
    :host([data-side="left"]) { inset: auto auto 20px 20px; }
    button { position: relative; display: block; width: 60px; height: 60px; margin: 0; padding: 0; border: 0;
      border-radius: 50%; background: #c8402f; box-shadow: 0 4px 16px rgb(60 20 10 / 35%); cursor: pointer; }
    button:focus-visible { outline: 3px solid #fff; box-shadow: 0 0 0 6px #7a2a1f; }
    img { display: block; width: 60px; height: 60px; border-radius: 50%; }
    i { position: absolute; top: 1px; right: 1px; width: 13px; height: 13px; border: 2px solid #fff; border-radius: 50%;
      background: #1a5a96; }
    iframe { position: absolute; right: 0; bottom: 76px; width: min(400px, 100vw - 40px);
      height: min(680px, 100vh - 116px); border: 0; border-radius: 18px; background: #faf6f2;
      box-shadow: 0 18px 50px rgb(60 20 10 / 35%); }
    :host([data-side="left"]) iframe { right: auto; left: 0; }
    [hidden] { display: none; }
    @media (prefers-color-scheme: dark) { iframe { background: #1d1816; } }
    @media (max-width: 480px), (max-height: 420px) {
      iframe { position: fixed; inset: 0 !important; width: 100vw; height: 100vh; height: 100dvh; border-radius: 0; }
    }
    @media (forced-colors: active) { button { border: 2px solid; } }
  `;

  const host = document.createElement("zhanggui-chat");
  const root = host.attachShadow({ mode: "open" });
  const sheet = new CSSStyleSheet(); // needs no inline styles, which a page may forbid
  sheet.replaceSync(STYLE);
  root.adoptedStyleSheets = [sheet];
  host.lang = language;
  if (script.dataset.side === "left") host.dataset.side = "left";

  const button = Object.assign(document.createElement("button"), { type: "button", title: words.open });
  const dot = Object.assign(document.createElement("i"), { hidden: true });
  button.append(Object.assign(new Image(), { src: `${origin}/static/avatar.svg`, alt: "" }), dot);
  root.append(button);
  let frame = null;

  const enter = () => {
    frame.focus(); // a frame cannot take the focus by itself
    frame.contentWindow.postMessage({ zhanggui: "open" }, origin);
  };
  const isOpen = () => frame !== null && !frame.hidden;

  function label(news) {
    dot.hidden = !news;
    button.ariaExpanded = String(isOpen());
    button.ariaLabel = isOpen() ? words.close : news ? `${words.open}, ${words.news}` : words.open;
    button.title = button.ariaLabel;
  }

  function open() {
    if (frame === null) {
      frame = Object.assign(document.createElement("iframe"), { src: `${origin}/embed?lang=${language}`, title: words.open });
      frame.addEventListener("load", enter);
      root.append(frame);
    } else {
      frame.hidden = false;
      enter();
    }
    label(false);
  }

  function close() {
    frame.hidden = true;
    label(false);
    button.focus();
  }

  button.addEventListener("click", () => (isOpen() ? close() : open()));
  root.addEventListener("keydown", ({ key }) => key === "Escape" && isOpen() && close());
  addEventListener("message", ({ origin: from, source, data }) => {
    if (from !== origin || source !== frame?.contentWindow) return;
    if (data?.zhanggui === "close" && isOpen()) close();
    if (data?.zhanggui === "news" && !isOpen()) label(true);
  });

  label(false);
  if (document.body) document.body.append(host);
  else addEventListener("DOMContentLoaded", () => document.body.append(host));
}
