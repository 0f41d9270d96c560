/** How much memory a process takes, as the system counts it. */
import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { promisify } from "node:util";

const pageBytes = 4096;
const mib = 1024 * 1024;

/** In MiB; undefined when the process has ended. */
export async function residentMemoryMb(pid: number): Promise<number | undefined> {
  return process.platform === "linux" ? fromProc(pid) : fromPs(pid);
}

/** No disk is waited for. */
function fromProc(pid: number): number | undefined {
  try {
    const [, resident] = readFileSync(`/proc/${pid}/statm`, "latin1").split(" ");
    return (Number(resident) * pageBytes) / mib;
  } catch {
    return undefined;
  }
}

async function fromPs(pid: number): Promise<number | undefined> {
  try {
    const { stdout } = await promisify(execFile)("ps", ["-o", "rss=", "-p", String(pid)]);
    return Number(stdout.trim()) / 1024;
  } catch {
    return undefined;
  }
}
