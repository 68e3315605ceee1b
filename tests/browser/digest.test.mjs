// The page runs the same worlds as the native tests: one seed, one digest.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";

import { launch } from "./lib/browser.mjs";
import { assertSound, open } from "./lib/cluster.mjs";
import { serve } from "./lib/server.mjs";

const FILE = new URL("../../sim/tests/digests.json", import.meta.url);
// Seeds have 64 bits, which JSON numbers of JavaScript do not.
const TEXT = (await readFile(FILE, "utf8")).replace(/"seed": (\d+)/g, '"seed": "$1"');

for (const { seed, steps, digest } of JSON.parse(TEXT)) {
  test(`seed ${seed} gives the native digest, twice`, async (t) => {
    const browser = await launch(t);
    const url = await serve(t);
    for (let run = 0; run < 2; run += 1) {
      const page = await open(browser, url, `?seed=${seed}&paused=1`);
      const found = await page.evaluate((steps) => {
        for (const step of steps) {
          if ("step" in step) window.raft.step(step.step);
          else window.raft.apply(step.apply);
        }
        return window.raft.digest();
      }, steps);
      assert.equal(found, digest);
      await assertSound(page, browser);
    }
  });
}
