/**
 * What the job has found, read from its results: from finished files alone, which never change, so each is read once and a restart
 * finds the same.
 */
import { createReadStream } from "node:fs";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline/promises";
import type { Findings } from "../../cli/run-job.ts";
import { grouped, plural } from "../../cli/words.ts";
import { barOf } from "../../cli/run-display.ts";
import type { Session, ViewsPerMinute } from "./job.ts";

const busiestShown = 8;

export class PageviewsFindings implements Findings {
  readonly pages = new Map<string, number>();
  readonly minutes = new Set<number>();
  readonly users = new Set<string>();
  /** Why events went to the dead letters, and how many. */
  readonly reasons = new Map<string, number>();
  rows = 0;
  views = 0;
  sessions = 0;
  lateForMinute = 0;
  lateForSession = 0;
  deadLetters = 0;
  readonly #output: string;
  readonly #read = new Set<string>();

  constructor(output: string) {
    this.#output = output;
  }

  async refresh(): Promise<void> {
    await this.#readNew("views", "", (row: ViewsPerMinute) => this.#addViews(row));
    await this.#readNew("sessions", "", ({ user }: Session) => {
      this.sessions++;
      this.users.add(user);
    });
    await this.#readNew("late", "minute-", () => this.lateForMinute++);
    await this.#readNew("late", "session-", () => this.lateForSession++);
    await this.#readNew("dead-letters", "", ({ reason }: { reason: string }) => {
      this.deadLetters++;
      add(this.reasons, kindOf(reason), 1);
    });
  }

  counts(): readonly (readonly [string, number])[] {
    return [["late", this.lateForMinute]];
  }

  lines(): readonly string[] {
    if (this.rows === 0) return ["the first results come with the first checkpoint"];
    return [
      `${plural(this.rows, "row")} of page views, ${plural(this.sessions, "session")}; busiest pages so far:`,
      ...this.busiest(),
    ];
  }

  /** The busiest pages, with bars. */
  busiest(): readonly string[] {
    const top = [...this.pages].sort(([, a], [, b]) => b - a).slice(0, busiestShown);
    const most = top[0]?.[1] ?? 1;
    const count = grouped(most).length;
    return top.map(([page, n]) => `${shorten(page, 44).padEnd(44)} ${grouped(n).padStart(count)} ${bar(n / most)}`);
  }

  #addViews({ page, start, views }: ViewsPerMinute): void {
    this.rows++;
    this.views += views;
    this.minutes.add(start);
    add(this.pages, page, views);
  }

  async #readNew<T>(folder: string, prefix: string, take: (row: T) => void): Promise<void> {
    const directory = join(this.#output, folder);
    for (const name of await filesOf(directory)) {
      const path = join(directory, name);
      if (!name.startsWith(`${prefix}g`) || !name.endsWith(".ndjson") || this.#read.has(path)) continue;
      this.#read.add(path);
      for await (const line of createInterface({ input: createReadStream(path) })) take(JSON.parse(line) as T);
    }
  }
}

async function filesOf(directory: string): Promise<readonly string[]> {
  try {
    return (await readdir(directory)).sort();
  } catch {
    // Nothing was written there yet.
    return [];
  }
}

function add(to: Map<string, number>, key: string, n: number): void {
  to.set(key, (to.get(key) ?? 0) + n);
}

/** The reason without what differs from record to record. */
function kindOf(reason: string): string {
  return shorten(reason.replace(/^(not valid JSON|no valid timestamp).*$/s, "$1"), 60);
}

function shorten(text: string, width: number): string {
  return text.length <= width ? text : `${text.slice(0, width - 1)}…`;
}

function bar(share: number): string {
  return barOf(1, Math.max(1, Math.round(share * 20)));
}
