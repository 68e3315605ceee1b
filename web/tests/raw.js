// IndexedDB by hand: what a test needs to look at a database from outside, and to break it.

function settled(request) {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
    request.onblocked = () => reject(new Error("blocked"));
  });
}

/** Opens a database at a version; at a higher one than it has, its upgrade adds nothing. */
export function open(name, version) {
  return settled(indexedDB.open(name, version));
}

/** Deletes a database. */
export function remove(name) {
  return settled(indexedDB.deleteDatabase(name));
}

/** Writes one record. */
export async function put(name, store, key, value) {
  const database = await open(name);
  await settled(database.transaction(store, "readwrite").objectStore(store).put(value, key));
  database.close();
}

/** Reads one record. */
export async function get(name, store, key) {
  const database = await open(name);
  const value = await settled(database.transaction(store).objectStore(store).get(key));
  database.close();
  return value;
}

/** Replaces a property, such as a browser's API, and returns what puts it back. */
function replace(owner, property, descriptor) {
  const before = Object.getOwnPropertyDescriptor(owner, property);
  Object.defineProperty(owner, property, { configurable: true, ...descriptor });
  return () => {
    if (before) Object.defineProperty(owner, property, before);
    else delete owner[property];
  };
}

/** Makes `window.indexedDB` undefined, or throw if `denied`. */
export function hide_indexed_db(denied) {
  const get = () => {
    if (denied) throw new DOMException("not here", "SecurityError");
  };
  return replace(window, "indexedDB", { get });
}

/** Makes `navigator.locks` undefined. */
export function hide_locks() {
  return replace(navigator, "locks", { get: () => undefined });
}

/** Lets every opening of a database ask for `version`. */
export function ask_for_version(version) {
  const original = IDBFactory.prototype.open;
  const value = function (name) {
    return original.call(this, name, version);
  };
  return replace(IDBFactory.prototype, "open", { value });
}

/** Lets the put of this number, counted from 1, end badly: `throw` or `abort` after its success. */
export function break_put(number, how) {
  const original = IDBObjectStore.prototype.put;
  let count = 0;
  const value = function (...args) {
    count += 1;
    if (count === number && how === "throw") throw new DOMException("full", "QuotaExceededError");
    const request = original.apply(this, args);
    if (count === number) request.onsuccess = () => request.transaction.abort();
    return request;
  };
  return replace(IDBObjectStore.prototype, "put", { value });
}

/** Records every transaction as "mode durability stores" and keeps the last database it was on. */
export function spy() {
  const original = IDBDatabase.prototype.transaction;
  const spied = { seen: [], database: null };
  const value = function (...args) {
    const transaction = original.apply(this, args);
    const stores = [...transaction.objectStoreNames].join("+");
    spied.seen.push(`${transaction.mode} ${transaction.durability} ${stores}`);
    spied.database = this;
    return transaction;
  };
  spied.restore = replace(IDBDatabase.prototype, "transaction", { value });
  return spied;
}

/** What the browser does when it closes a database on its own. */
export function close_unexpectedly(spied) {
  spied.database.close();
  spied.database.dispatchEvent(new Event("close"));
}
