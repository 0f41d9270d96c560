/** Writes a console sink's lines to a stream; what this process has written already, it does not write again. */
import type { Writable } from "node:stream";
import { MillraceError, messageOf } from "../../base/errors.ts";
import type { SinkEffect } from "../../ports/sink-driver.ts";
import type { SinkTarget } from "../sink-target.ts";

/** The place of an effect among those of one sink in one task: generation, commit, place in the commit. */
type Version = readonly [number, number, number];

/** Outputs of this process whose errors are heard: once each, however many runs write there. */
const heard = new WeakSet<Writable>();

export class ConsoleWriter implements SinkTarget {
  readonly #output: Writable;
  readonly #written = new Map<string, Version>();

  constructor(output: Writable) {
    this.#output = output;
    if (heard.has(output)) return;
    heard.add(output);
    // The callback of the write tells of the same error.
    output.on("error", () => undefined);
  }

  async carryOut(effect: SinkEffect): Promise<void> {
    const version: Version = [effect.generation, effect.seq, effect.n];
    const writer = JSON.stringify([effect.operator, effect.task]);
    const last = this.#written.get(writer);
    if (last !== undefined && compare(version, last) <= 0) return;
    await this.#write(effect.payload);
    this.#written.set(writer, version);
  }

  /** What has been printed cannot be taken back. */
  async quarantine(): Promise<void> {}

  #write(payload: Uint8Array): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#output.write(payload, (error) => {
        if (!error) return resolve();
        reject(new MillraceError("invalid", `cannot write to standard output: ${messageOf(error)}`, { cause: error }));
      });
    });
  }
}

function compare(a: Version, b: Version): number {
  return a[0] - b[0] || a[1] - b[1] || a[2] - b[2];
}
