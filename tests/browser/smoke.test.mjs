// The built page loads, starts and is quiet, also below a path that is not the root.

import assert from "node:assert/strict";
import { test } from "node:test";

import { launch, temporaryProfile } from "./lib/browser.mjs";
import { serve } from "./lib/server.mjs";

for (const base of ["/", "/raft-playground/"]) {
  test(`the page starts below ${base}`, async (t) => {
    const url = await serve(t, { base });
    const browser = await launch(t);
    const wasm = browser.context.waitForEvent("response", (it) => it.url().endsWith(".wasm"));

    const page = await browser.open(url);

    assert.match(await page.title(), /raft/i);
    assert.equal((await wasm).headers()["content-type"], "application/wasm");
    assert.deepEqual(browser.errors, []);
  });
}

test("a profile outlives the browser that wrote it, even one that was killed", async (t) => {
  const url = await serve(t);
  const profile = await temporaryProfile(t);

  const first = await launch(t, { profile });
  await (await first.open(url)).evaluate(store, ["kept", 7]);
  await first.kill();

  const second = await launch(t, { profile });
  const page = await second.open(url);
  assert.equal(await page.evaluate(load, "kept"), 7);
  assert.deepEqual(second.errors, []);
});

/** Runs in the page: writes one record and waits until it is on the disk. */
function store([key, value]) {
  return new Promise((resolve, reject) => {
    const request = indexedDB.open("smoke", 1);
    request.onupgradeneeded = () => request.result.createObjectStore("records");
    request.onerror = () => reject(request.error);
    request.onsuccess = () => {
      const options = { durability: "strict" };
      const transaction = request.result.transaction("records", "readwrite", options);
      transaction.objectStore("records").put(value, key);
      transaction.oncomplete = () => resolve();
      transaction.onerror = () => reject(transaction.error);
    };
  });
}

/** Runs in the page: reads one record. */
function load(key) {
  return new Promise((resolve, reject) => {
    const request = indexedDB.open("smoke", 1);
    request.onerror = () => reject(request.error);
    request.onsuccess = () => {
      const read = request.result.transaction("records").objectStore("records").get(key);
      read.onsuccess = () => resolve(read.result);
      read.onerror = () => reject(read.error);
    };
  });
}
