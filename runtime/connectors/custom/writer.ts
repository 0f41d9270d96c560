/**
 * Calls the functions of an author's sink: opens it before the first call, gives rows their ids and versions, closes it at the end.
 *
 * I1 A row's id and version follow from its commit and its place in it, so they are the same whenever it is written again.
 */
import { isKind, MillraceError, messageOf } from "../../base/errors.ts";
import type { Restored, SinkEffect } from "../../ports/sink-driver.ts";
import { rowId, rowVersion } from "../row-version.ts";
import type { SinkTarget } from "../sink-target.ts";
import { type CustomRow, type CustomSinkFunctions, decodeRows, type StoredRow } from "./custom-sink.ts";

const defaultTimeoutMs = 30_000;

export class CustomWriter implements SinkTarget {
  readonly #functions: CustomSinkFunctions<unknown, any>;
  readonly #operator: string;
  readonly #closing = new AbortController();
  #opened: Promise<void> | undefined;

  constructor(operator: string, functions: CustomSinkFunctions<unknown, any>) {
    this.#operator = operator;
    this.#functions = functions;
  }

  async carryOut(effect: SinkEffect): Promise<void> {
    await this.#open();
    const rows = decodeRows(effect.payload).map((row, place) => rowOf(effect, row, place));
    const signal = AbortSignal.any([this.#closing.signal, AbortSignal.timeout(this.#functions.timeoutMs ?? defaultTimeoutMs)]);
    await this.#call("write", () => this.#functions.write(rows, { signal }));
  }

  async quarantine({ generation, from, lastSeq }: Restored): Promise<void> {
    const { restored } = this.#functions;
    if (restored === undefined) return;
    await this.#open();
    await this.#call("restored", () => restored.call(this.#functions, { generation, from, lastSeq }));
  }

  async close(): Promise<void> {
    if (this.#opened === undefined) return;
    this.#opened = undefined;
    this.#closing.abort();
    await this.#call("close", () => this.#functions.close?.());
  }

  /** Opened once; when that fails, again at the next call. */
  async #open(): Promise<void> {
    this.#opened ??= this.#call("open", () => this.#functions.open?.());
    try {
      await this.#opened;
    } catch (error) {
      this.#opened = undefined;
      throw error;
    }
  }

  async #call(what: string, work: () => Promise<void> | void): Promise<void> {
    try {
      await work();
    } catch (error) {
      if (error instanceof MillraceError && !isKind(error, "user")) throw error;
      throw new MillraceError("unavailable", `${what} of sink ${this.#operator} failed: ${messageOf(error)}`, {
        cause: error,
        context: { operator: this.#operator },
      });
    }
  }
}

function rowOf(effect: SinkEffect, [kind, timestamp, value]: StoredRow, place: number): CustomRow<unknown> {
  return { kind, value, timestamp, id: rowId(effect, place), version: rowVersion(effect, place) };
}
