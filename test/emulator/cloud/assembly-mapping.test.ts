/** What an assembly says of a mapping is what is emulated; what is not, is named. */
import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { App, Stack } from "aws-cdk-lib";
import { Stream } from "aws-cdk-lib/aws-kinesis";
import { CfnEventSourceMapping, Code, Function, Runtime } from "aws-cdk-lib/aws-lambda";
import { readAssembly } from "../../../emulator/cloud/index.ts";
import { readTopology } from "../../../emulator/cloud/read-topology.ts";

const scratch = mkdtempSync(join(tmpdir(), "millrace-mapping-"));
after(() => rmSync(scratch, { recursive: true }));

/** An assembly with mappings of these properties, each with a function and a stream. */
async function assemblyOf(...mappings: readonly object[]) {
  const code = join(scratch, "code");
  const outdir = mkdtempSync(join(scratch, "out-"));
  mkdirSync(code, { recursive: true });
  writeFileSync(join(code, "index.mjs"), "export const handler = async () => {};\n");
  const app = new App({ outdir });
  const stack = new Stack(app, "Mappings");
  const stream = new Stream(stack, "Stream");
  const handler = new Function(stack, "Function", {
    code: Code.fromAsset(code),
    handler: "index.handler",
    runtime: Runtime.NODEJS_22_X,
  });
  for (const [n, properties] of mappings.entries())
    new CfnEventSourceMapping(stack, `Mapping${n}`, {
      functionName: handler.functionArn,
      eventSourceArn: stream.streamArn,
      startingPosition: "TRIM_HORIZON",
      ...properties,
    });
  app.synth();
  return readAssembly(outdir);
}

test("every setting of a mapping is taken from the assembly", async () => {
  const { topology, unexpected } = await assemblyOf({
    batchSize: 7,
    maximumBatchingWindowInSeconds: 3,
    startingPosition: "AT_TIMESTAMP",
    startingPositionTimestamp: 1_700_000_000,
    parallelizationFactor: 2,
    maximumRetryAttempts: 4,
    maximumRecordAgeInSeconds: 600,
    bisectBatchOnFunctionError: true,
    functionResponseTypes: ["ReportBatchItemFailures"],
    filterCriteria: { filters: [{ pattern: '{"data":{"kind":["order"]}}' }] },
    destinationConfig: { onFailure: { destination: "arn:aws:s3:::discarded" } },
  });
  assert.deepEqual(unexpected, []);
  const [mapping] = topology.eventSourceMappings!;
  const { functionName, streamName, ...settings } = mapping!;
  assert.deepEqual(
    [functionName, streamName].map((name) => typeof name),
    ["string", "string"],
  );
  assert.deepEqual(settings, {
    batchSize: 7,
    maximumBatchingWindowInSeconds: 3,
    startingPosition: "AT_TIMESTAMP",
    startingPositionTimestamp: 1_700_000_000,
    parallelizationFactor: 2,
    maximumRetryAttempts: 4,
    maximumRecordAgeInSeconds: 600,
    bisectBatchOnFunctionError: true,
    functionResponseTypes: ["ReportBatchItemFailures"],
    filterCriteria: { filters: [{ pattern: '{"data":{"kind":["order"]}}' }] },
    onFailure: { bucket: "discarded" },
  });
  assert.doesNotThrow(() => readTopology({ ...topology, buckets: ["discarded"] }, scratch));
});

test("a tumbling window is taken, and a disabled mapping is disabled", async () => {
  const { topology } = await assemblyOf({ tumblingWindowInSeconds: 60, enabled: false });
  assert.deepEqual(
    topology.eventSourceMappings!.map(({ tumblingWindowInSeconds, enabled }) => [tumblingWindowInSeconds, enabled]),
    [[60, false]],
  );
});

test("what is not emulated of a mapping is named", async () => {
  const { topology, unexpected } = await assemblyOf({
    destinationConfig: { onFailure: { destination: "arn:aws:sqs:us-east-1:000000000000:discarded" } },
    scalingConfig: { maximumConcurrency: 2 },
  });
  assert.deepEqual(unexpected, [
    "AWS::Lambda::EventSourceMapping.DestinationConfig",
    "AWS::Lambda::EventSourceMapping.ScalingConfig",
  ]);
  assert.equal(topology.eventSourceMappings![0]!.onFailure, undefined);
});
