// The page of a copy: the file is fetched with the end of the phone, and kept by the browser.

const { name, done, over, away } = document.body.dataset;
const part = (id) => document.getElementById(id);

function finish(words) {
  part("form").hidden = true;
  part("said").textContent = words;
}

async function fetchCopy() {
  const body = JSON.stringify({ tail: part("tail").value });
  const answer = await fetch(location.pathname + location.search, { method: "POST", headers: { "Content-Type": "application/json" }, body });
  if (answer.ok) {
    const link = Object.assign(document.createElement("a"), { href: URL.createObjectURL(await answer.blob()), download: name });
    link.click();
    return finish(done);
  }
  const { error } = await answer.json();
  if (error.code === "over") return finish(over);
  part("said").textContent = error.message;
  part("tail").select();
}

part("form").addEventListener("submit", (event) => {
  event.preventDefault();
  const button = event.submitter;
  button.disabled = true;
  fetchCopy()
    .catch(() => (part("said").textContent = away))
    .finally(() => (button.disabled = false));
});
