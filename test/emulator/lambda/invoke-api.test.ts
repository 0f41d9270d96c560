/** Lambda's Invoke by AWS's own client: what callers see of results, errors and limits. Functions are stand-ins that answer by a list. */
import assert from "node:assert/strict";
import { after, describe, test } from "node:test";
import { InvokeCommand, type InvokeCommandInput, LambdaClient } from "@aws-sdk/client-lambda";
import type { DroppedEvent } from "../../../emulator/lambda/async-invocations.ts";
import type { FunctionInvoker } from "../../../emulator/lambda/execution-environment.ts";
import { startInvokeApi } from "../../../emulator/lambda/invoke-api.ts";
import { VirtualClock } from "../../../emulator/virtual-clock.ts";
import { until } from "./environments.ts";

type Result = Awaited<ReturnType<FunctionInvoker["invoke"]>>;

const returned = (value: unknown): Result => ({ outcome: "returned", payload: Buffer.from(JSON.stringify(value)) });
const failed: Result = { outcome: "failed", cause: "exception", payload: Buffer.from('{"errorType":"Error"}') };
const throttled: Result = { outcome: "throttled" };

/** Answers by the list, and then with "done"; remembers payloads and when they came. */
class Listed implements FunctionInvoker {
  readonly payloads: string[] = [];
  readonly at: number[] = [];
  readonly #results: Result[];
  readonly #now: () => number;
  constructor(results: Result[], now: () => number) {
    this.#results = results;
    this.#now = now;
  }
  async invoke(payload: Uint8Array): Promise<Result> {
    this.payloads.push(Buffer.from(payload).toString());
    this.at.push(this.#now());
    return this.#results.shift() ?? returned("done");
  }
}

const stops: (() => Promise<void>)[] = [];
after(() => Promise.all(stops.map((stop) => stop())));

async function withFunction(...results: Result[]) {
  const clock = new VirtualClock();
  const invoker = new Listed(results, () => clock.now());
  const dropped: DroppedEvent[] = [];
  const api = await startInvokeApi({
    functions: new Map([["task", invoker]]),
    region: "eu-west-1",
    account: "123456789012",
    clock,
    onDropped: (event) => dropped.push(event),
  });
  stops.push(() => api.stop());
  const client = new LambdaClient({
    endpoint: api.endpoint,
    region: "eu-west-1",
    credentials: { accessKeyId: "local", secretAccessKey: "local" },
    maxAttempts: 1,
  });
  const invoke = (input: Partial<InvokeCommandInput> = {}) => client.send(new InvokeCommand({ FunctionName: "task", ...input }));
  return { clock, invoker, dropped, invoke };
}

const text = (payload: Uint8Array | undefined) => Buffer.from(payload ?? []).toString();

describe("Invoke", () => {
  test("gives what the function returns; without a payload it gets an empty object", async () => {
    const { invoke, invoker } = await withFunction(returned({ a: 1 }));
    const output = await invoke({ Payload: Buffer.from('{"poke":true}') });
    assert.deepEqual([output.StatusCode, output.ExecutedVersion, text(output.Payload)], [200, "$LATEST", '{"a":1}']);
    assert.equal(output.FunctionError, undefined);
    await invoke();
    assert.deepEqual(invoker.payloads, ['{"poke":true}', "{}"]);
  });

  test("tells of a function's error with status 200", async () => {
    const { invoke } = await withFunction(failed);
    const output = await invoke();
    assert.deepEqual(
      [output.StatusCode, output.FunctionError, text(output.Payload)],
      [200, "Unhandled", '{"errorType":"Error"}'],
    );
  });

  test("refuses with 429 what would exceed the reserved concurrency", async () => {
    const { invoke } = await withFunction(throttled);
    await assert.rejects(invoke(), {
      name: "TooManyRequestsException",
      Reason: "ReservedFunctionConcurrentInvocationLimitExceeded",
      message: "Rate Exceeded.",
    });
  });

  test("takes names and ARNs of the function, of this account and region alone", async () => {
    const { invoke } = await withFunction();
    const arn = "arn:aws:lambda:eu-west-1:123456789012:function:task";
    for (const FunctionName of ["task", arn, `${arn}:$LATEST`, "123456789012:function:task"]) {
      assert.equal(text((await invoke({ FunctionName })).Payload), '"done"', FunctionName);
    }
    for (const FunctionName of ["other", arn.replace("eu-west-1", "us-east-1"), `${arn}:3`]) {
      await assert.rejects(invoke({ FunctionName }), { name: "ResourceNotFoundException" }, FunctionName);
    }
  });

  test("takes JSON of 6 MB, as an event of 1 MB", async () => {
    const { invoke } = await withFunction();
    const json = (bytes: number) => Buffer.from(JSON.stringify("x".repeat(bytes - 2)));
    assert.equal((await invoke({ Payload: json(6_291_556) })).StatusCode, 200);
    await assert.rejects(invoke({ Payload: json(6_291_557) }), { name: "RequestTooLargeException" });
    assert.equal((await invoke({ InvocationType: "Event", Payload: json(1_048_576) })).StatusCode, 202);
    await assert.rejects(invoke({ InvocationType: "Event", Payload: json(1_048_577) }), { name: "RequestTooLargeException" });
    await assert.rejects(invoke({ Payload: Buffer.from("{poke}") }), { name: "InvalidRequestContentException" });
  });

  test("does nothing but check for a dry run", async () => {
    const { invoke, invoker } = await withFunction();
    assert.equal((await invoke({ InvocationType: "DryRun" })).StatusCode, 204);
    assert.deepEqual(invoker.payloads, []);
  });
});

describe("an asynchronous invocation", () => {
  test("is tried again one and two minutes after failures, and then given up aloud", async () => {
    const { clock, invoke, invoker, dropped } = await withFunction(failed, failed, failed);
    const begun = clock.now();
    assert.equal((await invoke({ InvocationType: "Event", Payload: Buffer.from("1") })).StatusCode, 202);
    for (let minute = 0; minute < 3; minute++) await clock.advance(60_000);
    await until(() => dropped.length > 0);
    assert.deepEqual(
      invoker.at.map((at) => at - begun),
      [0, 60_000, 180_000],
    );
    assert.deepEqual(
      dropped.map(({ attempts, payload }) => [attempts, text(payload)]),
      [[3, "1"]],
    );
  });

  test("that is throttled waits longer and longer, without using up its retries", async () => {
    const { clock, invoke, invoker, dropped } = await withFunction(throttled, throttled, failed, throttled);
    const begun = clock.now();
    await invoke({ InvocationType: "Event" });
    await clock.advance(120_000);
    await until(() => invoker.at.length === 5);
    assert.deepEqual(
      invoker.at.map((at) => at - begun),
      [0, 1_000, 3_000, 63_000, 67_000],
    );
    assert.deepEqual(dropped, []);
  });
});
