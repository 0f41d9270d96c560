/** What every handler counts of an invocation. */
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { guardedHandler } from "../../functions/guarded-handler.ts";
import { InvocationClock } from "../../functions/invocation-clock.ts";
import { MemoryTelemetry } from "../../runtime/adapters/memory/memory-telemetry.ts";
import type { JobGraph } from "../../runtime/plan/job-graph.ts";

const graph = { name: "counted" } as JobGraph;
const context = { awsRequestId: "1", getRemainingTimeInMillis: () => 60_000 };

class TurnedClock extends InvocationClock {
  at = 1_000;
  override now(): number {
    return this.at;
  }
}

function telemetryOf() {
  return Object.assign(new MemoryTelemetry(), { flush: () => undefined });
}

suite("an invocation (G3)", () => {
  test("counts itself, and its time with the memory it has, when it fails too", async () => {
    const [clock, telemetry] = [new TurnedClock(), telemetryOf()];
    const parts = { clock, telemetry, variables: { AWS_LAMBDA_FUNCTION_MEMORY_SIZE: "512" } };
    const handler = guardedHandler(
      graph,
      parts,
      "task",
      async () => undefined,
      async (_opened, tookMs: unknown) => {
        clock.at += Number(tookMs);
        if (tookMs === 250) throw new Error("failed");
      },
    );
    await handler(1_750, context);
    assert.equal(telemetry.total("lambda.gbSeconds"), 0.875);
    await assert.rejects(handler(250, context));
    assert.equal(telemetry.total("lambda.gbSeconds"), 1);
    assert.equal(telemetry.total("lambda.requests"), 2);
  });

  test("is billed by whole milliseconds, and for one at least", async () => {
    const [clock, telemetry] = [new TurnedClock(), telemetryOf()];
    const parts = { clock, telemetry, variables: { AWS_LAMBDA_FUNCTION_MEMORY_SIZE: "1024" } };
    const handler = guardedHandler(
      graph,
      parts,
      "task",
      async () => undefined,
      async (_opened, tookMs: unknown) => void (clock.at += Number(tookMs)),
    );
    await handler(0, context);
    await handler(0.5, context);
    assert.equal(telemetry.total("lambda.gbSeconds"), 0.002);
  });

  test("counts no time where its memory is not known", async () => {
    const telemetry = telemetryOf();
    const handler = guardedHandler(
      graph,
      { telemetry, variables: {} },
      "task",
      async () => undefined,
      async () => undefined,
    );
    await handler({}, context);
    assert.deepEqual(telemetry.totals(), { "lambda.requests": 1 });
  });
});
