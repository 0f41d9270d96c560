/** Fuzzes decoders in a thread: bounded in runs or in time, and ended when an input hangs or takes all memory. */
import { Worker } from "node:worker_threads";

export interface FuzzOrder {
  /** Of decoders, one after the other. */
  readonly names: readonly string[];
  readonly seed: number;
  /** For each of them. */
  readonly runs: number;
  /** Each ends sooner when this is over. */
  readonly ms?: number | undefined;
}

export interface FuzzWork extends FuzzOrder {
  /** The length and the bytes of the input that is tried. */
  readonly shown: SharedArrayBuffer;
}

export interface Fuzzed {
  readonly decoder: string;
  readonly runs: number;
  /** `bytes`: hexadecimal. */
  readonly failure: { readonly bytes: string; readonly error: string } | undefined;
}

/** Of the input's length. */
export const headBytes = 4;
const shownBytes = 1 << 20;
/** So long may the same input be tried. */
const hangMs = 120_000;
const memoryMb = 512;

/** One for each of the decoders; of the first that hangs or takes all memory the last. */
export async function fuzz(order: FuzzOrder): Promise<readonly Fuzzed[]> {
  const shown = new SharedArrayBuffer(shownBytes);
  const worker = new Worker(new URL("fuzzed.ts", import.meta.url), {
    workerData: { ...order, shown } satisfies FuzzWork,
    resourceLimits: { maxOldGenerationSizeMb: memoryMb },
  });
  const results: Fuzzed[] = [];
  const input = () => {
    const bytes = Buffer.from(new Uint8Array(shown));
    return bytes.toString("hex", headBytes, headBytes + bytes.readUInt32BE(0));
  };
  return new Promise((resolve) => {
    let before = "";
    const end = () => {
      clearInterval(timer);
      resolve(results);
      void worker.terminate();
    };
    const fail = (error: string) => {
      results.push({ decoder: order.names[results.length]!, runs: 0, failure: { bytes: input(), error } });
      end();
    };
    const timer = setInterval(() => {
      const now = input();
      if (now === before && now !== "") fail(`it does not end: ${hangMs / 1_000} s for one input`);
      before = now;
    }, hangMs);
    worker.on("message", (result: Fuzzed) => {
      results.push(result);
      if (results.length === order.names.length) end();
    });
    worker.on("error", (error) => fail(error.stack ?? String(error)));
  });
}
