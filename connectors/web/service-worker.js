// Keeps one page for when there is no network. Nothing that was said is ever kept here, and nothing else is answered.

const SHELL = "zhanggui-offline-1";
const KEPT = ["/offline", "/static/chat.css", "/static/avatar.svg"];

addEventListener("install", (event) => {
  event.waitUntil(
    caches
      .open(SHELL)
      .then((cache) => cache.addAll(KEPT.map((path) => new Request(path, { cache: "reload" }))))
      .then(() => skipWaiting()),
  );
});

addEventListener("activate", (event) => {
  const older = (names) => Promise.all(names.filter((name) => name !== SHELL).map((name) => caches.delete(name)));
  event.waitUntil(caches.keys().then(older));
});

addEventListener("fetch", (event) => {
  const { pathname } = new URL(event.request.url);
  const opened = event.request.mode === "navigate" && pathname === "/";
  if (!opened && !KEPT.includes(pathname)) return;
  event.respondWith(fetch(event.request).catch(() => caches.match(opened ? "/offline" : pathname)));
});
