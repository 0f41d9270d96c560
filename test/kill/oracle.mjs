/**
 * Recomputes the results of examples/pageviews from its input, in the plainest way: without windows, watermarks or state, and
 * without a line of Millrace. Holds where nothing is late.
 *
 *   node test/kill/oracle.mjs views FILE      rows of views/, sorted
 *   node test/kill/oracle.mjs sessions FILE   rows of sessions/, sorted
 */
import { readFileSync } from "node:fs";
import { gunzipSync } from "node:zlib";

const minute = 60_000;
const gap = 30 * minute;

/** The events of a file: {user, page, at}. Lines that are none are passed over. */
export function readEvents(path) {
  const bytes = readFileSync(path);
  const text = (bytes[0] === 0x1f && bytes[1] === 0x8b ? gunzipSync(bytes) : bytes).toString("utf8");
  return text.split("\n").flatMap((line) => (line.startsWith("{") ? fromJson(line) : fromLog(line)));
}

function fromJson(line) {
  const { user, page, at } = JSON.parse(line);
  return [{ user, page: page.split(/[?#]/)[0], at: Number(at) }];
}

function fromLog(line) {
  const found = /^(\S+) .*?\[(\d+)\/(\w+)\/(\d+):([\d:]+) ([+-]\d{4})\] "(?:\S+ )?(\S+)/.exec(line);
  if (found === null) return [];
  const [, user, day, month, year, time, zone, path] = found;
  return [{ user, page: path.split(/[?#]/)[0], at: Date.parse(`${day} ${month} ${year} ${time} ${zone}`) }];
}

/** {page, start, views} for every page and minute. */
export function viewsPerMinute(events) {
  const counts = new Map();
  for (const { page, at } of events) {
    const start = Math.floor(at / minute) * minute;
    const key = JSON.stringify([page, start]);
    counts.set(key, (counts.get(key) ?? 0) + 1);
  }
  return [...counts].map(([key, views]) => ({ page: JSON.parse(key)[0], start: JSON.parse(key)[1], views }));
}

/** {user, start, end, views} for every run of views with no more than 30 minutes between them. */
export function sessions(events) {
  const byUser = new Map();
  for (const { user, at } of events) byUser.set(user, [...(byUser.get(user) ?? []), at]);
  const found = [];
  for (const [user, times] of byUser) {
    times.sort((a, b) => a - b);
    let open;
    for (const at of times) {
      if (open !== undefined && at <= open.end) {
        open.end = at + gap;
        open.views++;
      } else found.push((open = { user, start: at, end: at + gap, views: 1 }));
    }
  }
  return found;
}

/** Rows as lines, sorted: to be compared. */
export function sortedLines(rows) {
  return rows.map((row) => JSON.stringify(row)).sort();
}

if (import.meta.main ?? process.argv[1]?.endsWith("oracle.mjs")) {
  const [what, path] = process.argv.slice(2);
  const events = readEvents(path);
  console.log(sortedLines(what === "sessions" ? sessions(events) : viewsPerMinute(events)).join("\n"));
}
