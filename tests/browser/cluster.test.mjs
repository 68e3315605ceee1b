// A cluster in the page, as a person uses it: elect, write, crash, cut, heal.

import assert from "node:assert/strict";
import { test } from "node:test";

import { launch } from "./lib/browser.mjs";
import { PATIENCE_MS, SPEED, assertSound, leader, open, state, until, values } from "./lib/cluster.mjs";
import { serve } from "./lib/server.mjs";

async function start(t, query = `?memory=1&speed=${SPEED}`, options = {}) {
  const browser = await launch(t, options);
  return { browser, page: await open(browser, await serve(t), query) };
}

/** Fills in the console's form and sends it, as a person would. */
async function ask(page, { operation, key, value, to }) {
  await page.getByLabel("Operation").selectOption(operation);
  await page.getByLabel("Key", { exact: true }).fill(key);
  if (value !== undefined) await page.getByLabel("Value", { exact: true }).fill(value);
  if (to !== undefined) await page.getByLabel("Ask").selectOption(`peer ${to} only`);
  await page.getByRole("button", { name: "Send" }).click();
}

const latest = (page) => page.getByRole("list", { name: "Requests, latest first" }).locator("li").first();

test("five peers elect one leader, and the stage says who", async (t) => {
  const { browser, page } = await start(t);
  const id = await leader(page);
  await page.getByRole("button", { name: new RegExp(`^Peer ${id}, leader, term`) }).waitFor();
  await page.getByRole("row", { name: new RegExp(`^${id} leader`) }).waitFor();
  assert.equal((await state(page)).peers.filter((peer) => peer.role === "leader").length, 1);
  await assertSound(page, browser);
});

test("what is put through the console is applied by all five peers and read back", async (t) => {
  const { browser, page } = await start(t);
  await ask(page, { operation: "put", key: "colour", value: "teal" });
  await latest(page).getByText("ok", { exact: true }).waitFor({ timeout: PATIENCE_MS });
  await until(page, ({ peers }) =>
    peers.every((peer) => peer.keys.some(([key, value]) => key === "colour" && value === "teal")));
  await ask(page, { operation: "get", key: "colour" });
  await latest(page).getByText("= “teal”").waitFor({ timeout: PATIENCE_MS });
  await ask(page, { operation: "delete", key: "colour" });
  await latest(page).getByText("ok", { exact: true }).waitFor({ timeout: PATIENCE_MS });
  await ask(page, { operation: "get", key: "colour" });
  await latest(page).getByText("not found").waitFor({ timeout: PATIENCE_MS });
  await assertSound(page, browser);
});

test("a scan answers in key order, and a follower refuses and says why", async (t) => {
  const { browser, page } = await start(t);
  const id = await leader(page);
  const pairs = await page.evaluate(async () => {
    await Promise.all([window.raft.put("b", "2"), window.raft.put("a", "1"), window.raft.put("c", "3")]);
    return window.raft.scan("a", "c");
  });
  assert.deepEqual(pairs, { pairs: [["a", "1"], ["b", "2"]] });
  await ask(page, { operation: "get", key: "a", to: (id % 5) + 1 });
  await latest(page).getByText(/refused: .*led by another peer/).waitFor({ timeout: PATIENCE_MS });
  await assertSound(page, browser);
});

test("when the leader crashes, another one serves the old value", async (t) => {
  const { browser, page } = await start(t);
  const first = await leader(page);
  assert.equal(await page.evaluate(() => window.raft.put("k", "old")), "ok");
  await page.getByRole("button", { name: `Crash peer ${first}` }).click();
  await page.getByRole("button", { name: `Peer ${first}, down` }).waitFor();
  assert.deepEqual(await page.evaluate(() => window.raft.get("k")), { value: "old" });
  const second = await leader(page);
  assert.notEqual(second, first);

  await page.getByRole("button", { name: `Restart peer ${first}` }).click();
  await until(page, ({ peers }, id) => peers[id - 1].keys.some(([key]) => key === "k"), first);
  await assertSound(page, browser);
});

