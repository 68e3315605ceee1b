// Closing the tab is a power cut: what was acknowledged is there again, and terms never go back.

import assert from "node:assert/strict";
import { test } from "node:test";

import { launch, temporaryProfile } from "./lib/browser.mjs";
import { SPEED, assertSound, leader, open, state, until } from "./lib/cluster.mjs";
import { serve } from "./lib/server.mjs";

const QUERY = `?speed=${SPEED}`;

const terms = ({ peers }) => peers.map((peer) => peer.term);

function assertNotBack(before, after) {
  terms(after).forEach((term, peer) =>
    assert.ok(term >= terms(before)[peer], `peer ${peer + 1}: term ${terms(before)[peer]} to ${term}`));
}

async function assertKept(page, acknowledged) {
  const { pairs } = await page.evaluate(() => window.raft.scan());
  const found = new Map(pairs);
  for (const [key, value] of acknowledged) assert.equal(found.get(key), value, key);
}

test("values and terms survive a reload", async (t) => {
  const browser = await launch(t);
  const page = await open(browser, await serve(t), QUERY);
  await page.getByText("saved", { exact: true }).waitFor();
  await leader(page);
  assert.equal(await page.evaluate(() => window.raft.put("k", "kept")), "ok");
  await page.evaluate(() => window.raft.pause());
  const before = await state(page);

  await page.reload();
  await page.waitForFunction(() => window.raft !== undefined);
  const after = await state(page);
  assertNotBack(before, after);
  assert.equal(after.seed, before.seed);
  assert.ok(after.now_us > 0, "the clock goes on");
  assert.deepEqual(await page.evaluate(() => window.raft.get("k")), { value: "kept" });
  await assertSound(page, browser);
});

test("a browser killed in the middle of a burst of puts keeps every acknowledged one", async (t) => {
  const url = await serve(t);
  const profile = await temporaryProfile(t);
  const acknowledged = new Map();
  let before;
  for (let round = 0; round < 3; round += 1) {
    const browser = await launch(t, { profile });
    const page = await browser.context.newPage();
    // Reported the moment the page knows, so that the test knows what the page had promised.
    await page.exposeFunction("acknowledged", (key, value) => acknowledged.set(key, value));
    await page.goto(`${url}${QUERY}`);
    await page.waitForFunction(() => window.raft !== undefined);
    if (before) assertNotBack(before, await state(page));
    await leader(page);
    await assertKept(page, acknowledged);
    const enough = acknowledged.size + 20;
    before = await state(page);
    await page.evaluate((round) => {
      for (let n = 0; n < 400; n += 1) {
        const [key, value] = [`k${round}-${n}`, `v${n}`];
        window.raft.put(key, value).then((answer) => {
          if (answer === "ok") window.acknowledged(key, value);
        });
      }
    }, round);
    while (acknowledged.size < enough) await page.waitForFunction(() => true);
    assert.deepEqual(browser.errors, []);
    await browser.kill();
  }
  const browser = await launch(t, { profile });
  const page = await open(browser, url, QUERY);
  assertNotBack(before, await state(page));
  assert.ok(acknowledged.size >= 60);
  await assertKept(page, acknowledged);
  await assertSound(page, browser);
});

test("a crashed peer's disk is what it had synced, also after a reload", async (t) => {
  const browser = await launch(t);
  const page = await open(browser, await serve(t), QUERY);
  const id = await leader(page);
  await page.evaluate(() => window.raft.put("k", "v"));
  await page.evaluate((id) => window.raft.crash(id), id);
  assert.deepEqual(await page.evaluate(() => window.raft.get("k")), { value: "v" });
  await page.reload();
  await page.waitForFunction(() => window.raft !== undefined);
  await until(page, ({ peers }) => peers.every((peer) => peer.up), null);
  assert.deepEqual(await page.evaluate(() => window.raft.get("k")), { value: "v" });
  await assertSound(page, browser);
});

test("reset empties the disk and starts a new cluster", async (t) => {
  const browser = await launch(t);
  const page = await open(browser, await serve(t), QUERY);
  await page.evaluate(() => window.raft.put("k", "v"));
  await page.getByRole("button", { name: "Reset…" }).click();
  await page.getByRole("button", { name: "Throw cluster away" }).click();
  await until(page, ({ peers }) => peers.every((peer) => peer.keys.length === 0));
  assert.equal(await page.evaluate(() => window.raft.put("new", "one")), "ok");
  await page.reload();
  await page.waitForFunction(() => window.raft !== undefined);
  assert.deepEqual(await page.evaluate(() => window.raft.scan()), { pairs: [["new", "one"]] });
  await assertSound(page, browser);
});

test("a link with a seed runs in memory and leaves the saved cluster alone", async (t) => {
  const browser = await launch(t);
  const url = await serve(t);
  const page = await open(browser, url, QUERY);
  await page.evaluate(() => window.raft.put("k", "mine"));
  const link = await open(browser, url, `?seed=42&speed=${SPEED}`);
  await link.getByText("memory only").waitFor();
  await link.evaluate(() => window.raft.put("k", "linked"));
  await link.close();
  await page.reload();
  await page.waitForFunction(() => window.raft !== undefined);
  assert.deepEqual(await page.evaluate(() => window.raft.get("k")), { value: "mine" });
  await assertSound(page, browser);
});

test("without IndexedDB the page says so and works in memory", async (t) => {
  const browser = await launch(t);
  await browser.context.addInitScript(() => {
    Object.defineProperty(window, "indexedDB", { value: undefined });
  });
  const page = await open(browser, await serve(t), QUERY);
  await page.getByText("memory only").waitFor();
  await page.getByRole("alert").getByText(/no IndexedDB/).waitFor();
  assert.equal(await page.evaluate(() => window.raft.put("k", "v")), "ok");
  await assertSound(page, browser);
});

test("a second tab is told, and may take over", async (t) => {
  const browser = await launch(t);
  const url = await serve(t);
  const first = await open(browser, url, QUERY);
  await first.evaluate(() => window.raft.put("k", "first"));
  const second = await open(browser, url, QUERY);
  await second.getByRole("alert").getByText(/Another tab is running/).waitFor();
  await second.getByText("memory only").waitFor();
  await second.getByRole("button", { name: "Take over here" }).click();
  await second.getByText("saved", { exact: true }).waitFor();
  assert.deepEqual(await second.evaluate(() => window.raft.get("k")), { value: "first" });
  await first.getByText("memory only").waitFor();
  await first.getByRole("alert").getByText(/taken the cluster over/).waitFor();
  await assertSound(second, browser);
});
