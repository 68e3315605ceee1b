// What the flows have in common: opening the page, and waiting for the cluster.

import assert from "node:assert/strict";

/** Fast enough for a test, slow enough that frames and transactions interleave as in real use. */
export const SPEED = 16;

/** How long a cluster may take for anything, in milliseconds of real time. */
export const PATIENCE_MS = 20_000;

/** Opens the page with `query` and waits until `window.raft` is there. */
export async function open(browser, url, query = "") {
  const page = await browser.open(`${url}${query}`);
  await page.waitForFunction(() => window.raft !== undefined, null, { timeout: PATIENCE_MS });
  return page;
}

/** The cluster's state. */
export const state = (page) => page.evaluate(() => window.raft.state());

/** Waits until `condition`, which runs in the page and gets the state and `argument`, holds. */
export async function until(page, condition, argument = null) {
  const source = `(${condition})(window.raft.state(), ${JSON.stringify(argument)})`;
  await page.waitForFunction((source) => (0, eval)(source), source, { timeout: PATIENCE_MS });
}

/** Waits until one peer leads and all that run follow it; resolves to its id. */
export async function leader(page) {
  await until(page, ({ peers }) => {
    const up = peers.filter((peer) => peer.up);
    const leaders = up.filter((peer) => peer.role === "leader");
    return leaders.length === 1 && up.every((peer) => peer.leader === leaders[0].id);
  });
  const { peers } = await state(page);
  return peers.find((peer) => peer.role === "leader").id;
}

/** The value of `key` on each peer. */
export const values = ({ peers }, key) =>
  peers.map((peer) => peer.keys.find(([name]) => name === key)?.[1]);

/** The rules of Raft hold, and the browser has nothing to complain about. */
export async function assertSound(page, browser) {
  assert.equal((await state(page)).violation, null);
  assert.deepEqual(browser.errors, []);
}
