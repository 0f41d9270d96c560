/** What of its input is in no result is told at the end of `millrace run`. */
import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { withDirectory } from "../connectors/support.ts";
import { Commands } from "../e2e/commands.ts";

const engine = join(import.meta.dirname, "../../runtime/index.ts");
const module = `
import { count, defineJob, files, fileSink, json, monotonous, ndjson, seconds, tumbling } from ${JSON.stringify(engine)};

export default defineJob("counting", (job) => {
  job
    .source("events", files({ paths: "events.ndjson", format: json() }), { timestamps: ({ at }) => at, watermarks: monotonous() })
    .keyBy(({ key }) => key)
    .window(tumbling(seconds(1)))
    .aggregate("counts", count())
    .sinkTo("results", fileSink({ path: "counts", format: ndjson() }));
});
`;
const event = (at: number) => `${JSON.stringify({ key: "a", at })}\n`;

async function endOf(lines: readonly string[]): Promise<string> {
  let said = "";
  await withDirectory(async (directory) => {
    await writeFile(join(directory, "job.ts"), module);
    await writeFile(join(directory, "events.ndjson"), lines.join(""));
    const commands = new Commands({ directory, variables: {}, coordinator: "none" });
    const { code, err } = await commands.run("run", "job.ts", "--output", "results");
    assert.equal(code, 0, err);
    said = err.slice(err.indexOf("finished:"));
  });
  return said;
}

test("dead letters and records that were dropped as late are counted, and where to find or keep them is said", async () => {
  const said = await endOf([event(1_000), event(60_000), event(2_000), event(3_000), '{"key":\n']);
  assert.match(said, /^1 dead letter in results\/dead-letters, with the reasons$/m);
  assert.match(said, /^2 records dropped as late: sideOutputLate\(\) would keep them$/m);
});

test("where all is in the results, nothing more is said", async () => {
  assert.doesNotMatch(await endOf([event(1_000), event(2_000)]), /dead letter|late/);
});
