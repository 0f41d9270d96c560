/**
 * `millrace dev`: runs a job here and, whenever its code changes, stops it with a checkpoint and runs it again from there.
 *
 * The job runs in a process of its own, since code that was loaded once stays loaded. Each run begins where the one before stopped: state and
 * results go on, and code that cannot go on from them is refused with the operator named, until the next change. A job does not outlive the
 * `dev` that runs it: killed, it stops with a checkpoint.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { type Dirent, readdirSync, statSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { exitCodes } from "../report-error.ts";

/** What code is made of. */
const watched = /\.(?:[cm]?[jt]s|json)$/;
const unwatched = /^(?:node_modules|dist|cdk\.out|\..*)$/;
const lookEveryMs = 400;

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
  return spawn(process.execPath, [...process.execArgv, cli, "run", ...args], {
    // By the channel it learns that this process has ended, however it did.
    stdio: ["inherit", "inherit", "inherit", "ipc"],
  });
}

/**
 * Changes of code beneath a directory, one at a time. Looked for and not waited for: what tells of changes loses sight of files that editors
 * put new ones in the place of.
 */
class Changes {
  readonly #directory: string;
  readonly #timer: NodeJS.Timeout;
  #known: ReadonlyMap<string, number>;
  #closed = false;
  #waiting: ((path: string | undefined) => void) | undefined;

  constructor(directory: string) {
    this.#directory = directory;
    this.#known = codeIn(directory);
    this.#timer = setInterval(() => this.#look(), lookEveryMs);
  }

  /** The file that has changed; undefined: nothing will any more. */
  next(): Promise<string | undefined> {
    if (this.#closed) return Promise.resolve(undefined);
    return new Promise((tell) => {
      this.#waiting = tell;
    });
  }

  close(): void {
    this.#closed = true;
    clearInterval(this.#timer);
    this.#waiting?.(undefined);
  }

  /** What changes while nobody waits is found by the next look. */
  #look(): void {
    const waiting = this.#waiting;
    if (waiting === undefined) return;
    const now = codeIn(this.#directory);
    const paths = [...now.keys(), ...this.#known.keys()];
    const changed = paths.find((path) => now.get(path) !== this.#known.get(path));
    if (changed === undefined) return;
    this.#known = now;
    this.#waiting = undefined;
    waiting(changed);
  }
}

/** Files of code by path, with when they were changed, epoch ms. */
function codeIn(directory: string, found = new Map<string, number>()): ReadonlyMap<string, number> {
  for (const entry of entriesOf(directory)) {
    const path = join(directory, entry.name);
    if (unwatched.test(entry.name)) continue;
    if (entry.isDirectory()) codeIn(path, found);
    else if (watched.test(entry.name)) found.set(path, statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0);
  }
  return found;
}

/** A directory may go while it is looked through: so do its files then. */
function entriesOf(directory: string): readonly Dirent[] {
  try {
    return readdirSync(directory, { withFileTypes: true });
  } catch {
    return [];
  }
}
