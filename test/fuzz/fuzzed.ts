/**
 * The thread in which decoders are fuzzed: it has little memory, and can be ended when it does not end. The bytes that it is at lie in
 * memory that whoever watches it sees.
 */
import { parentPort, workerData } from "node:worker_threads";
import fc from "fast-check";
import { checkDecoder, type Decoder, inputsOf } from "./decoder.ts";
import { decoders } from "./decoders.ts";
import { type Fuzzed, type FuzzWork, headBytes } from "./fuzz.ts";

const { names, seed, runs: numRuns, ms, shown } = workerData as FuzzWork;
const place = new Uint8Array(shown);
const head = new DataView(shown);

function show(bytes: Uint8Array): void {
  head.setUint32(0, bytes.length);
  place.set(bytes.subarray(0, place.length - headBytes), headBytes);
}

function fuzz(decoder: Decoder): Fuzzed {
  let runs = 0;
  const property = fc.property(inputsOf(decoder), (bytes) => {
    runs++;
    show(bytes);
    checkDecoder(decoder, bytes);
  });
  const result = fc.check(property, { seed, numRuns, ...(ms !== undefined && { interruptAfterTimeLimit: ms }) });
  if (!result.failed || result.counterexample === null) return { decoder: decoder.name, runs, failure: undefined };
  const error = result.errorInstance as Error;
  const bytes = result.counterexample[0].toString("hex");
  return { decoder: decoder.name, runs, failure: { bytes, error: error.stack ?? String(error) } };
}

for (const name of names) parentPort!.postMessage(fuzz(decoders.find((decoder) => decoder.name === name)!));
