// Addresses in a person's words, made tappable. Only http and https, only as they stand there, never read as HTML.

// visible ASCII without quotes and brackets: a Chinese word or mark, a space and an invisible sign end an address
const ADDRESS = /https?:\/\/[^\s"'<>\\^`{|}\u007f-\uffff]+/gi;
const TRAILING = /[.,;:!?*_~]+$/;

/** The address without the marks of the sentence behind it; a closing bracket belongs to it only if it was opened there. */
function trimmed(address) {
  for (;;) {
    const shorter = address.replace(TRAILING, "");
    const bracket = { ")": "(", "]": "[" }[shorter.at(-1)];
    const unopened = bracket && shorter.split(bracket).length < shorter.split(shorter.at(-1)).length;
    if (!unopened && shorter === address) return address;
    address = unopened ? shorter.slice(0, -1) : shorter;
  }
}

/** An address that leads where it seems to lead: a name before an @ may look like the host. */
function honest(address) {
  try {
    const { protocol, hostname, username, password } = new URL(address);
    return ["http:", "https:"].includes(protocol) && hostname && !username && !password;
  } catch {
    return false;
  }
}

/** `text` as strings and links, in order. */
export function linked(text) {
  const parts = [];
  let end = 0;
  for (const { 0: found, index } of text.matchAll(ADDRESS)) {
    const address = trimmed(found);
    if (!honest(address)) continue;
    const link = document.createElement("a");
    Object.assign(link, { href: address, target: "_blank", rel: "noopener noreferrer", textContent: address });
    parts.push(text.slice(end, index), link);
    end = index + address.length;
  }
  return [...parts, text.slice(end)];
}
