/** L14 with real processes: started again and again, a job gets past what ends them, and everything else comes out. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { withDirectory } from "../connectors/support.ts";

const cli = join(import.meta.dirname, "../../cli/main.ts");
const job = join(import.meta.dirname, "poison-job.ts");
const keys = 5;

/** A row of every record that counts, and one of every timer but the deadly one. */
function expectedRows(events: readonly { key: string; at: number; n: number }[]): object[] {
  const totals = new Map<string, number>();
  const rows: object[] = [];
  for (const { key, at, n } of events.filter((event) => event.n !== 13 && event.n !== 31)) {
    const total = (totals.get(key) ?? 0) + n;
    totals.set(key, total);
    rows.push({ key, n, total });
    if (at + 10 !== 30) rows.push({ key, fired: at + 10 });
  }
  return rows;
}

function sorted(rows: readonly object[]): string[] {
  return rows.map((row) => JSON.stringify(row)).sort();
}

async function linesIn(directory: string): Promise<any[]> {
  const lines: any[] = [];
  for (const name of await readdir(directory))
    if (!name.startsWith("."))
      for (const line of (await readFile(join(directory, name), "utf8")).split("\n").filter(Boolean))
        lines.push(JSON.parse(line));
  return lines;
}

for (const parallelism of [1, 2])
  test(`records and timers that end the process go to the dead letters, at parallelism ${parallelism}`, () =>
    withDirectory(async (directory) => {
      const events = Array.from({ length: 48 }, (_, n) => ({ key: `k${n % keys}`, at: n, n }));
      const input = join(directory, "events.ndjson");
      await writeFile(input, events.map((event) => `${JSON.stringify(event)}\n`).join(""));
      const output = join(directory, "out");
      const args = [cli, "run", job, "--bind", `events=${input}`, "--output", output, "--state", join(directory, "state")];
      const env = { ...process.env, POISON_PARALLELISM: String(parallelism) };
      const deaths = { exit: 0, signal: 0, timer: 0 };
      for (;;) {
        const { status, signal, stderr } = spawnSync(process.execPath, args, { env });
        if (status === 0) break;
        if (signal === "SIGKILL") deaths.signal++;
        else if (status === 3) deaths.exit++;
        else if (status === 4) deaths.timer++;
        else assert.fail(`ended with ${status}: ${stderr.toString()}`);
        assert.ok(deaths.exit + deaths.signal + deaths.timer < 60, JSON.stringify(deaths));
      }
      assert.ok(deaths.exit > 2 && deaths.signal > 2 && deaths.timer > 2, JSON.stringify(deaths));
      assert.deepEqual(sorted(await linesIn(join(output, "rows"))), sorted(expectedRows(events)));
      const letters = await linesIn(join(output, "dead-letters"));
      assert.equal(letters.length, 3);
      for (const { reason } of letters) assert.match(reason, /has killed the environment \d+ times/);
    }));
