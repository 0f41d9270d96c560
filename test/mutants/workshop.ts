/**
 * A copy of the repository in a temporary folder, in which one file at a time is mutated and then put back. The original is never written.
 */
import { spawn } from "node:child_process";
import { cp, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { WorldName } from "../simulation/command-line.ts";

/** Where in the mutated file its place says that it was come by. */
export const probe = "((globalThis as any).mutantReached = true)";

/** What became of a mutant. */
export interface Hunted {
  readonly outcome: "killed" | "hung" | "crashed" | "survived";
  /** The seed that was run last. */
  readonly seed: number;
  readonly reason: string;
  /** Whether the mutated place was come by; undefined where the process could not say. */
  readonly reached: boolean | undefined;
}

export class Workshop {
  readonly root: string;

  private constructor(root: string) {
    this.root = root;
  }

  /** Copies what the simulation, the tests and the compiler need. */
  static async open(repository: string): Promise<Workshop> {
    const root = await mkdtemp(join(tmpdir(), "millrace-mutants-"));
    const left = new Set(["node_modules", ".git", "cdk.out", ".millrace", "dist", "results"]);
    await cp(repository, root, { recursive: true, filter: (path) => !left.has(path.slice(repository.length + 1)) });
    await symlink(join(repository, "node_modules"), join(root, "node_modules"));
    return new Workshop(root);
  }

  async close(): Promise<void> {
    await rm(this.root, { recursive: true, force: true });
  }

  /** Runs `work` while the file has another text. */
  async with<T>(file: string, text: string, work: () => Promise<T>): Promise<T> {
    const path = join(this.root, file);
    const original = await readFile(path, "utf8");
    await writeFile(path, text);
    try {
      return await work();
    } finally {
      await writeFile(path, original);
    }
  }

  /** Seeds 1 to `seeds` of the world until one fails, dies, or takes longer than `seedMsMax`. */
  hunt(world: WorldName, seeds: number, seedMsMax: number): Promise<Hunted> {
    const child = spawn(process.execPath, ["test/mutants/hunt.ts", world, "1", String(seeds)], {
      cwd: this.root,
      stdio: ["ignore", "pipe", "pipe"],
    });
    let seed = 0;
    let complaint = "";
    let hung = false;
    let end: { readonly failure?: string; readonly reached: boolean } | undefined;
    const watch = () => setTimeout(() => (hung = child.kill("SIGKILL")), seedMsMax);
    let timer = watch();
    child.stderr.on("data", (part) => (complaint = (complaint + String(part)).slice(-4_000)));
    createInterface(child.stdout).on("line", (line) => {
      const said = JSON.parse(line) as { seed?: number; done?: true; failure?: string; reached: boolean };
      if (said.done) end = said;
      else seed = said.seed as number;
      clearTimeout(timer);
      timer = watch();
    });
    return new Promise((resolve) => {
      child.on("close", () => {
        clearTimeout(timer);
        const reached = end?.reached;
        if (end?.failure !== undefined) resolve({ outcome: "killed", seed, reason: end.failure, reached });
        else if (end !== undefined) resolve({ outcome: "survived", seed, reason: "", reached });
        else if (hung) resolve({ outcome: "hung", seed, reason: `longer than ${seedMsMax} ms`, reached });
        else resolve({ outcome: "crashed", seed, reason: messageIn(complaint), reached });
      });
    });
  }

  /** A command in the copy: whether it succeeds within the time. */
  succeeds(args: readonly string[], msMax: number): Promise<boolean> {
    return new Promise((resolve) => {
      const child = spawn(process.execPath, args, { cwd: this.root, stdio: "ignore", timeout: msMax, killSignal: "SIGKILL" });
      child.on("close", (code) => resolve(code === 0));
    });
  }
}

function messageIn(complaint: string): string {
  return complaint.split("\n").find((line) => /Error/.test(line)) ?? complaint.split("\n").find((line) => line !== "") ?? "";
}
