// Signing in: the token goes to the server once and is kept nowhere; what stays is a cookie that scripts cannot read.

const form = document.getElementById("sign-in");
const problem = document.getElementById("problem");

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const { name, token } = Object.fromEntries(new FormData(form));
  problem.hidden = true;
  let words = "网络不通，请稍后再试。";
  try {
    const response = await fetch("/dashboard/api/session", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ name: name.trim(), token: token.trim() }),
    });
    if (response.ok) return location.reload();
    words = (await response.json()).error.message;
  } catch {
    // no network, or no answer of ours
  }
  problem.textContent = words;
  problem.hidden = false;
});
