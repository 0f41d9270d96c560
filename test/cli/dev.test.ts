/** `millrace dev`, killed at each of its steps: the job it runs stops with a checkpoint, and the next one goes on from there. */
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { test } from "node:test";
import { readStatus } from "../../cli/job-status.ts";
import { exitCodes } from "../../cli/report-error.ts";
import { openLocalTarget } from "../../cli/target/local-target.ts";
import { withDirectory } from "../connectors/support.ts";

const root = join(import.meta.dirname, "../..");
const keys = 5;
const waitMsMax = 600_000;

/** Counts by key; `mark` makes it another file. */
const code = (mark: string) => `
import { defineJob, fileSink, generator, keyedProcess, ndjson, seconds, type, value } from ${JSON.stringify(join(root, "runtime/index.ts"))};
// ${mark}
const count = keyedProcess({
  key: type(),
  state: { seen: value() },
  output: type(),
  onRecord({ key }, ctx) {
    ctx.state.seen.set((ctx.state.seen.get() ?? 0) + 1);
    ctx.emit({ key, seen: ctx.state.seen.get() });
  },
});
export default defineJob("watched", (job) => {
  job.source("in", generator({ seed: 1, ratePerSecond: 1000, next: (n) => ({ key: "k" + (n % ${keys}) }) }))
    .keyBy(({ key }) => key).process("count", count).sinkTo("out", fileSink({ path: "counts", format: ndjson() }));
}, { checkpoints: { interval: seconds(0.1) } });
`;

class Dev {
  said = "";
  readonly child: ChildProcess;
  readonly ended: Promise<unknown>;

  constructor(module: string, state: string, output: string) {
    const args = ["--disable-warning=ExperimentalWarning", join(root, "cli/main.ts"), "dev", module];
    const where = ["--state", state, "--output", output];
    // A group of its own: a job that is left over is ended with the test.
    this.child = spawn(process.execPath, [...args, ...where], { stdio: ["ignore", "ignore", "pipe"], detached: true });
    this.child.stderr!.on("data", (text: Buffer) => (this.said += text.toString()));
    this.ended = once(this.child, "exit");
  }

  /** Whatever of it is left. */
  clear(): void {
    try {
      process.kill(-this.child.pid!, "SIGKILL");
    } catch {
      // Nothing is.
    }
  }

  async until(what: string, isSo: () => boolean | Promise<boolean>): Promise<void> {
    await until(() => `${what}: ${this.said}`, isSo);
  }
}

async function until(what: () => string, isSo: () => boolean | Promise<boolean>): Promise<void> {
  const by = Date.now() + waitMsMax;
  while (!(await isSo())) {
    assert.ok(Date.now() < by, what());
    await sleep(20);
  }
}

function rowsIn(output: string): readonly { readonly key: string; readonly seen: number }[] {
  const directory = join(output, "counts");
  const names = existsSync(directory)
    ? readdirSync(directory).filter((name) => name.endsWith(".ndjson") && !name.startsWith("."))
    : [];
  const lines = names.flatMap((name) => readFileSync(join(directory, name), "utf8").split("\n"));
  return lines.filter((line) => line !== "").map((line) => JSON.parse(line) as { key: string; seen: number });
}

test("a job stops with a checkpoint wherever its dev is killed, and goes on with the next", (t) =>
  withDirectory(async (directory) => {
    const [state, output, module] = [join(directory, "state"), join(directory, "results"), join(directory, "job.ts")];
    let changes = 0;
    const change = (text = code(String(++changes))) => writeFileSync(module, text);
    const more = (dev: Dev) => {
      const before = rowsIn(output).length;
      return dev.until("it puts out more", () => rowsIn(output).length > before);
    };
    const says = (dev: Dev, text: string) => dev.until(`it says ${text}`, () => dev.said.includes(text));
    const runner = async () => {
      if (!existsSync(state)) return undefined;
      const target = await openLocalTarget(state, { output });
      try {
        return (await readStatus(target)).runner;
      } finally {
        await target.close();
      }
    };
    const steps: readonly [string, (dev: Dev) => Promise<void>][] = [
      ["while the job runs", more],
      [
        "while the job stops for a change",
        async (dev) => {
          await more(dev);
          change();
          await says(dev, "has changed");
        },
      ],
      [
        "while code is there that cannot run",
        async (dev) => {
          await more(dev);
          change("export default 5;");
          await says(dev, "waiting for a change that lets it go on");
          change();
        },
      ],
      ["while it begins", async (dev) => says(dev, "")],
    ];
    change();
    for (const [step, reach] of steps) {
      const dev = new Dev(module, state, output);
      t.after(() => dev.clear());
      await reach(dev);
      dev.child.kill("SIGKILL");
      await dev.ended;
      await until(
        () => `nobody runs the job that was run ${step}`,
        async () => (await runner().catch(() => "not there yet")) === undefined,
      );
    }
    const last = new Dev(module, state, output);
    t.after(() => last.clear());
    await more(last);
    last.child.kill("SIGINT");
    assert.deepEqual(await last.ended, [exitCodes.done, null]);
    const rows = rowsIn(output);
    for (let k = 0; k < keys; k++) {
      const seen = rows.filter(({ key }) => key === `k${k}`).map((row) => row.seen);
      assert.deepEqual(
        seen.sort((a, b) => a - b),
        seen.map((_, n) => n + 1),
      );
    }
  }));
