// A static file server, as dumb as the one that publishes the page: no fallback, no rewriting.
// What works here below a sub-path works on GitHub Pages.

import { createServer } from "node:http";
import { readFile } from "node:fs/promises";
import { extname, join, normalize, sep } from "node:path";
import { fileURLToPath } from "node:url";

import { defer } from "./cleanup.mjs";

/** The built page: `DIST`, else `dist/` in the repository. */
export const DIST = process.env.DIST || fileURLToPath(new URL("../../../dist", import.meta.url));

const TYPES = {
  ".css": "text/css; charset=utf-8",
  ".html": "text/html; charset=utf-8",
  ".ico": "image/x-icon",
  ".js": "text/javascript; charset=utf-8",
  ".json": "application/json",
  ".mjs": "text/javascript; charset=utf-8",
  ".png": "image/png",
  ".svg": "image/svg+xml",
  ".txt": "text/plain; charset=utf-8",
  ".wasm": "application/wasm",
  ".webmanifest": "application/manifest+json",
  ".woff2": "font/woff2",
};

/**
 * Serves `folder` below the path `base` until the test `t` ends; resolves to the page's address.
 * The port is a free one, so that tests never share an origin and with it an IndexedDB.
 */
export async function serve(t, { folder = DIST, base = "/raft-playground/" } = {}) {
  const server = createServer((request, response) => {
    answer(folder, base, request).then(
      ({ status, type, body }) => response.writeHead(status, { "content-type": type }).end(body),
      (error) => response.writeHead(500).end(String(error)),
    );
  });
  await new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(0, "127.0.0.1", resolve);
  });
  defer(t, () => {
    server.closeAllConnections();
    return new Promise((resolve) => server.close(resolve));
  });
  return `http://127.0.0.1:${server.address().port}${base}`;
}

const NOT_FOUND = { status: 404, type: "text/plain", body: "not found" };

async function answer(folder, base, request) {
  const { pathname } = new URL(request.url, "http://localhost");
  if (!pathname.startsWith(base)) return NOT_FOUND;
  const name = decodeURIComponent(pathname.slice(base.length)) || "index.html";
  const file = normalize(join(folder, name));
  if (!file.startsWith(normalize(folder) + sep)) return NOT_FOUND;
  try {
    const type = TYPES[extname(file)] ?? "application/octet-stream";
    return { status: 200, type, body: await readFile(file) };
  } catch (error) {
    if (error.code === "ENOENT" || error.code === "EISDIR") return NOT_FOUND;
    throw error;
  }
}
