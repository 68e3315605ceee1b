// Prints the size of every file below a folder: raw, and as a web server would send it.

import { readdirSync, readFileSync } from "node:fs";
import { join, relative } from "node:path";
import { brotliCompressSync, gzipSync } from "node:zlib";

const [folder] = process.argv.slice(2);
if (!folder) {
  console.error("usage: node sizes.mjs <folder>");
  process.exit(2);
}

const files = readdirSync(folder, { recursive: true, withFileTypes: true })
  .filter((entry) => entry.isFile())
  .map((entry) => join(entry.parentPath ?? entry.path, entry.name))
  .sort();

const rows = files.map((file) => {
  const bytes = readFileSync(file);
  const sizes = [bytes, gzipSync(bytes, { level: 9 }), brotliCompressSync(bytes)];
  return [relative(folder, file), ...sizes.map(({ length }) => length)];
});
const total = [1, 2, 3].map((column) => rows.reduce((sum, row) => sum + row[column], 0));

const width = Math.max(5, ...rows.map(([name]) => name.length));
const kib = (bytes) => `${(bytes / 1024).toFixed(1)} KiB`.padStart(12);
const line = ([name, ...sizes]) => name.padEnd(width) + sizes.map(kib).join("");
const title = (word) => word.padStart(12);

console.log(" ".repeat(width) + ["raw", "gzip", "brotli"].map(title).join(""));
rows.forEach((row) => console.log(line(row)));
console.log(line(["total", ...total]));
