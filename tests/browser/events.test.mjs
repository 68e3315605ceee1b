// The event log: it tells who decided what, and why.

import assert from "node:assert/strict";
import { test } from "node:test";

import { launch } from "./lib/browser.mjs";
import { PATIENCE_MS, SPEED, assertSound, leader, open, until } from "./lib/cluster.mjs";
import { serve } from "./lib/server.mjs";

async function start(t, query = `?memory=1&speed=${SPEED}`) {
  const browser = await launch(t);
  return { browser, page: await open(browser, await serve(t), query) };
}

const lines = (page) => page.getByRole("list", { name: "Events, latest first" }).locator("li");

test("the end of a leader and the election after it are told with their reasons", async (t) => {
  const { browser, page } = await start(t);
  const old = await leader(page);
  await page.evaluate((id) => window.raft.crash(id), old);
  await until(page, ({ peers }, dead) => peers.some((peer) => peer.id !== dead && peer.role === "leader"), old);
  await page.evaluate(() => window.raft.pause());
  const told = (text) => lines(page).filter({ hasText: text }).first().waitFor({ timeout: PATIENCE_MS });
  await told(`n${old} crashed`);
  await told(/n\d starts an election after term \d+/);
  await told(/n\d votes for n\d: that log ends at \d+@\d+, its own at \d+@\d+/);
  await told(/n\d counts \d for and \d against it/);
  // Who knows etcd's log finds it in the same line.
  const vote = lines(page).filter({ hasText: / votes for / }).first();
  assert.match(await vote.getAttribute("title"), /cast MsgVote for \d/);
  await assertSound(page, browser);
});

test("details are shown on request, and the selected peer's lines are marked", async (t) => {
  const { browser, page } = await start(t);
  await leader(page);
  await page.evaluate(() => window.raft.pause());
  const heartbeats = lines(page).filter({ hasText: "MsgHeartbeat" });
  assert.equal(await heartbeats.count(), 0);
  await page.getByLabel("Details").check();
  await heartbeats.first().waitFor();
  await page.keyboard.press("2");
  await page.locator("ol.event-lines li.mine").first().waitFor();
  const mine = await page.locator("ol.event-lines li.mine").allTextContents();
  assert.ok(mine.every((line) => /n?2/.test(line)), mine.join("\n"));
  await assertSound(page, browser);
});

test("window.raft.events gives the same lines", async (t) => {
  const { browser, page } = await start(t, "?seed=7&paused=1");
  const events = await page.evaluate(() => {
    while (!window.raft.state().peers.some((peer) => peer.role === "leader")) window.raft.step();
    return window.raft.events(400);
  });
  const vote = events.find((event) => / votes for /.test(event.text));
  assert.equal(typeof vote.number, "number");
  assert.match(vote.etcd, /cast MsgVote/);
  assert.equal(vote.detail, false);
  assert.ok(events.every((event, at) => at === 0 || event.number < events[at - 1].number));
  await assert.rejects(page.evaluate(() => window.raft.events("all")), /takes a number/);
  await assertSound(page, browser);
});
