/** C4: a deployment over a running cloud. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { ListStreamsCommand, PutRecordCommand } from "@aws-sdk/client-kinesis";
import { type CloudEvent, type EmulatedCloud, startCloud, type Topology } from "../../../emulator/cloud/index.ts";
import { lives, read, until } from "../lambda/environments.ts";

const directory = import.meta.dirname;

/** A function that says which version it is, when there is a file where it is asked to wait for one; and prints what records it gets. */
function codeOf(version: number) {
  const contents = `import { existsSync } from "node:fs";
  export const handler = async (event) => {
    for (const { kinesis } of event.Records ?? []) console.log("${version} got " + Buffer.from(kinesis.data, "base64"));
    if (event.waitFor) console.log("${version} waits");
    while (event.waitFor && !existsSync(event.waitFor)) await new Promise((resolve) => setTimeout(resolve, 20));
    return ${version};
  };`;
  return { entry: { contents, directory }, timeout: 600 };
}

const mappingOf = (functionName: string, streamName: string) =>
  ({ functionName, streamName, startingPosition: "TRIM_HORIZON" }) as const;

const first: Topology = {
  streams: { a: { shardCount: 1 } },
  functions: { f: codeOf(1), gone: codeOf(1) },
  eventSourceMappings: [mappingOf("f", "a"), mappingOf("gone", "a")],
};
const second: Topology = {
  streams: { a: { shardCount: 1 }, b: { shardCount: 1 } },
  functions: { f: codeOf(2), g: codeOf(2) },
  eventSourceMappings: [mappingOf("f", "a"), mappingOf("g", "b")],
};

const scratch = mkdtempSync(join(tmpdir(), "millrace-deploy-test-"));
let cloud: EmulatedCloud | undefined;
after(async () => {
  await cloud?.stop();
  rmSync(scratch, { recursive: true });
});

test("a deployment waits where Kinesis makes no more streams in this second", async () => {
  const names = Array.from({ length: 12 }, (_, n) => `stream-${n}`);
  const streams = Object.fromEntries(names.map((name) => [name, { shardCount: 1 }]));
  const many = await startCloud({ streams });
  try {
    const { StreamNames = [] } = await many.clients.kinesis.send(new ListStreamsCommand({}));
    assert.deepEqual(StreamNames.toSorted(), names.toSorted());
  } finally {
    await many.stop();
  }
});

describe("a deployment over a running cloud", () => {
  test("C4: ends nothing that is under way, and what is invoked afterwards is the new code", async () => {
    const events: CloudEvent[] = [];
    cloud = await startCloud(first, {
      mappings: { timings: { pollIntervalMs: 50, shardDiscoveryMs: 200 } },
      onEvent: (event) => events.push(event),
    });
    const { kinesis } = cloud.clients;
    const put = (StreamName: string, text: string) =>
      kinesis.send(new PutRecordCommand({ StreamName, PartitionKey: "k", Data: Buffer.from(text) }));
    const printed = () => events.flatMap((event) => (event.kind === "log" ? [event.line.text] : []));

    await put("a", "one");
    await until(() => printed().filter((line) => line === "1 got one").length === 2);
    assert.equal(read((await cloud.invoke("f", {})) as never), 1);
    const waitFor = join(scratch, "deployed");
    const underWay = cloud.invoke("f", { waitFor });
    await until(() => printed().includes("1 waits"));
    const old = cloud.environments().map(({ pid }) => pid!);

    await cloud.deploy(second);
    assert.equal(read((await cloud.invoke("f", {})) as never), 2);
    writeFileSync(waitFor, "");
    assert.equal(read((await underWay) as never), 1);
    await until(() => !old.some(lives));

    await put("a", "two");
    await put("b", "three");
    await until(() => printed().includes("2 got three") && printed().includes("2 got two"));
    assert.ok(!printed().includes("2 got one"), "the mapping of before went on where it was");
    assert.throws(() => cloud!.counts("gone"), /no function of this name, but f, g: gone/);
    assert.throws(() => cloud!.mapping("gone", "a"), /no mapping/);
    await assert.rejects(cloud.deploy({ functions: { f: { entry: { contents: "not code", directory } } } }), /function f:/);
    assert.equal(read((await cloud.invoke("f", {})) as never), 2, "a deployment that fails changes nothing");
  });
});

/** Answers as it is told by the resource, or not at all; and prints what it was asked. */
const checkCode = {
  entry: {
    contents: `export const handler = async ({ RequestType, ResponseURL, ResourceProperties, OldResourceProperties }) => {
      console.log([RequestType, ResourceProperties.answer, OldResourceProperties?.answer].join(" "));
      if (ResourceProperties.answer === "none") return "silent";
      const Reason = "so it is";
      await fetch(ResponseURL, { method: "PUT", body: Buffer.from(JSON.stringify({ Status: ResourceProperties.answer, Reason })) });
    };`,
    directory,
  },
  timeout: 600,
};

function withCheck(topology: Topology, answer: string): Topology {
  const customResources = { Passed: { type: "Custom::Check", functionName: "check", properties: { answer } } };
  return { ...topology, functions: { ...topology.functions, check: checkCode }, customResources };
}

describe("a custom resource", () => {
  let checked: EmulatedCloud | undefined;
  after(() => checked?.stop());

  test("that is refused ends the start, with its function's reason", async () => {
    await assert.rejects(startCloud(withCheck(first, "FAILED")), /the deployment fails: Passed: so it is/);
    await assert.rejects(startCloud(withCheck(first, "none")), /Passed: its function has not answered: "silent"/);
  });

  test("is asked before a deployment, which changes nothing where it is refused, and not where it is the same", async () => {
    const asked: string[] = [];
    const onEvent = (event: CloudEvent) => {
      if (event.kind === "log" && /^(Create|Update) /.test(event.line.text)) asked.push(event.line.text);
    };
    checked = await startCloud(withCheck(first, "SUCCESS"), { onEvent });
    await assert.rejects(checked.deploy(withCheck(second, "FAILED")), /Passed: so it is/);
    assert.equal(read((await checked.invoke("f", {})) as never), 1);
    assert.doesNotThrow(() => checked!.mapping("gone", "a"));
    await checked.deploy(withCheck(second, "SUCCESS"));
    assert.equal(read((await checked.invoke("f", {})) as never), 2);
    await until(() => asked.length >= 2);
    assert.deepEqual(asked, ["Create SUCCESS ", "Update FAILED SUCCESS"]);
  });
});
