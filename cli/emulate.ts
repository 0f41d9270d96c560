/** `millrace emulate CLOUD`, a cloud assembly or a topology: an emulated cloud in the foreground, with what its functions print, until Ctrl-C. */
import { once } from "node:events";
import { readFile, stat } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { type CloudEvent, type EmulatedCloud, readAssembly, startCloud } from "../emulator/cloud/index.ts";
import { messageOf, MillraceError } from "../runtime/base/errors.ts";
import { describeCloud, describeCounts, describeEvent } from "./cloud-display.ts";
import { onStopSignals } from "./stop-signals.ts";

export interface EmulateOptions {
  /** Of an assembly, the stacks to emulate with those that they depend on; empty: all. */
  readonly stacks: readonly string[];
  /** Where the cloud keeps its data; undefined: in memory. */
  readonly state: string | undefined;
  /** The first of six ports; 0: free ones. */
  readonly port: number;
  /** What functions print. */
  readonly output: Pick<NodeJS.WritableStream, "write">;
  /** What is said about the cloud. */
  readonly terminal: Pick<NodeJS.WritableStream, "write">;
}

/** How long invocations under way may go on after Ctrl-C. */
const graceMs = 5_000;

/** Runs it until it is told to stop. Throws `invalid` for a topology that is wrong, naming the field, and for a folder that is no assembly. */
export async function emulate(path: string, options: EmulateOptions): Promise<void> {
  const { stacks, state, port, output, terminal } = options;
  const say = (text: string) => terminal.write(`${text}\n`);
  const onEvent = (event: CloudEvent) => {
    const line = describeEvent(event);
    if (line !== undefined) (event.kind === "log" ? output : terminal).write(`${line}\n`);
  };
  const topology = await topologyOf(path, stacks, say);
  say(`starting the cloud of ${path} …`);
  const stopAsked = new AbortController();
  const release = onStopSignals(() => {
    say("\nstopping; Ctrl-C once more ends at once");
    stopAsked.abort();
  });
  try {
    const cloud = await startCloud(topology, {
      base: dirname(resolve(path)),
      port,
      sourceMaps: true,
      ...(state === undefined ? {} : { directory: state }),
      onEvent,
    });
    say(describeCloud(cloud, state));
    if (!stopAsked.signal.aborted) await once(stopAsked.signal, "abort");
    await end(cloud, say);
  } finally {
    release();
  }
}

async function end(cloud: EmulatedCloud, say: (text: string) => void): Promise<void> {
  await cloud.stop({ graceMs });
  for (const line of describeCounts(cloud)) say(line);
}

/** A folder is an assembly, as `cdk synth` writes it; a file is a topology. */
async function topologyOf(path: string, stacks: readonly string[], say: (text: string) => void): Promise<unknown> {
  const found = await stat(path).catch(() => undefined);
  if (!found?.isDirectory()) return readJson(path);
  const { topology, unexpected } = await readAssembly(path, stacks.length === 0 ? {} : { stacks });
  for (const property of unexpected) say(`not emulated: ${property}`);
  return topology;
}

async function readJson(path: string): Promise<unknown> {
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (error) {
    throw new MillraceError("invalid", `the topology cannot be read: ${messageOf(error)}`, { cause: error });
  }
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new MillraceError("invalid", `the topology is not JSON: ${path}: ${messageOf(error)}`, { cause: error });
  }
}
