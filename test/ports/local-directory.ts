/** Directories for tests of the local adapters, deleted when the test file ends. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after } from "node:test";
import { type LocalOptions, type LocalPorts, openLocal } from "../../runtime/adapters/local/open-local.ts";

const made: string[] = [];
const opened: LocalPorts[] = [];

after(async () => {
  for (const ports of opened) await ports.close();
  for (const directory of made) rmSync(directory, { recursive: true, force: true });
});

/** A new, empty directory. */
export function newDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), "millrace-test-"));
  made.push(directory);
  return directory;
}

/** The ports on `directory`, a new one if not given; closed when the test file ends, if not before. */
export async function openForTest(options: Partial<LocalOptions> = {}, directory: string = newDirectory()): Promise<LocalPorts> {
  const ports = await openLocal(directory, { job: "pageviews", ...options });
  opened.push(ports);
  return ports;
}
