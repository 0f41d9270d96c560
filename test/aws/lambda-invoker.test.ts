/** What becomes of a poke that Lambda does not take: the kind of error says whether to ring again. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { LambdaInvoker } from "../../runtime/adapters/aws/lambda-invoker.ts";
import { MemoryTelemetry } from "../../runtime/adapters/memory/memory-telemetry.ts";
import { type ErrorKind, isKind } from "../../runtime/base/errors.ts";
import { FaultyHandler, refusal } from "./faulty-handler.ts";

function invokerThat(answers: readonly [name: string, status: number]) {
  const requestHandler = new FaultyHandler();
  const [name, status] = answers;
  requestHandler.decide = () => refusal(name, name, status);
  const credentials = { accessKeyId: "x", secretAccessKey: "x" };
  const telemetry = new MemoryTelemetry();
  const options = { requestHandler, credentials, region: "us-east-1", endpoint: "http://127.0.0.1:1", maxAttempts: 1 };
  return { invoker: new LambdaInvoker(telemetry, options), telemetry, requestHandler };
}

describe("aws: invoking a function", () => {
  for (const [name, status, kind, says] of [
    ["AccessDeniedException", 403, "invalid", /no permission, add it to the role.*function job-views/],
    ["ResourceNotFoundException", 404, "invalid", /no such .*function .*function job-views/],
    ["TooManyRequestsException", 429, "unavailable", /throttled by AWS.*function job-views/],
    ["ResourceConflictException", 409, "unavailable", /tried again.*function job-views/],
    ["ResourceNotReadyException", 502, "unavailable", /tried again.*function job-views/],
    ["ServiceException", 500, "unavailable", /tried again.*function job-views/],
  ] as const satisfies readonly (readonly [string, number, ErrorKind, RegExp])[])
    test(`${name} is ${kind}, with the function's name`, async () => {
      const { invoker, telemetry } = invokerThat([name, status]);
      await assert.rejects(
        invoker.invoke("job-views", { version: 1 }),
        (error) => isKind(error, kind) && says.test(error.message),
      );
      assert.equal(telemetry.total("lambda.pokes"), 1);
    });

  test("waits for no answer of the function", async () => {
    const { invoker, requestHandler } = invokerThat(["", 200]);
    let sent: unknown;
    requestHandler.decide = (_, body) => {
      sent = body;
      return { kind: "refuse", status: 202, body: {} };
    };
    await invoker.invoke("job-views", { version: 1, kind: "poke" });
    assert.deepEqual(sent, { version: 1, kind: "poke" });
    assert.deepEqual(requestHandler.sent, ["POST /2015-03-31/functions/job-views/invocations"]);
  });
});
