/**
 * One process of a function: Node with the runtime client, kept to its memory, its output cut into lines.
 *
 * F1 It is the leader of a group of its own and is ended with the group; when its owner ends, however, the guard ends it.
 * F2 Its heap is bounded as Lambda's runtime bounds it, and a process whose resident memory is beyond the function's is killed.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { MillraceError } from "../../runtime/base/errors.ts";
import type { ProcessEnd } from "./function-error.ts";
import { LineSplitter } from "./line-splitter.ts";
import { processGuard } from "./process-guard.ts";
import { residentMemoryMb } from "./resident-memory.ts";

export interface ProcessOptions {
  readonly arguments: readonly string[];
  readonly directory: string;
  readonly variables: Record<string, string>;
  readonly memoryMb: number;
  readonly onLine: (stream: "stdout" | "stderr", line: string) => void;
  /** How its memory is looked at, in MiB; default: as the system counts it. */
  readonly residentMb?: typeof residentMemoryMb;
}

/** How often its memory is looked at. */
const memoryPollMs = 50;

/** Shares of the function's memory that Lambda gives to the old and the young generation of the heap. */
const oldSpaceShare = 0.9;
const semiSpaceShare = 0.05;

const outOfHeap = "JavaScript heap out of memory";

export class FunctionProcess {
  readonly pid: number;
  /** When it has ended and all that it wrote was read. */
  readonly ended: Promise<ProcessEnd>;
  readonly #child: ChildProcess;
  readonly #memoryMb: number;
  readonly #residentMb: typeof residentMemoryMb;
  #hasEnded = false;
  #isFrozen = false;
  #outOfMemory = false;
  #peakMemoryMb = 0;

  private constructor(child: ChildProcess, pid: number, options: ProcessOptions) {
    this.#child = child;
    this.pid = pid;
    this.#memoryMb = options.memoryMb;
    this.#residentMb = options.residentMb ?? residentMemoryMb;
    processGuard.watch(pid);
    this.#readLines(options.onLine);
    this.ended = new Promise((resolve) => {
      child.once("exit", () => {
        this.#hasEnded = true;
        processGuard.forget(pid);
      });
      child.once("close", (code, signal) => resolve({ code, signal, outOfMemory: this.#outOfMemory }));
    });
    void this.#watchMemory();
  }

  /** Throws `unavailable` when no process can be started. */
  static async start(options: ProcessOptions): Promise<FunctionProcess> {
    const heap = [
      `--max-old-space-size=${Math.floor(options.memoryMb * oldSpaceShare)}`,
      `--max-semi-space-size=${Math.max(1, Math.floor(options.memoryMb * semiSpaceShare))}`,
    ];
    const child = spawn(process.execPath, [...heap, ...options.arguments], {
      cwd: options.directory,
      env: options.variables,
      stdio: ["ignore", "pipe", "pipe"],
      detached: true,
    });
    await new Promise<void>((resolve, reject) => {
      child.once("spawn", resolve);
      child.once("error", (error) => {
        reject(new MillraceError("unavailable", `the function's process cannot be started: ${error.message}`, { cause: error }));
      });
    });
    return new FunctionProcess(child, child.pid!, options);
  }

  get hasEnded(): boolean {
    return this.#hasEnded;
  }

  /** The most that it was seen to take, in MiB. */
  get peakMemoryMb(): number {
    return this.#peakMemoryMb;
  }

  /** Stops its clock, as Lambda does between invocations: it neither runs nor answers until `thaw`. */
  freeze(): void {
    this.#isFrozen = true;
    this.#signal("SIGSTOP");
  }

  thaw(): void {
    this.#isFrozen = false;
    this.#signal("SIGCONT");
  }

  /** At once, frozen or not. */
  async kill(): Promise<ProcessEnd> {
    this.#signal("SIGKILL");
    return this.ended;
  }

  #signal(signal: NodeJS.Signals): void {
    if (this.#hasEnded) return;
    try {
      process.kill(-this.pid, signal);
    } catch {
      // It is ending by itself.
      this.#child.kill(signal);
    }
  }

  #readLines(onLine: ProcessOptions["onLine"]): void {
    for (const stream of ["stdout", "stderr"] as const) {
      const splitter = new LineSplitter((line) => {
        if (stream === "stderr" && line.includes(outOfHeap)) this.#outOfMemory = true;
        onLine(stream, line);
      });
      this.#child[stream]!.on("data", (bytes: Buffer) => splitter.write(bytes));
      this.#child[stream]!.once("end", () => splitter.end());
    }
  }

  async #watchMemory(): Promise<void> {
    let wasFrozen = false;
    while (!this.#hasEnded) {
      // What stands still takes no more than it took when it was looked at last.
      const mb = wasFrozen && this.#isFrozen ? 0 : ((await this.#residentMb(this.pid)) ?? 0);
      wasFrozen = this.#isFrozen;
      this.#peakMemoryMb = Math.max(this.#peakMemoryMb, mb);
      if (mb > this.#memoryMb && !this.#hasEnded) {
        this.#outOfMemory = true;
        this.#signal("SIGKILL");
        return;
      }
      await new Promise((resolve) => setTimeout(resolve, memoryPollMs).unref());
    }
  }
}
