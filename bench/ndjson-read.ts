/**
 * What reading NDJSON through the files source costs, beside the plainest program that does the same.
 *
 * Plain: the file as one string, split at line ends, JSON.parse. Reader: `FilesReader` and the decoder of `json()`, in reads of
 * 1,000 records. Measured: one process, page cache warm, best of several rounds taken in turns. Not measured: the disk, and
 * everything behind the decoder.
 *
 * Run: node bench/ndjson-read.ts [lines]
 */
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import type { DecodeTarget, Decoder } from "../runtime/api/connector.ts";
import { files } from "../runtime/connectors/files/files.ts";
import { openSource } from "../runtime/connectors/open-sources.ts";
import { json } from "../runtime/connectors/formats/json.ts";
import type { Position } from "../runtime/base/ids.ts";

const lines = Number(process.argv[2] ?? 300_000);
const rounds = 7;

/** Counts values, and looks at one field of each so that nothing can be left out. */
class Sum implements DecodeTarget<any> {
  total = 0;
  accept(value: any): void {
    this.total += value.amount;
  }
  reject(reason: string): void {
    throw new Error(reason);
  }
}

function event(i: number, name: string): string {
  const page = `/shop/${name}/${(i * 7919) % 5000}`;
  return JSON.stringify({
    id: i,
    user: `user-${(i * 31) % 100_000}`,
    page,
    amount: i % 97,
    at: 1_700_000_000_000 + i,
    tags: ["a", "b"],
    agent: "Mozilla/5.0 (X11; Linux x86_64)",
  });
}

async function plain(path: string): Promise<number> {
  const text = await readFile(path, "utf8");
  let total = 0;
  for (const line of text.split("\n")) if (line !== "") total += JSON.parse(line).amount;
  return total;
}

async function throughReader(path: string): Promise<number> {
  const source = files({ paths: path, format: json<any>() });
  const reader = openSource("bench", source, new Map(), { clock: { now: () => 0 }, spoolDirectory: "", stdin: undefined });
  const decode: Decoder<any> = source.decode;
  const sum = new Sum();
  for (const shard of await reader.shards(source.name)) {
    let after: Position | "horizon" | undefined = "horizon";
    while (after !== undefined) {
      const read = await reader.read(source.name, shard.id, after, { records: 1_000, bytes: 4_000_000 });
      for (const record of read.records) decode(record, sum);
      after = read.next;
    }
  }
  return sum.total;
}

async function best(runs: readonly ((path: string) => Promise<number>)[], paths: readonly string[]): Promise<readonly number[]> {
  const millis = runs.map(() => Infinity);
  for (let round = 0; round < rounds; round++) {
    for (const [i, run] of runs.entries()) {
      const from = performance.now();
      await run(paths[i]!);
      millis[i] = Math.min(millis[i]!, performance.now() - from);
    }
  }
  return millis;
}

const directory = await mkdtemp(join(tmpdir(), "millrace-bench-"));
try {
  for (const [kind, name] of [
    ["ASCII", "shoes"],
    ["a field with umlauts", "Füße-ßüö"],
  ] as const) {
    const text = Array.from({ length: lines }, (_, i) => `${event(i, name)}\n`).join("");
    const path = join(directory, `${name}.ndjson`);
    await writeFile(path, text);
    await writeFile(`${path}.gz`, gzipSync(text, { level: 1 }));
    if ((await plain(path)) !== (await throughReader(path))) throw new Error("the two do not agree");
    const [plainMs, readerMs, gzipMs] = await best([plain, throughReader, throughReader], [path, path, `${path}.gz`]);
    const rate = (ms: number) => `${Math.round(lines / ms)}k records/s`;
    const ratio = (readerMs! / plainMs!).toFixed(2);
    console.log(
      `${kind}, ${Math.round(Buffer.byteLength(text) / lines)} bytes a line: plain ${rate(plainMs!)}, reader ${rate(readerMs!)}, ratio ${ratio}; gzip ${rate(gzipMs!)}`,
    );
  }
} finally {
  await rm(directory, { recursive: true });
}
