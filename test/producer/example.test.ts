/** The example of docs/producing.md, as a reader runs it. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";
import { newStream, startSubject } from "../emulator/kinesis/subject.ts";

const root = join(import.meta.dirname, "..", "..");

test("the example puts its events, packed", async () => {
  const subject = await startSubject({ limits: "off" });
  const stream = await newStream(subject.client, { ShardCount: 2 });
  const { stdout } = await promisify(execFile)(process.execPath, ["examples/producing/main.ts", stream, "5000"], {
    cwd: root,
    env: {
      ...process.env,
      ...{ AWS_ENDPOINT_URL_KINESIS: subject.endpoint, AWS_REGION: "us-east-1" },
      ...{ AWS_ACCESS_KEY_ID: "example", AWS_SECRET_ACCESS_KEY: "example" },
    },
  });
  const [, events, records] = /^(\d+) events in (\d+) records/.exec(stdout) ?? [];
  assert.equal(Number(events), 5_000, stdout);
  assert.ok(Number(records) <= 100, stdout);
});

test("the page shows the example as it stands", () => {
  const code = readFileSync(join(root, "examples/producing/main.ts"), "utf8");
  const page = readFileSync(join(root, "docs/producing.md"), "utf8");
  const shown = /```ts\n([\s\S]*?)```/.exec(page)![1]!;
  // The page imports the package, the example its source.
  const body = shown.replace('"millrace/producer"', '"../../producer/index.ts"');
  assert.ok(code.includes(body.slice(body.indexOf("import")).trim()));
});
