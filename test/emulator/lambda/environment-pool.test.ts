/** The environments of a function, in process and on a virtual clock. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { EnvironmentPool, type EnvironmentPoolOptions } from "../../../emulator/lambda/environment-pool.ts";
import type { InvocationResult } from "../../../emulator/lambda/execution-environment.ts";
import { inProcessEnvironments, type InProcessHandler } from "../../../emulator/lambda/in-process-environment.ts";
import { VirtualClock } from "../../../emulator/virtual-clock.ts";

interface Made {
  readonly clock: VirtualClock;
  readonly pool: EnvironmentPool;
  /** Environments in the order in which they got invocations. */
  readonly used: string[];
  invoke(event?: unknown): Promise<InvocationResult | { outcome: "throttled" }>;
}

function makePool(handler: (clock: VirtualClock) => InProcessHandler, options: Partial<EnvironmentPoolOptions> = {}): Made {
  const clock = new VirtualClock();
  const used: string[] = [];
  const factory = inProcessEnvironments({
    clock,
    start: (id) => {
      const own = handler(clock);
      return (event, context) => {
        used.push(id);
        return own(event, context);
      };
    },
  });
  const pool = new EnvironmentPool({ factory, clock, timeoutMs: 3_000, ...options });
  return { clock, pool, used, invoke: (event = {}) => pool.invoke(new TextEncoder().encode(JSON.stringify(event))) };
}

const json = (result: InvocationResult | { outcome: "throttled" }) =>
  JSON.parse(new TextDecoder().decode((result as { payload: Uint8Array }).payload));

describe("an invocation", () => {
  test("returns what the handler does, as JSON; nothing is null", async () => {
    const { clock, invoke } = makePool(() => (event) => event.answer);
    assert.deepEqual(json(await clock.until(invoke({ answer: { a: 1 } }))), { a: 1 });
    assert.equal(json(await clock.until(invoke())), null);
  });

  test("fails as the handler throws", async () => {
    const { clock, invoke } = makePool(() => () => {
      throw new TypeError("wrong");
    });
    const result = await clock.until(invoke());
    assert.deepEqual([result.outcome, (result as any).cause], ["failed", "exception"]);
    assert.deepEqual(json(result), { errorType: "TypeError", errorMessage: "wrong", trace: [] });
  });

  test("fails with a response above 6 MB and 100 bytes", async () => {
    const { clock, invoke } = makePool(() => (event) => "x".repeat(event.bytes - 2));
    assert.equal((await clock.until(invoke({ bytes: 6_291_556 }))).outcome, "returned");
    const result = await clock.until(invoke({ bytes: 6_291_557 }));
    assert.equal((result as any).cause, "responseTooLarge");
  });

  test("fails when its environment cannot be started, which is tried anew for the next", async () => {
    let starts = 0;
    const clock = new VirtualClock();
    const factory = inProcessEnvironments({
      clock,
      start: () => {
        if (++starts === 1) throw new Error("init failed");
        return () => "ok";
      },
    });
    const pool = new EnvironmentPool({ factory, clock, timeoutMs: 1_000 });
    assert.equal(((await pool.invoke(new TextEncoder().encode("{}"))) as any).cause, "exit");
    assert.equal((await pool.invoke(new TextEncoder().encode("{}"))).outcome, "returned");
  });

  test("knows what is left of its time", async () => {
    const { clock, invoke } = makePool((clock) => async (_event, context) => {
      const before = context.getRemainingTimeInMillis();
      await clock.sleep(1_000);
      return [before, context.getRemainingTimeInMillis()];
    });
    assert.deepEqual(json(await clock.until(invoke())), [3_000, 2_000]);
  });
});