test("cut off with one other, the leader never acknowledges; after healing the logs agree", async (t) => {
  const { browser, page } = await start(t);
  const old = await leader(page);
  const friend = (old % 5) + 1;
  for (const peer of [old, friend]) {
    await page.getByRole("checkbox", { name: `Put peer ${peer} on the cut-off side` }).check();
  }
  await page.getByRole("button", { name: "Cut off the ticked peers" }).click();
  const lost = page.evaluate((old) => window.raft.put("k", "minority", old), old);
  await until(page, ({ peers }, minority) =>
    peers.some((peer) => peer.role === "leader" && !minority.includes(peer.id)), [old, friend]);
  assert.equal(await page.evaluate(() => window.raft.put("k", "majority")), "ok");
  assert.equal(await lost, "unknown", "not acknowledged, and not called refused either");
  const cut = values(await state(page), "k");
  assert.deepEqual([cut[old - 1], cut[friend - 1]], [undefined, undefined]);

  await page.getByRole("button", { name: "Heal all links" }).click();
  await until(page, ({ peers }) => {
    const logs = peers.map((peer) => JSON.stringify([peer.log, peer.committed, peer.keys]));
    return logs.every((log) => log === logs[0]) && peers[0].keys[0]?.[1] === "majority";
  });
  await assertSound(page, browser);
});

test("time stands still when paused, and moves by event and by tick", async (t) => {
  const { browser, page } = await start(t, "?seed=7&paused=1");
  const before = await state(page);
  await page.waitForFunction((count) => window.raft.frames().count > count, 20);
  assert.equal((await state(page)).events_handled, before.events_handled);
  await page.getByRole("button", { name: "Step event" }).click();
  assert.equal((await state(page)).events_handled, before.events_handled + 1);
  const now = (await state(page)).now_us;
  await page.getByRole("button", { name: "Step tick" }).click();
  assert.equal((await state(page)).now_us, now + 50_000);
  await page.getByRole("button", { name: "Play" }).click();
  await until(page, (state, since) => state.now_us > since, now + 50_000);
  await page.getByRole("button", { name: "Pause" }).waitFor();
  await assertSound(page, browser);
});

test("keys work the page, but not while a person types", async (t) => {
  const { browser, page } = await start(t, "?seed=7&paused=1");
  await page.keyboard.press("ArrowRight");
  const stepped = (await state(page)).events_handled;
  assert.ok(stepped > 0);
  await page.keyboard.press("3");
  await page.getByRole("button", { name: "Peer 3", pressed: true }).waitFor();
  await page.keyboard.press("x");
  await until(page, ({ peers }) => !peers[2].up);
  await page.getByLabel("Key", { exact: true }).fill("");
  await page.getByLabel("Key", { exact: true }).pressSequentially("x. ");
  assert.equal(await page.getByLabel("Key", { exact: true }).inputValue(), "x. ");
  assert.ok(!(await state(page)).peers[2].up, "still down: the x was typed");
  await page.getByRole("heading", { name: "Log" }).click();
  await page.keyboard.press("Space");
  await until(page, (state) => state.running);
  await assertSound(page, browser);
});

test("the page refuses what makes no sense, and nothing breaks", async (t) => {
  const { browser, page } = await start(t, "?seed=7&paused=1");
  const refused = await page.evaluate(() => {
    const raft = window.raft;
    const calls = [
      () => raft.crash(9),
      () => raft.crash("one"),
      () => raft.put("", "no key"),
      () => raft.put("k".repeat(65), "long"),
      () => raft.put("k", 5),
      () => raft.partition([[1], [1]]),
      () => raft.step(-1),
      () => raft.apply({ magic: true }),
    ];
    return calls.map((call) => {
      try {
        call();
        return null;
      } catch (error) {
        return String(error);
      }
    });
  });
  assert.ok(refused.every((error) => error !== null), JSON.stringify(refused));
  await ask(page, { operation: "get", key: "" });
  await page.getByRole("alert").getByText(/key length/).waitFor();
  await assertSound(page, browser);
});
