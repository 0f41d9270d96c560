/** Lines that stand for a queue, a stream or a table, on a console. */
import type { SinkEffect } from "../../ports/sink-driver.ts";
import type { SinkTarget } from "../sink-target.ts";
import type { ToLines } from "./message-lines.ts";

export class MessageLinesOnConsole implements SinkTarget {
  readonly #console: SinkTarget;
  readonly #toLines: ToLines;

  /** `console`: writes payloads as they are. */
  constructor(console: SinkTarget, toLines: ToLines) {
    this.#console = console;
    this.#toLines = toLines;
  }

  async carryOut(effect: SinkEffect): Promise<void> {
    const lines = this.#toLines(effect).map(({ text }) => text);
    await this.#console.carryOut({ ...effect, payload: Buffer.from(lines.join("")) });
  }

  async quarantine(): Promise<void> {}
}
