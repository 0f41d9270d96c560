/** The Runtime API as a runtime of any language meets it: its statuses, and what it refuses. */
import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, test } from "node:test";
import { RuntimeApi, type RuntimeEvent } from "../../../emulator/lambda/runtime-api.ts";

const arn = "arn:aws:lambda:eu-west-1:123456789012:function:probe";

describe("the Runtime API", () => {
  let api: RuntimeApi;
  let events: RuntimeEvent[];
  beforeEach(async () => {
    events = [];
    api = await RuntimeApi.start(arn, (event) => events.push(event));
  });
  afterEach(() => api.stop());

  const call = async (method: string, path: string, body?: string) => {
    const response = await fetch(`http://${api.address}/2018-06-01/runtime/${path}`, {
      method,
      ...(body === undefined ? {} : { body }),
    });
    return { status: response.status, headers: response.headers, body: (await response.json()) as any };
  };
  const asked = async () => {
    while (events.at(-1)?.kind !== "next") await new Promise((resolve) => setTimeout(resolve, 1));
  };
  /** One invocation handed out: id "one". */
  const begin = async () => {
    const next = call("GET", "invocation/next");
    await asked();
    api.give({ requestId: "one", payload: Buffer.from('{"n":1}'), deadline: 1_700_000_000_000 });
    return next;
  };

  test("hands out an invocation with its headers", async () => {
    const { status, headers, body } = await begin();
    assert.deepEqual([status, body], [200, { n: 1 }]);
    assert.equal(headers.get("lambda-runtime-aws-request-id"), "one");
    assert.equal(headers.get("lambda-runtime-deadline-ms"), "1700000000000");
    assert.equal(headers.get("lambda-runtime-invoked-function-arn"), arn);
    assert.match(headers.get("lambda-runtime-trace-id")!, /^Root=1-[0-9a-f]{8}-[0-9a-f]{24};Parent=[0-9a-f]{16};Sampled=0$/);
  });

  for (const [path, kind] of [
    ["invocation/one/response", "response"],
    ["invocation/one/error", "error"],
  ] as const) {
    test(`R1: takes one ${kind} for the invocation, and refuses a second one`, async () => {
      await begin();
      assert.deepEqual((await call("POST", path, '{"x":1}')).status, 202);
      assert.deepEqual(events.slice(1), [{ kind, payload: Buffer.from('{"x":1}') }]);
      const again = await call("POST", path, "{}");
      assert.deepEqual([again.status, again.body.errorType], [403, "InvalidStateTransition"]);
      assert.equal(events.length, 2);
    });
  }

  test("R1: refuses answers to other invocations, and before any", async () => {
    assert.equal((await call("POST", "invocation/one/response", "1")).status, 400);
    await begin();
    const other = await call("POST", "invocation/two/response", "1");
    assert.deepEqual([other.status, other.body.errorType], [400, "InvalidRequestID"]);
    assert.equal((await call("POST", "invocation/one/response", "1")).status, 202);
  });

  test("refuses to hand out another invocation before the last was answered", async () => {
    await begin();
    assert.equal((await call("GET", "invocation/next")).status, 403);
  });

  test("refuses an answer above 6 MB with 413, and tells of it", async () => {
    await begin();
    const refused = await call("POST", "invocation/one/response", JSON.stringify("x".repeat(6_291_555)));
    assert.deepEqual([refused.status, refused.body.errorType], [413, "RequestEntityTooLarge"]);
    assert.equal(events.at(-1)?.kind, "responseTooLarge");
  });

  test("takes an error of the initialisation, before the first invocation only", async () => {
    assert.equal((await call("POST", "init/error", '{"errorType":"X"}')).status, 202);
    assert.deepEqual(events, [{ kind: "initError", payload: Buffer.from('{"errorType":"X"}') }]);
    assert.equal((await call("POST", "init/error", "{}")).status, 403);
    assert.equal((await call("GET", "invocation/next")).status, 403);
  });

  test("refuses the answer of an invocation whose time is over", async () => {
    await begin();
    api.withdraw();
    assert.equal((await call("POST", "invocation/one/response", "1")).status, 403);
  });

  test("knows no other paths", async () => {
    assert.equal((await call("GET", "invocation/one")).status, 404);
  });
});
