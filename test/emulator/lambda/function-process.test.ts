/** What is done around a function's process that nobody sees from within: when it is looked at, and what it keeps for the next one. */
import assert from "node:assert/strict";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { mock, test } from "node:test";
import { FunctionProcess } from "../../../emulator/lambda/function-process.ts";
import { withDirectory } from "../../connectors/support.ts";
import { start } from "./environments.ts";

test("a process that stands still is not asked again for its memory, until it goes on", async () => {
  mock.timers.enable({ apis: ["setTimeout"] });
  let looks = 0;
  const residentMb = async () => ++looks;
  const waits = ["-e", "setInterval(() => undefined, 1_000)"];
  const child = await FunctionProcess.start({
    arguments: waits,
    directory: import.meta.dirname,
    variables: {},
    memoryMb: 512,
    onLine: () => undefined,
    residentMb,
  });
  /** How often it was looked at in a second. */
  const looksInASecond = async () => {
    const before = looks;
    for (let ms = 0; ms < 1_000; ms += 10) {
      mock.timers.tick(10);
      await new Promise(setImmediate);
    }
    return looks - before;
  };
  try {
    const running = await looksInASecond();
    child.freeze();
    const frozen = await looksInASecond();
    child.thaw();
    const thawed = await looksInASecond();
    assert.ok(running >= 10 && thawed >= 10, `${running} and ${thawed} looks`);
    assert.equal(frozen, 1, "what it takes where it stands is looked at once");
  } finally {
    mock.timers.reset();
    await child.kill();
  }
});

test("what a process has compiled is kept for the next one, though it is killed", () =>
  withDirectory(async (directory) => {
    const before = process.env.NODE_COMPILE_CACHE;
    process.env.NODE_COMPILE_CACHE = join(directory, "compiled");
    try {
      const { environment } = await start();
      process.kill(environment.pid!, "SIGKILL");
      const files = await readdir(join(directory, "compiled"), { recursive: true, withFileTypes: true });
      assert.ok(
        files.some((file) => file.isFile()),
        "there are files",
      );
    } finally {
      if (before === undefined) delete process.env.NODE_COMPILE_CACHE;
      else process.env.NODE_COMPILE_CACHE = before;
    }
  }));
