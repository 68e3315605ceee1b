// Chromium for the tests: the one that is installed, never one that Playwright would download.

import { readFileSync } from "node:fs";
import { access, constants, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { chromium } from "playwright-core";

import { defer } from "./cleanup.mjs";

const NAMES = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];

// One list for both kinds of browser tests; Playwright has its own word for headless.
const WEBDRIVER = JSON.parse(readFileSync(new URL("../webdriver.json", import.meta.url)));
const ARGS = WEBDRIVER["goog:chromeOptions"].args.filter((arg) => !arg.startsWith("--headless"));

/** How long the page may take to load and start, in milliseconds. */
const START_TIMEOUT_MS = 30_000;

/**
 * Starts Chromium for the test `t`, at whose end it is closed. With `profile`, a folder, what the
 * page stores outlives this browser and is there for the next one; without, it does not. Further
 * options are Playwright's for a browser context, such as `viewport` or `colorScheme`.
 *
 * `errors` collects, as one line each, everything that a page should not do: errors on the
 * console, uncaught exceptions, requests that fail. A test ends by asserting that it is empty.
 */
export async function launch(t, { profile, ...contextOptions } = {}) {
  const { browser, context } = await start(profile, contextOptions);
  const errors = [];
  watch(context, errors);
  const close = async () => {
    await context.close();
    await browser.close();
  };
  defer(t, close);
  return {
    context,
    errors,
    /** Opens a new page at `url` and waits until the wasm runs. */
    open: async (url) => visit(await context.newPage(), url, errors),
    /** Closes the browser as a person would. */
    close,
    /** Ends the browser as a power cut would: SIGKILL, nothing flushed. */
    kill: () => kill(browser),
  };
}

async function start(profile, contextOptions) {
  const options = { executablePath: await executable(), headless: true, args: ARGS };
  if (profile) {
    const both = { ...options, ...contextOptions };
    const context = await chromium.launchPersistentContext(profile, both);
    return { context, browser: context.browser() };
  }
  const browser = await chromium.launch(options);
  return { browser, context: await browser.newContext(contextOptions) };
}

/** Loads `url` in `page` and waits until the wasm runs; resolves to the page. */
export async function visit(page, url, errors = []) {
  await page.addInitScript(() => {
    window.addEventListener("TrunkApplicationStarted", () => (window.hasStarted = true));
  });
  await page.goto(url);
  try {
    await page.waitForFunction(() => window.hasStarted, null, { timeout: START_TIMEOUT_MS });
  } catch (cause) {
    throw new Error(`the page at ${url} did not start\n${errors.join("\n")}`, { cause });
  }
  return page;
}

/** A new folder for a profile, removed when the test `t` ends. */
export async function temporaryProfile(t) {
  const folder = await mkdtemp(join(tmpdir(), "raft-playground-"));
  // A browser that was killed may still be writing for a moment.
  defer(t, () => rm(folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 }));
  return folder;
}

function watch(context, errors) {
  context.on("console", (message) => {
    if (message.type() === "error") errors.push(`console: ${message.text()}`);
  });
  context.on("weberror", (error) => errors.push(`exception: ${error.error().stack}`));
  context.on("response", (response) => {
    if (response.status() >= 400) errors.push(`${response.status()}: ${response.url()}`);
  });
  context.on("requestfailed", (request) => {
    errors.push(`${request.failure()?.errorText}: ${request.url()}`);
  });
}

async function kill(browser) {
  const session = await browser.newBrowserCDPSession();
  const { processInfo } = await session.send("SystemInfo.getProcessInfo");
  const gone = new Promise((resolve) => browser.once("disconnected", resolve));
  // The browser process last, so that none of the others learns of it in time to tidy up.
  const last = (process) => (process.type === "browser" ? 1 : 0);
  processInfo.sort((a, b) => last(a) - last(b));
  for (const { id } of processInfo) signal(id);
  await gone;
}

function signal(pid) {
  try {
    process.kill(pid, "SIGKILL");
  } catch (error) {
    if (error.code !== "ESRCH") throw error;
  }
}

/** `CHROMIUM`, else the first one on `PATH`. */
async function executable() {
  if (process.env.CHROMIUM) return process.env.CHROMIUM;
  const folders = (process.env.PATH ?? "").split(delimiter);
  for (const file of NAMES.flatMap((name) => folders.map((folder) => join(folder, name)))) {
    if (await access(file, constants.X_OK).then(() => true, () => false)) return file;
  }
  throw new Error("no Chromium on PATH; install one, or name it in the variable CHROMIUM");
}
