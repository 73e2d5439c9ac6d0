// The page of a smart card: an opening is told only by a page that somebody looks at, and leads to the visitor's own link.

const { token, copied } = document.body.dataset;
const part = (id) => document.getElementById(id);

async function tell(what) {
  const answer = await fetch(`/c/${token}/${what}`, { method: "POST" });
  if (!answer.ok) return;
  const { token: own, declined } = await answer.json();
  part("decline").hidden = declined;
  part("declined").hidden = !declined;
  // a true change of address: a messenger passes on the address that was loaded, not one that was written over it
  if (own !== token) location.replace(`/c/${own}`);
}

function seen() {
  if (document.prerendering || document.visibilityState !== "visible") return;
  document.removeEventListener("visibilitychange", seen);
  document.removeEventListener("prerenderingchange", seen);
  tell("open").catch(() => {}); // without a network nothing is noted
}

document.addEventListener("visibilitychange", seen);
document.addEventListener("prerenderingchange", seen);
seen();

part("decline").addEventListener("click", () => tell("decline"));
part("accept").addEventListener("click", () => tell("accept"));

part("share").addEventListener("click", async () => {
  const url = location.href.split(/[?#]/)[0];
  try {
    if (navigator.share) await navigator.share({ title: document.title, url });
    else {
      await navigator.clipboard.writeText(url);
      part("shared").textContent = copied;
    }
  } catch { /* they have thought better of it, or the browser does not let us: the address can be copied by hand */ }
});
