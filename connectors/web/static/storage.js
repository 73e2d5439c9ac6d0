/**
 * `localStorage` or `sessionStorage` by name. Either may be denied, full, or hold anything: what it does not keep, this
 * page keeps for itself; what cannot be read is not there. `set` says whether a value outlives this page.
 */
export function openStorage(name) {
  const memory = new Map();
  const attempt = (work) => {
    try {
      return work(window[name]);
    } catch {
      return undefined;
    }
  };
  return {
    keys: (prefix) => [...new Set([...memory.keys(), ...(attempt(Object.keys) ?? [])])].filter((key) => key.startsWith(prefix)),
    get: (key) => (memory.has(key) ? memory.get(key) : (attempt((storage) => JSON.parse(storage.getItem(key))) ?? null)),
    set(key, value) {
      memory.set(key, value);
      const kept = attempt((storage) => (storage.setItem(key, JSON.stringify(value)), true));
      if (kept) memory.delete(key);
      else attempt((storage) => storage.removeItem(key)); // an older value would come back after a reload
      return kept === true;
    },
    remove(key) {
      memory.delete(key);
      attempt((storage) => storage.removeItem(key));
    },
  };
}
