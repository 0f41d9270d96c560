/**
 * Where an author's job writes in a simulation. Sinks of their own are called for real, by each process as by a process of its own;
 * those of Millrace are stood in for by what they promise: a list of rows, or a table by the sink's key.
 *
 * A1 What an author's function awaits is over before anything else begins: nothing but the seed decides what happens when.
 */
import type { ChangeKind, Sink, SinkWriter } from "../../api/connector.ts";
import type { Key } from "../../api/key.ts";
import { messageOf } from "../../base/errors.ts";
import type { OperatorUid } from "../../base/ids.ts";
import { decodeValue, encodeValue } from "../../base/message-pack.ts";
import type { CustomSink } from "../../connectors/custom/custom-sink.ts";
import { CustomWriter } from "../../connectors/custom/writer.ts";
import type { DeadLetterBatch, Restored, SinkDriver, SinkEffect } from "../../ports/sink-driver.ts";
import { show } from "../operator-steps.ts";
import { canonicalText } from "./canonical-text.ts";
import type { SimProcess } from "./scheduler.ts";
import { SinkWorld } from "./sink-world.ts";
import type { World } from "./world.ts";

/** Rows of one commit go into objects of at most so many. */
const rowsPerObject = 3;

interface Change {
  readonly kind: ChangeKind;
  readonly value: unknown;
}

/** Whether a sink calls functions of the author's. */
export function isCustom(sink: Sink<any, any>): sink is CustomSink<any, any> {
  return sink.kind === "custom";
}

/** The sink as a simulation declares it. */
export function simulatedSink(sink: Sink<any, any>): Sink<any, any> {
  return isCustom(sink) ? sink : { ...sink, createWriter: () => new ContentWriter(sink.key) };
}

/** Rows as values, whatever the sink's own format is. */
class ContentWriter implements SinkWriter<unknown> {
  readonly #key: ((value: any) => Key) | undefined;
  #rows: Change[] = [];

  constructor(key: ((value: any) => Key) | undefined) {
    this.#key = key;
  }

  /** Throws `invalid` for a value that is not plain data. */
  add(value: unknown, _timestamp: number | undefined, kind: ChangeKind): void {
    encodeValue(value);
    this.#rows.push({ kind, value });
  }

  flush(): readonly Uint8Array[] {
    const [rows, key] = [this.#rows, this.#key];
    this.#rows = [];
    if (key !== undefined) return rows.map((row) => encodeValue({ key: canonicalText(key(row.value)), value: row }));
    return Array.from({ length: Math.ceil(rows.length / rowsPerObject) }, (_, n) =>
      encodeValue(rows.slice(n * rowsPerObject, (n + 1) * rowsPerObject)),
    );
  }

  state(): undefined {
    return undefined;
  }

  restore(): void {
    this.#rows = [];
  }
}

export class AuthorSinks {
  readonly #world: World;
  readonly #sinks: ReadonlyMap<OperatorUid, Sink<any, any>>;
  readonly #content: SinkWorld;
  readonly #drivers = new Map<SimProcess, SinkDriver>();
  readonly #writers = new Set<CustomWriter>();
  readonly #open = new Set<Promise<void>>();

  constructor(world: World, sinks: ReadonlyMap<OperatorUid, Sink<any, any>>) {
    this.#world = world;
    this.#sinks = sinks;
    this.#content = new SinkWorld((message) => world.fail(message), undefined, decodeValue);
  }

  driverOf(process: SimProcess): SinkDriver {
    let driver = this.#drivers.get(process);
    if (driver === undefined) this.#drivers.set(process, (driver = this.#createDriver(process)));
    return driver;
  }

  #createDriver(process: SimProcess): SinkDriver {
    const custom = new Map<OperatorUid, CustomWriter>();
    for (const [operator, sink] of this.#sinks)
      if (isCustom(sink)) custom.set(operator, new CustomWriter(operator, this.#told(process, operator, sink)));
    for (const writer of custom.values()) this.#writers.add(writer);
    const content = this.#content;
    return {
      carryOut: (effect: SinkEffect) => {
        const writer = custom.get(effect.operator);
        return writer === undefined ? content.carryOut(effect) : this.#track(writer.carryOut(effect));
      },
      deadLetters: (batch: DeadLetterBatch) => content.deadLetters(batch),
      quarantine: (operator: OperatorUid, restored: Restored) => {
        const writer = custom.get(operator);
        return writer === undefined ? content.quarantine(operator, restored) : this.#track(writer.quarantine(restored));
      },
    };
  }

  /** The author's functions, whose calls stand in the trace. */
  #told(process: SimProcess, operator: OperatorUid, { functions }: CustomSink<any, any>): CustomSink<any, any>["functions"] {
    const note = (what: string) => this.#world.trace.add(this.#world.scheduler.steps, process.name, `${operator}: ${what}`);
    const told: CustomSink<any, any>["functions"] = {
      ...functions,
      write: async (rows, call) => {
        for (const { kind, value, id } of rows) note(`write ${kind} ${show(value)} of id ${id}`);
        try {
          await functions.write(rows, call);
        } catch (error) {
          note(`write threw: ${messageOf(error)}`);
          throw error;
        }
      },
    };
    // An author's functions may be methods.
    if (functions.open !== undefined) told.open = () => functions.open!();
    if (functions.close !== undefined) told.close = () => functions.close!();
    if (functions.restored !== undefined)
      told.restored = (restore) => {
        note(`restored from generation ${restore.from} as ${restore.generation}`);
        return functions.restored!(restore);
      };
    return told;
  }

  #track(call: Promise<void>): Promise<void> {
    const over = call.then(
      () => undefined,
      () => undefined,
    );
    this.#open.add(over);
    void over.then(() => this.#open.delete(over));
    return call;
  }

  /** Waits for what is under way in functions of the author's. */
  async settle(): Promise<boolean> {
    if (this.#open.size === 0) return false;
    await Promise.all(this.#open);
    return true;
  }

  /** Every sink's content, but of those that are the author's own. */
  contents(): Map<string, readonly unknown[]> {
    const contents = new Map<string, readonly unknown[]>();
    for (const [operator, sink] of this.#sinks)
      if (!isCustom(sink)) contents.set(operator, sink.key === undefined ? this.#folded(operator) : this.#table(operator));
    return contents;
  }

  /** The list of rows, less those that changes have taken away. */
  #folded(operator: OperatorUid): unknown[] {
    const rows = new Map<string, unknown[]>();
    const all = this.#content.listed(operator) as Change[];
    for (const { kind, value } of all) if (kind === "+I" || kind === "+U") push(rows, canonicalText(value), value);
    for (const { kind, value } of all) if (kind === "-U" || kind === "-D") rows.get(canonicalText(value))?.pop();
    return [...rows.values()].flat();
  }

  #table(operator: OperatorUid): unknown[] {
    const rows = [...this.#content.tabled(operator).values()] as Change[];
    return rows.filter(({ kind }) => kind === "+I" || kind === "+U").map(({ value }) => value);
  }

  get deadLetters(): readonly DeadLetterBatch[] {
    return this.#content.deadLettersSeen;
  }

  /** Closes what was opened, also of processes that died: they are of one process, which lives on. */
  async close(): Promise<void> {
    for (const writer of this.#writers) await writer.close();
  }
}

function push<T>(lists: Map<string, T[]>, name: string, item: T): void {
  const list = lists.get(name);
  if (list === undefined) lists.set(name, [item]);
  else list.push(item);
}
