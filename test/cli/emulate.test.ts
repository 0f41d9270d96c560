/** `millrace emulate` as its user meets it: what it prints, what it refuses, and how Ctrl-C ends it. */
import assert from "node:assert/strict";
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { KinesisClient, PutRecordCommand } from "@aws-sdk/client-kinesis";
import { NodeHttpHandler } from "@smithy/node-http-handler";
import { exitCodes } from "../../cli/report-error.ts";
import { until } from "../emulator/lambda/environments.ts";

const scratch = mkdtempSync(join(tmpdir(), "millrace-emulate-"));
const running: ChildProcess[] = [];
after(() => {
  for (const child of running) child.kill("SIGKILL");
  rmSync(scratch, { recursive: true });
});

const cli = join(import.meta.dirname, "..", "..", "cli", "main.ts");
const topology = join(import.meta.dirname, "..", "emulator", "cloud", "topology.json");

function topologyFile(name: string, contents: string): string {
  const path = join(scratch, name);
  writeFileSync(path, contents);
  return path;
}

test("runs the cloud, shows how to reach it and what its functions print, and ends with Ctrl-C", async () => {
  const child = spawn(process.execPath, [cli, "emulate", topology, "--port", "0"], { stdio: ["ignore", "pipe", "pipe"] });
  running.push(child);
  let [said, printed] = ["", ""];
  child.stderr.on("data", (text: Buffer) => (said += text.toString()));
  child.stdout.on("data", (text: Buffer) => (printed += text.toString()));
  await until(() => said.includes("Ctrl-C ends it"));
  const variables = Object.fromEntries([...said.matchAll(/export (\w+)=(\S+)/g)].map(([, name, value]) => [name, value]));
  assert.deepEqual(Object.keys(variables).sort(), [
    "AWS_ACCESS_KEY_ID",
    "AWS_DEFAULT_REGION",
    "AWS_ENDPOINT_URL_DYNAMODB",
    "AWS_ENDPOINT_URL_DYNAMODB_STREAMS",
    "AWS_ENDPOINT_URL_EVENTBRIDGE",
    "AWS_ENDPOINT_URL_KINESIS",
    "AWS_ENDPOINT_URL_LAMBDA",
    "AWS_ENDPOINT_URL_S3",
    "AWS_ENDPOINT_URL_SNS",
    "AWS_ENDPOINT_URL_SQS",
    "AWS_REGION",
    "AWS_SECRET_ACCESS_KEY",
  ]);
  const kinesis = new KinesisClient({
    endpoint: variables.AWS_ENDPOINT_URL_KINESIS!,
    region: variables.AWS_REGION!,
    credentials: { accessKeyId: variables.AWS_ACCESS_KEY_ID!, secretAccessKey: variables.AWS_SECRET_ACCESS_KEY! },
    requestHandler: new NodeHttpHandler(),
  });
  const put = (text: string) =>
    kinesis.send(new PutRecordCommand({ StreamName: "views", PartitionKey: "a", Data: Buffer.from(text) }));
  await put("view");
  await until(() => /^count \w{4} {2}counted 1$/m.test(printed));
  await put("poison");
  await until(() => said.includes("discarded: RetryAttemptsExhausted"));
  assert.match(said, /views → count {2}1 record of shardId-\d+: failure: Error: poison: shardId/);
  assert.match(printed, /count-function\.ts:\d+/, "stacks name the sources");
  child.kill("SIGINT");
  const [code] = (await once(child, "close")) as [number];
  assert.equal(code, 0);
  assert.match(said, /count: \d+ invocations, \d+ cold starts?, 2 failed\n$/);
  kinesis.destroy();
});

test("refuses a topology with the field that is wrong, and a file that is none", () => {
  const run = (...args: string[]) => {
    const { status, stderr } = spawnSync(process.execPath, [cli, "emulate", ...args], { encoding: "utf8" });
    return [status, stderr.trimEnd().split("\n").at(-1)];
  };
  const wrong = topologyFile("wrong.json", '{ "functions": { "f": { "entry": "f.ts", "timeout": 0 } } }');
  assert.deepEqual(run(wrong), [1, "error: topology.functions.f.timeout must be a whole number from 1 to 900: 0"]);
  const absent = topologyFile("absent.json", '{ "functions": { "f": { "entry": "f.ts" } } }');
  assert.deepEqual(run(absent, "--port", "0"), [
    1,
    `error: function f: the function's entry is not there: ${join(scratch, "f.ts")}`,
  ]);
  const [status, last] = run(topologyFile("text.json", "streams: views"));
  assert.ok(status === 1 && String(last).startsWith("error: the topology is not JSON: "), String(last));
});

test("says so when a port is taken", async () => {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as { port: number };
  const empty = topologyFile("empty.json", "{}");
  const child = spawn(process.execPath, [cli, "emulate", empty, "--port", String(port)], { stdio: ["ignore", "ignore", "pipe"] });
  running.push(child);
  let said = "";
  child.stderr.on("data", (text: Buffer) => (said += text.toString()));
  const [code] = (await once(child, "close")) as [number];
  server.close();
  assert.equal(code, exitCodes.unavailable);
  assert.match(said, new RegExp(`error: .*choose other ports: ${port}\n$`));
});
