/** The local adapters under kill −9 and under races between processes. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { describe, it } from "node:test";
import { setTimeout as wait } from "node:timers/promises";
import { openLocal } from "../../runtime/adapters/local/open-local.ts";
import { blobName, crashJob, crashPage, crashRing, crashTask, numberOf, readAll } from "./crash-workload.ts";
import { newDirectory } from "./local-directory.ts";

const kills = 12;

/** The highest number acknowledged, per kind. */
type Acknowledged = Map<string, number>;

function startChild(file: string, ...parameters: readonly string[]) {
  return spawn(process.execPath, [join(import.meta.dirname, "children", file), ...parameters], {
    stdio: ["pipe", "pipe", "inherit"],
  });
}

/** Lets a writer run until `ms` after it has acknowledged an entry of its own, then kills it; adds what it acknowledged. */
async function runAndKill(directory: string, durability: string, ms: number, acknowledged: Acknowledged): Promise<void> {
  const child = startChild("crash-writer.ts", directory, durability);
  const exited = once(child, "exit");
  const lines = createInterface(child.stdout);
  const hasWritten = new Promise<void>((resolve) =>
    lines.on("line", (line) => {
      const [what, n] = line.split(" ") as [string, string];
      acknowledged.set(what, Math.max(acknowledged.get(what) ?? 0, Number(n)));
      if (what === "entry") resolve();
    }),
  );
  await Promise.race([hasWritten, exited]);
  await wait(ms);
  child.kill("SIGKILL");
  const closed = once(lines, "close");
  const [, signal] = (await exited) as [number | null, string | null];
  await closed;
  assert.equal(signal, "SIGKILL");
}

/**
 * Everything acknowledged is there, whole, and at most what was under way at the kill is there beside it. What is there counts as
 * acknowledged from then on: the next writer goes on behind it.
 */
async function checkDirectory(directory: string, acknowledged: Acknowledged): Promise<void> {
  const { journal, log, blobs, pages, close } = await openLocal(directory, { job: crashJob });
  const said = (what: string) => acknowledged.get(what) ?? 0;
  const { entries } = await journal.tail(crashTask, 0);
  const head = entries.at(-1)!.seq;
  assert.ok(head === said("entry") || head === said("entry") + 1, `head ${head}, acknowledged ${said("entry")}`);
  assert.equal(entries.length, Math.min(head, crashRing));
  for (const [n, { seq, bytes }] of entries.entries()) {
    assert.equal(seq, head - entries.length + 1 + n);
    assert.equal(numberOf(bytes), seq);
  }
  const records = await readAll(log);
  assert.ok(records.length === said("record") || records.length === said("record") + 2);
  assert.deepEqual(
    records,
    records.map((_, n) => n + 1),
  );
  const last = numberOf((await blobs.get(blobName(said("blob"))))!)!;
  assert.ok(last === said("blob"), `blob ${last}, acknowledged ${said("blob")}`);
  for (const { name } of (await blobs.list("segments/")).blobs) assert.notEqual(numberOf((await blobs.get(name))!), undefined);
  const [page] = await pages.get([crashPage]);
  assert.ok(page!.version >= said("page") && numberOf(page!.bytes) === page!.version);
  acknowledged.set("entry", head).set("record", records.length);
  await close();
}

describe("local: kill −9", () => {
  for (const durability of ["process", "power"] as const) {
    it(`loses nothing acknowledged and tears nothing, ${kills} times over, durability ${durability}`, async () => {
      const directory = newDirectory();
      const acknowledged: Acknowledged = new Map();
      for (let n = 0; n < kills; n += 1) {
        await runAndKill(directory, durability, Math.random() * 60, acknowledged);
        await checkDirectory(directory, acknowledged);
      }
      assert.ok(acknowledged.get("entry")! >= kills);
    });
  }
});

describe("local: several processes", () => {
  it("write each entry of one ring once between them, opening the directory at the same moment", async () => {
    const directory = newDirectory();
    const entries = 400;
    const racers = ["a", "b", "c"].map((name) => {
      const child = startChild("ring-racer.ts", directory, name);
      return { name, child, lines: createInterface(child.stdout)[Symbol.asyncIterator](), ended: once(child, "close") };
    });
    const answers = () => Promise.all(racers.map(async ({ lines }) => (await lines.next()).value as string));
    assert.deepEqual(await answers(), ["ready", "ready", "ready"]);
    const wins = racers.map(({ name }) => ({ name, won: [] as number[] }));
    for (let seq = 1; seq <= entries; seq++) {
      // Each is told first in its turn, so that nobody wins by being told: a machine that has one core to spare serves one after the other.
      for (let n = 0; n < racers.length; n++) racers[(seq + n) % racers.length]!.child.stdin.write(`${seq}\n`);
      for (const [n, answer] of (await answers()).entries()) if (answer === "won") wins[n]!.won.push(seq);
    }
    for (const { child } of racers) child.stdin.end();
    for (const { ended } of racers) assert.equal((await ended)[0], 0);
    assert.ok(wins.filter(({ won }) => won.length > 0).length > 1, "one racer won every entry: there was no race");
    const all = wins.flatMap(({ won }) => won).sort((a, b) => a - b);
    assert.deepEqual(
      all,
      Array.from({ length: entries }, (_, n) => n + 1),
    );
    const { journal, close } = await openLocal(directory, { job: crashJob });
    for (const { seq, bytes } of (await journal.tail(crashTask, 0)).entries) {
      const winner = wins.find(({ won }) => won.includes(seq))!.name;
      assert.equal(new TextDecoder().decode(bytes), `${winner}/${seq}`);
    }
    await close();
  });
});
