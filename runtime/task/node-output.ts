/** Where an operator's results go: along chained edges to other nodes, along exchanges into channels. */
import type { Key } from "../api/key.ts";
import { MillraceError } from "../base/errors.ts";
import type { Output } from "../operators/operator.ts";
import type { Activity } from "../state/activity.ts";
import { hashOf, keyProblem } from "../state/key.ts";
import type { ChannelWriter } from "../streaming/channel-writer.ts";
import type { KeyRouter } from "../streaming/router.ts";
import { blame } from "./blame.ts";
import type { ChainNode } from "./chain-node.ts";

/** One edge out of an operator. */
export interface Edge {
  deliver(value: unknown, timestamp: number): void;
  watermark(at: number): void;
  status(active: boolean): void;
}

/** Takes the key of a value; throws `invalid` or `user`, blamed on the operator that is keyed. */
function keyOf(key: (value: any) => Key, value: unknown, operator: string): Key {
  let result: Key;
  try {
    result = key(value);
  } catch (error) {
    throw blame(error, operator);
  }
  const problem = keyProblem(result);
  if (problem !== undefined) throw new MillraceError("invalid", `${problem} (operator ${operator})`, { context: { operator } });
  return result;
}

/** To the next operator of the chain. */
export class ChainedEdge implements Edge {
  private readonly node: ChainNode;
  private readonly input: number;
  private readonly name: string;
  private readonly key: ((value: any) => Key) | undefined;

  constructor(node: ChainNode, input: number, name: string, key: ((value: any) => Key) | undefined) {
    this.node = node;
    this.input = input;
    this.name = name;
    this.key = key;
  }

  deliver(value: unknown, timestamp: number): void {
    this.node.record(value, timestamp, this.input, this.key === undefined ? undefined : keyOf(this.key, value, this.node.uid));
  }

  watermark(at: number): void {
    this.node.receiveWatermark(this.name, at);
  }

  status(active: boolean): void {
    this.node.receiveStatus(this.name, active);
  }
}

/** Where a record without a key goes: to each task in turn, to every one, or always to the first. */
export type Spread = "inTurn" | "toAll" | "toFirst";

/** Across an exchange: by key, or as its spread says. */
export class ExchangeEdge implements Edge {
  private readonly number: number;
  private readonly to: string;
  private readonly writers: readonly ChannelWriter[];
  private readonly router: KeyRouter;
  private readonly key: ((value: any) => Key) | undefined;
  private readonly spread: Spread;
  private readonly activity: Activity;
  private next = 0;

  constructor(options: {
    readonly number: number;
    readonly to: string;
    readonly writers: readonly ChannelWriter[];
    readonly router: KeyRouter;
    readonly key: ((value: any) => Key) | undefined;
    readonly spread: Spread;
    readonly activity: Activity;
  }) {
    this.number = options.number;
    this.to = options.to;
    this.writers = options.writers;
    this.router = options.router;
    this.key = options.key;
    this.spread = options.spread;
    this.activity = options.activity;
  }

  deliver(value: unknown, timestamp: number): void {
    const key = this.key === undefined ? undefined : keyOf(this.key, value, this.to);
    this.activity.count++;
    try {
      if (this.spread === "toAll") this.deliverToAll(timestamp, value);
      else (this.writers[this.receiver(key)] as ChannelWriter).record(this.number, key, timestamp, value);
    } catch (error) {
      throw blame(error, this.to);
    }
  }

  private deliverToAll(timestamp: number, value: unknown): void {
    for (const writer of this.writers) writer.record(this.number, undefined, timestamp, value);
  }

  private receiver(key: Key | undefined): number {
    if (key !== undefined) return this.router.route(hashOf(key, "murmur3"));
    if (this.spread !== "inTurn") return 0;
    this.next = (this.next + 1) % this.writers.length;
    return this.next;
  }

  watermark(at: number): void {
    for (const writer of this.writers) writer.watermark(this.number, at);
  }

  status(active: boolean): void {
    for (const writer of this.writers) writer.status(this.number, active);
  }
}

export class NodeOutput implements Output {
  private readonly main: Edge[] = [];
  private readonly side = new Map<string, Edge[]>();
  private readonly every: Edge[] = [];

  add(tag: string | undefined, edge: Edge): void {
    this.every.push(edge);
    if (tag === undefined) this.main.push(edge);
    else this.side.set(tag, [...(this.side.get(tag) ?? []), edge]);
  }

  emit(value: unknown, timestamp: number): void {
    const { main } = this;
    for (let i = 0; i < main.length; i++) (main[i] as Edge).deliver(value, timestamp);
  }

  /** True when somebody reads this side output. */
  reads(tag: string): boolean {
    return this.side.has(tag);
  }

  emitTo(tag: string, value: unknown, timestamp: number): void {
    for (const edge of this.side.get(tag) ?? []) edge.deliver(value, timestamp);
  }

  watermark(at: number): void {
    for (const edge of this.every) edge.watermark(at);
  }

  status(active: boolean): void {
    for (const edge of this.every) edge.status(active);
  }
}
