/** What a function in a process of its own meets: Lambda's limits, its errors and its life. One suite for every runtime client found. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { isKind } from "../../../runtime/base/errors.ts";
import { lambdaLimits } from "../../../emulator/lambda/limits.ts";
import { findReferenceRuntime, type RuntimeClient } from "../../../emulator/lambda/runtime-client.ts";
import { withDirectory } from "../../connectors/support.ts";
import { functionsDirectory, lives, read, start, until } from "./environments.ts";

const reference = findReferenceRuntime();
const runtimes: readonly (readonly [string, RuntimeClient])[] = [
  ["our runtime client", "own"],
  ...(reference === undefined ? [] : [["aws-lambda-ric", reference] as const]),
];

for (const [name, runtime] of runtimes) {
  describe(`a function in a process, by ${name}`, () => {
    test("stays warm from one invocation to the next, in one process", async () => {
      const { environment, invoke } = await start({ runtime });
      const first = read(await invoke({ act: "echo", value: "ü" }));
      const second = read(await invoke({ act: "echo", value: 2 }));
      assert.deepEqual([first.value, first.invocations, second.value, second.invocations], ["ü", 1, 2, 2]);
      assert.deepEqual([first.pid, second.pid], [environment.pid, environment.pid]);
      assert.deepEqual(read(await invoke({ act: "nothing" })), null);
    });

    test("is told of itself as by Lambda", async () => {
      const timeoutMs = 600_000;
      const { invoke } = await start({ runtime, memoryMb: 300, timeoutMs, environment: { OWN: "mine" } });
      const begun = Date.now();
      const context = read(await invoke({ act: "context" }));
      const tookMs = Date.now() - begun;
      assert.equal(context.invokedFunctionArn, "arn:aws:lambda:eu-west-1:123456789012:function:probe");
      assert.equal(context.memoryLimitInMB, "300");
      // What the invocation had taken when it was asked.
      const goneMs = timeoutMs - context.remainingMs;
      assert.ok(goneMs >= 0 && goneMs <= tookMs, `gone: ${goneMs}, of ${tookMs} ms`);
      const names = [
        "AWS_REGION",
        "AWS_LAMBDA_FUNCTION_NAME",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
        "_HANDLER",
        "TZ",
        "OWN",
        "HOME",
      ];
      assert.deepEqual(read(await invoke({ act: "variables", names })), {
        AWS_REGION: "eu-west-1",
        AWS_LAMBDA_FUNCTION_NAME: "probe",
        AWS_LAMBDA_FUNCTION_MEMORY_SIZE: "300",
        _HANDLER: "index.handler",
        TZ: ":UTC",
        OWN: "mine",
      });
    });

    test("fails an invocation by throwing, and goes on", async () => {
      const { environment, invoke, reports } = await start({ runtime });
      const thrown = await invoke({ act: "throw", message: "too far" });
      assert.deepEqual([thrown.outcome, read(thrown).errorType, read(thrown).errorMessage], ["failed", "RangeError", "too far"]);
      assert.ok(read(thrown).trace[1].includes("index.mjs"), "the stack is told");
      assert.deepEqual(read(await invoke({ act: "throwText", message: "only text" })).errorMessage, "only text");
      const cycle = await invoke({ act: "cycle" });
      assert.equal(cycle.outcome === "failed" && cycle.cause, "exception");
      assert.equal(read(await invoke({ act: "echo", value: 1 })).value, 1);
      assert.equal(environment.usable, true);
      assert.deepEqual(
        reports.map(({ outcome, initMs }) => [outcome, initMs !== undefined]),
        [
          ["exception", true],
          ["exception", false],
          ["exception", false],
          ["returned", false],
        ],
      );
    });

    for (const [act, message] of [
      ["rejectUnseen", "exited with error: exit status 1"],
      ["throwOutside", "exited with error: exit status 1"],
      ["neverSettle", "exited without providing a reason"],
    ] as const) {
      test(`ends with what nobody handles: ${act}`, async () => {
        const { environment, invoke } = await start({ runtime });
        const failed = await invoke({ act });
        assert.deepEqual([failed.outcome === "failed" && failed.cause, read(failed).errorType], ["exit", "Runtime.ExitError"]);
        assert.ok(read(failed).errorMessage.endsWith(message), read(failed).errorMessage);
        assert.deepEqual([environment.usable, environment.pid], [false, undefined]);
      });
    }

    test("that cannot be initialised fails the invocation with its own error", async () => {
      const { environment, invoke, lines } = await start({ runtime, handler: "broken.handler" });
      assert.equal(environment.usable, true);
      const failed = await invoke({});
      assert.deepEqual([read(failed).errorType, read(failed).errorMessage], ["TypeError", "no configuration"]);
      assert.equal(environment.usable, false);
      assert.equal(lines.filter(({ text }) => text.endsWith("initialising")).length, 2, "once more with the invocation");
    });

    test("may answer with 6 MB and no more", async () => {
      const { environment, invoke } = await start({ runtime });
      const largest = await invoke({ act: "answerOf", bytes: lambdaLimits.responseBytesMax });
      assert.deepEqual([largest.outcome, largest.payload.byteLength], ["returned", lambdaLimits.responseBytesMax]);
      const larger = await invoke({ act: "answerOf", bytes: lambdaLimits.responseBytesMax + 1 });
      assert.equal(larger.outcome === "failed" && larger.cause, "responseTooLarge");
      assert.equal(read(larger).errorType, "Function.ResponseSizeTooLarge");
      if (environment.usable) assert.equal(read(await invoke({ act: "echo", value: 1 })).value, 1);
    });
  });
}

describe("a process of a function", () => {
  test("is told of a handler that is not there, by Lambda's names of the errors", async () => {
    const types = new Map([
      ["absent.handler", "Runtime.ImportModuleError"],
      ["index.absent", "Runtime.HandlerNotFound"],
      ["index", "Runtime.MalformedHandlerName"],
      ["callback.handler", "Runtime.CallbackHandlerDeprecated"],
    ]);
    for (const [handler, type] of types) {
      const { invoke, environment } = await start({ handler });
      assert.equal(read(await invoke({})).errorType, type, handler);
      await environment.stop();
    }
    const { invoke } = await start({ handler: "callback.inner.handler" });
    assert.equal(read(await invoke({})), "inner");
  });

  test("is killed at the deadline, even where its event loop does not turn", async () => {
    const { environment, invoke, reports } = await start({ timeoutMs: 1_000 });
    const pid = environment.pid!;
    const begun = performance.now();
    const failed = await invoke({ act: "spin" });
    assert.ok(performance.now() - begun >= 990, "not before its time");
    assert.equal(failed.outcome === "failed" && failed.cause, "timeout");
    assert.equal(read(failed).errorType, "Sandbox.Timedout");
    assert.match(read(failed).errorMessage, /^RequestId: \S+ Error: Task timed out after 1\.00 seconds$/);
    assert.deepEqual([environment.usable, lives(pid)], [false, false]);
    assert.equal(reports[0]?.outcome, "timeout");
  });

  test("ends with the invocation that exits", async () => {
    for (const [code, message] of [
      [0, "Runtime exited without providing a reason"],
      [3, "Runtime exited with error: exit status 3"],
    ] as const) {
      const { environment, invoke } = await start();
      const failed = await invoke({ act: "exit", code });
      assert.equal(failed.outcome === "failed" && failed.cause, "exit");
      assert.deepEqual([read(failed).errorType, environment.usable], ["Runtime.ExitError", false]);
      assert.ok(read(failed).errorMessage.endsWith(message), read(failed).errorMessage);
    }
  });

  test("E2: that answers and ends before it asks for more has answered, and is not used again", async () => {
    const { environment, invoke } = await start({ runtime: { ric: join(functionsDirectory, "answers-and-ends.mjs") } });
    assert.deepEqual(read(await invoke({})), "answered");
    assert.equal(environment.usable, false);
  });

  test("that is killed from outside fails its invocation, and is unusable when it was idle", async () => {
    const { environment, invoke } = await start();
    const failing = invoke({ act: "sleep", ms: 60_000 });
    process.kill(environment.pid!, "SIGKILL");
    const failed = await failing;
    assert.match(read(failed).errorMessage, /signal: killed$/);
    assert.equal(failed.outcome === "failed" && failed.cause, "exit");
    const idle = await start();
    process.kill(idle.environment.pid!, "SIGKILL");
    await until(() => !idle.environment.usable);
  });

  for (const act of ["eatBuffers", "eatHeap"]) {
    test(`is ended when it takes more than its memory: ${act}`, async () => {
      const { environment, invoke, reports } = await start({ memoryMb: 192 });
      const failed = await invoke({ act, mb: 400 });
      assert.equal(failed.outcome === "failed" && failed.cause, "memory");
      assert.equal(read(failed).errorType, "Runtime.OutOfMemory");
      assert.equal(environment.usable, false);
      // A heap that is full ends its process itself, whoever looks.
      if (act === "eatBuffers") assert.ok(reports[0]!.maxMemoryUsedMb > 192, `seen: ${reports[0]!.maxMemoryUsedMb} MB`);
    });
  }

  test("has 10 s to initialise, and then the function's time with its first invocation", () =>
    withDirectory(async (directory) => {
      const READY = join(directory, "ready");
      const initMsMax = 200;
      const slow = { handler: "slow.handler", initMsMax, environment: { READY, MILLISECONDS: String(initMsMax + 100) } };
      const never = await start({ ...slow, timeoutMs: 500 });
      assert.equal(read(await never.invoke({})).errorType, "Sandbox.Timedout");
      const { environment, invoke } = await start(slow);
      assert.equal(environment.pid, undefined, "the process that was too slow is gone");
      writeFileSync(READY, "");
      assert.equal(read(await invoke({})), "ready");
    }));

  test("prints lines, told with the invocation that they belong to", async () => {
    const { environment, invoke, lines } = await start({ freezes: false });
    await invoke({ act: "print", lines: ["one", "two\nthree", ""] });
    await until(() => lines.length === 4);
    assert.deepEqual(
      lines.map(({ text }) => text),
      ["one", "two", "three", ""],
    );
    assert.ok(lines.every((line) => line.environment === environment.id && line.functionName === "probe"));
  });

  test("may not be given what Lambda sets itself, nor more than 4 KB of variables", async () => {
    const refused = (environment: Record<string, string>, message: RegExp) =>
      assert.rejects(
        async () => start({ environment }),
        (error) => isKind(error, "invalid") && message.test(error.message),
      );
    await refused({ AWS_REGION: "x" }, /leave it out: AWS_REGION$/);
    await refused({ "A-B": "x" }, /"A-B"$/);
    await refused({ LONG: "x".repeat(4093) }, /at most 4096 bytes.*: 4097$/);
  });
});

describe("between invocations", () => {
  let beats = 0;
  let answer = "";
  const server = createServer((request, response) => {
    if (request.url !== "/behind") beats++;
    response.end(answer);
  });
  before(() => new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve)));
  after(() => {
    server.close();
    server.closeAllConnections();
  });
  const url = () => `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  const beatAgain = (from: number) => until(() => beats > from);
  /** Whether a process is stopped. */
  const standsStill = (pid: number) => /^\d+ \(.*\) T /.test(readFileSync(`/proc/${pid}/stat`, "latin1"));
  /** How many there are when all that a process has sent before it was stopped is here: what is sent afterwards comes after it. */
  const beatsOf = async (pid: number) => {
    const from = beats;
    if (process.platform === "linux") await until(() => standsStill(pid) || beats > from + 10);
    for (let n = 0; n < 3; n++) await (await fetch(`${url()}behind`)).text();
    return beats;
  };

  test("a process stands still, and goes on with the next one", async () => {
    const { environment, invoke } = await start();
    await invoke({ act: "beatOn", url: url() });
    const before = await beatsOf(environment.pid!);
    await new Promise((resolve) => setTimeout(resolve, 300));
    assert.equal(await beatsOf(environment.pid!), before);
    const working = invoke({ act: "sleep", ms: 600_000 });
    await beatAgain(before);
    await environment.stop();
    assert.equal((await working).outcome, "failed");
  });

  test("a frozen and a spinning process end with the process that started them, however that ends", async () => {
    const owner = spawn(process.execPath, [join(import.meta.dirname, "owner.ts")], { stdio: ["ignore", "pipe", "inherit"] });
    const [printed] = (await once(owner.stdout, "data")) as [Buffer];
    const pids = JSON.parse(printed.toString()) as number[];
    assert.deepEqual([pids.length, ...pids.map(lives)], [2, true, true]);
    owner.kill("SIGKILL");
    await until(() => !pids.some(lives));
  });

  test("a process runs on where freezing is off", async () => {
    const { invoke } = await start({ freezes: false });
    await invoke({ act: "beatOn", url: url() });
    await beatAgain(beats + 2);
  });

  test("a zombie works on after its time-out, is not used again, and ends with its work", async () => {
    const { environment, invoke } = await start({ timeoutMs: 600, afterTimeout: "zombie" });
    const pid = environment.pid!;
    const failed = await invoke({ act: "beat", url: url() });
    assert.equal(failed.outcome === "failed" && failed.cause, "timeout");
    assert.deepEqual([environment.usable, lives(pid)], [false, true]);
    await beatAgain(beats);
    answer = "enough";
    await until(() => !lives(pid));
  });

  test("a zombie and a frozen process end when they are stopped", async () => {
    const zombie = await start({ timeoutMs: 300, afterTimeout: "zombie" });
    await zombie.invoke({ act: "spin" });
    const frozen = await start();
    const pids = [zombie.environment.pid!, frozen.environment.pid!];
    assert.deepEqual(pids.map(lives), [true, true]);
    await Promise.all([zombie.environment.stop(), frozen.environment.stop()]);
    assert.deepEqual(pids.map(lives), [false, false]);
  });
});