describe("a time-out", () => {
  test("is told at the deadline, while the zombie goes on and has effects later", async () => {
    const effects: number[] = [];
    const options = { zombieMsMax: 1_000_000 };
    const { clock, pool, invoke, used } = makePool(
      (clock) => async (event) => {
        await clock.sleep(event.ms);
        effects.push(event.ms);
      },
      options,
    );
    const began = clock.now();
    const result = await clock.until(invoke({ ms: 10_000 }));
    assert.equal(clock.now() - began, 3_000);
    assert.deepEqual([result.outcome, (result as any).cause], ["failed", "timeout"]);
    assert.equal(json(result).errorType, "Sandbox.Timedout");
    assert.match(json(result).errorMessage, /Task timed out after 3\.00 seconds$/);
    assert.deepEqual(effects, []);
    assert.equal(pool.counts.zombies, 1);
    await clock.until(invoke({ ms: 1 }));
    assert.notEqual(used[1], used[0]);
    await clock.advance(10_000);
    assert.deepEqual(effects, [1, 10_000]);
    assert.equal(pool.counts.zombies, 0);
    assert.equal(pool.counts.timeouts, 1);
  });

  test("a zombie is stopped when its time is over", async () => {
    const heeded: boolean[] = [];
    const { clock, pool, invoke } = makePool(
      (clock) =>
        async (_event, { signal }) => {
          await clock.sleep(1_000_000, signal);
          heeded.push(signal.aborted);
        },
      { zombieMsMax: 5_000 },
    );
    await clock.until(invoke());
    assert.deepEqual(heeded, []);
    await clock.advance(5_000);
    assert.deepEqual(heeded, [true]);
    assert.equal(pool.counts.zombies, 0);
  });

  test("a zombie takes no place of the reserved concurrency", async () => {
    const { clock, invoke } = makePool((clock) => (event) => clock.sleep(event.ms), {
      reservedConcurrency: 1,
      zombieMsMax: 1_000_000,
    });
    assert.equal((await clock.until(invoke({ ms: 100_000 }))).outcome, "failed");
    assert.equal((await clock.until(invoke({ ms: 1 }))).outcome, "returned");
  });
});

describe("the pool", () => {
  test("throttles above the reserved concurrency", async () => {
    const { clock, pool, invoke } = makePool((clock) => () => clock.sleep(1_000), { reservedConcurrency: 2 });
    const results = await clock.until(Promise.all([invoke(), invoke(), invoke()]));
    assert.deepEqual(
      results.map(({ outcome }) => outcome),
      ["returned", "returned", "throttled"],
    );
    assert.equal((await clock.until(invoke())).outcome, "returned");
    assert.equal(pool.counts.throttles, 1);
  });

  test("keeps environments warm, with what they know", async () => {
    const { clock, pool, invoke } = makePool(() => {
      let calls = 0;
      return () => ++calls;
    });
    for (let n = 1; n <= 5; n++) assert.equal(json(await clock.until(invoke())), n);
    assert.equal(pool.counts.coldStarts, 1);
  });

  test("hands out a free environment at random, the same way with the same seed", async () => {
    const order = async (seed: number) => {
      const { clock, invoke, used } = makePool((clock) => () => clock.sleep(100), { seed });
      await clock.until(Promise.all([invoke(), invoke(), invoke(), invoke()]));
      for (let n = 0; n < 20; n++) await clock.until(invoke());
      return used.slice(4);
    };
    const [one, again, other] = [await order(1), await order(1), await order(2)];
    assert.deepEqual(one, again);
    assert.notDeepEqual(one, other);
    assert.equal(new Set(one).size, 4);
  });

  test("starts cold and recycles now and then, as the settings say", async () => {
    const { clock, pool, invoke, used } = makePool(() => () => 1, { coldStartChance: 0.3, recycleChance: 0.2 });
    for (let n = 0; n < 100; n++) await clock.until(invoke());
    const { coldStarts, recycled, invocations } = pool.counts;
    assert.equal(invocations, 100);
    assert.ok(coldStarts > 20 && coldStarts < 70, String(coldStarts));
    assert.ok(recycled > 5 && recycled < 40, String(recycled));
    assert.equal(new Set(used).size, coldStarts);
  });

  test("stops every environment, and takes no invocation afterwards", async () => {
    const aborted: boolean[] = [];
    const { clock, pool, invoke } = makePool((clock) => async (_event, { signal }) => {
      await clock.sleep(1_000, signal);
      aborted.push(signal.aborted);
    });
    const running = invoke();
    await clock.advance(10);
    await pool.stop();
    await clock.until(running);
    assert.deepEqual(aborted, [true]);
    await assert.rejects(invoke(), /stopped/);
  });

  test("refuses a time-out above 900 s", () => {
    assert.throws(() => makePool(() => () => 1, { timeoutMs: 900_001 }), /at most 900 s: 900001 ms/);
  });
});
