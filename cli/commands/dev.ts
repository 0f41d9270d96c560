/**
 * `millrace dev`: runs a job here and, whenever its code changes, stops it with a checkpoint and runs it again from there.
 *
 * The job runs in a process of its own, since code that was loaded once stays loaded. Each run begins where the one before stopped: state and
 * results go on, and code that cannot go on from them is refused with the operator named, until the next change.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { watch } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { exitCodes } from "../report-error.ts";

/** What code is made of. */
const watched = /\.(?:[cm]?[jt]s|json)$/;
const unwatched = /(?:^|\/)(?:node_modules|dist|cdk\.out|\.[^/]+)(?:\/|$)/;
/** Editors write a file in several steps. */
const settleMs = 150;

export interface DevOptions {
  /** What `run` is called with. */
  readonly args: readonly string[];
  readonly print: (line: string) => void;
  /** Ends it; default: Ctrl-C. */
  readonly signal?: AbortSignal;
}

/** Runs until Ctrl-C. Gives the exit code. */
export async function dev(path: string, { args, print, signal }: DevOptions): Promise<number> {
  const directory = dirname(resolve(path));
  const changes = new Changes(directory);
  const asked = { stop: false };
  let child: ChildProcess | undefined;
  const stop = () => {
    asked.stop = true;
    // A terminal's Ctrl-C has reached the job as well, for which two that come together are one.
    child?.kill("SIGINT");
    changes.close();
  };
  process.on("SIGINT", stop);
  process.on("SIGTERM", stop);
  signal?.addEventListener("abort", stop);
  try {
    while (!asked.stop) {
      child = runOnce(args);
      const ended = once(child, "exit") as Promise<[number | null]>;
      const changed = await Promise.race([changes.next(), ended.then(() => undefined)]);
      if (changed !== undefined) {
        print(`\n${relative(process.cwd(), changed)} has changed: stopping with a checkpoint, to run it again from there`);
        child.kill("SIGINT");
        await ended;
      } else if (!asked.stop) {
        const [code] = await ended;
        print(code === exitCodes.done ? "\nwaiting for a change" : "\nwaiting for a change that lets it go on");
        const next = await changes.next();
        if (next !== undefined) print(`${relative(process.cwd(), next)} has changed`);
      } else await ended;
    }
    return exitCodes.done;
  } finally {
    process.off("SIGINT", stop);
    process.off("SIGTERM", stop);
    changes.close();
  }
}

function runOnce(args: readonly string[]): ChildProcess {
  const cli = join(import.meta.dirname, "..", import.meta.filename.endsWith(".ts") ? "main.ts" : "main.js");
  return spawn(process.execPath, [...process.execArgv, cli, "run", ...args], { stdio: "inherit" });
}

/** Changes of code beneath a directory, one at a time. */
class Changes {
  readonly #abort = new AbortController();
  #found: string | undefined;
  #waiting: ((path: string | undefined) => void) | undefined;

  constructor(directory: string) {
    const watcher = watch(directory, { recursive: true, signal: this.#abort.signal }, (_event, name) => {
      if (name === null || !watched.test(name) || unwatched.test(name)) return;
      this.#found ??= join(directory, name);
      setTimeout(() => this.#tell(), settleMs);
    });
    // A directory that goes away is no reason to end.
    watcher.on("error", () => undefined);
  }

  /** The file that has changed; undefined: nothing will any more. */
  next(): Promise<string | undefined> {
    if (this.#abort.signal.aborted) return Promise.resolve(undefined);
    return new Promise((tell) => {
      this.#waiting = tell;
    });
  }

  close(): void {
    this.#abort.abort();
    this.#waiting?.(undefined);
  }

  #tell(): void {
    const [found, waiting] = [this.#found, this.#waiting];
    if (found === undefined || waiting === undefined) return;
    this.#found = undefined;
    this.#waiting = undefined;
    waiting(found);
  }
}
