/**
 * Delivers the messages of a push sink's effects, whatever the receiver is: requests within its limits, what it leaves out again, ever
 * slower, as long as the invocation's time allows.
 *
 * D1 At least once: an effect is done when every message was taken, or refused for good and stored as a dead letter.
 * D2 Where the receiver keeps an order, a message goes when the one before it was taken or refused: nothing overtakes what waits.
 * D3 What this process has delivered it does not deliver again: an effect that is repeated goes on where it stopped. Another process
 *    delivers all of it, with the same ids.
 */
import { MillraceError } from "../../base/errors.ts";
import type { OperatorUid } from "../../base/ids.ts";
import type { DeadLetter, SinkEffect } from "../../ports/sink-driver.ts";
import type { Telemetry } from "../../ports/telemetry.ts";
import { eachOf } from "../each-of.ts";
import { backOff, type Pace } from "../pace.ts";
import { effectVersion } from "../row-version.ts";
import type { DeadLetterWriter } from "../sink-targets.ts";
import type { SinkTarget } from "../sink-target.ts";
import { encodeMessages, type OutgoingMessage, outgoingMessages } from "./message.ts";

/** What became of a message. `again`: not taken for now. `refused`: never will be. */
export type Delivery =
  | { readonly outcome: "delivered" }
  | { readonly outcome: "again"; readonly reason: string; readonly afterMs?: number | undefined }
  | { readonly outcome: "refused"; readonly reason: string };

export const delivered: Delivery = { outcome: "delivered" };

/** The way to one receiver. */
export interface MessageChannel {
  /** What it is and its name, for messages: "queue alerts". */
  readonly name: string;
  /** Which messages wait for the one before: none, those of the same group, or each request for the one before. */
  readonly order: "none" | "groups" | "all";
  /** Of one request; `atOnce`: requests under way side by side. */
  readonly limits: { readonly messages: number; readonly bytes: number; readonly atOnce: number };
  /** Bytes that it counts for in a request. */
  sizeOf(message: OutgoingMessage): number;
  /** One request: what became of each, in their order. Throws what stops the sink: `invalid`, or `unavailable` to be called again later. */
  send(messages: readonly OutgoingMessage[], call: { readonly signal: AbortSignal }): Promise<readonly Delivery[]>;
  /** As `SinkTarget.check`. */
  check?(): Promise<void>;
}

export interface MessageTargetOptions {
  readonly job: string;
  readonly operator: OperatorUid;
  readonly channel: MessageChannel;
  readonly pace: Pace;
  readonly telemetry: Telemetry;
  readonly deadLetters: DeadLetterWriter;
}

/** The last effect of a task that was begun here, and what has become of its messages. */
interface Progress {
  readonly version: bigint;
  /** By place: a message that is settled, and the letter of one that was refused. Undefined: all are. */
  readonly settled: Map<number, DeadLetter | undefined> | undefined;
}

/** Tasks whose progress is kept. */
const tasksMax = 256;
/** What an invocation keeps of its time when a request is given up. */
const reserveMs = 500;
const longestTimerMs = 2 ** 31 - 1;

export class MessageTarget implements SinkTarget {
  readonly #options: MessageTargetOptions;
  readonly #progress = new Map<string, Progress>();
  readonly #closing = new AbortController();

  constructor(options: MessageTargetOptions) {
    this.#options = options;
  }

  async carryOut(effect: SinkEffect): Promise<void> {
    const version = effectVersion(effect);
    const last = this.#progress.get(effect.task);
    if (last !== undefined && last.version >= version && !(last.version === version && last.settled !== undefined)) return;
    const settled = new Map(last?.version === version ? last.settled : undefined);
    this.#keep(effect.task, { version, settled });
    await this.#deliver(outgoingMessages(this.#options.job, effect), settled);
    await this.#storeLetters(effect, settled);
    this.#keep(effect.task, { version, settled: undefined });
  }

  /** What has been delivered cannot be taken back. */
  async quarantine(): Promise<void> {}

  async check(): Promise<void> {
    await this.#options.channel.check?.();
  }

  async close(): Promise<void> {
    this.#closing.abort();
  }

  async #deliver(messages: readonly OutgoingMessage[], settled: Map<number, DeadLetter | undefined>): Promise<void> {
    const { channel, pace, telemetry, operator } = this.#options;
    let waiting = messages.filter(({ place }) => !settled.has(place));
    for (let attempt = 1; waiting.length > 0;) {
      const again = await this.#round(waiting, settled);
      const before = waiting.length;
      waiting = waiting.filter(({ place }) => !settled.has(place));
      telemetry.add("sink.messages", before - waiting.length, { operator });
      if (waiting.length < before) attempt = 1;
      if (again === undefined) continue;
      telemetry.add("sink.messagesAgain", again.count, { operator });
      if (!(await backOff(pace, attempt++, again.afterMs))) {
        const message = `messages are not taken for now, they are tried again: ${again.reason}`;
        throw new MillraceError("unavailable", `${message}: ${channel.name}, ${waiting.length} messages`, {
          context: { operator },
        });
      }
    }
  }

  /** All requests that may go side by side. Says what is to be tried again. */
  async #round(
    waiting: readonly OutgoingMessage[],
    settled: Map<number, DeadLetter | undefined>,
  ): Promise<{ readonly count: number; readonly reason: string; readonly afterMs: number } | undefined> {
    const { channel, operator } = this.#options;
    let count = 0;
    let reason = "";
    let afterMs = 0;
    await eachOf(this.#requestsOf(waiting), channel.limits.atOnce, async (request) => {
      const deliveries = await channel.send(request, { signal: this.#signal() });
      for (const [n, message] of request.entries()) {
        const delivery = deliveries[n] ?? { outcome: "again", reason: "the answer does not tell of it" };
        if (delivery.outcome === "again") {
          count++;
          ({ reason } = delivery);
          afterMs = Math.max(afterMs, delivery.afterMs ?? 0);
        } else
          settled.set(message.place, delivery.outcome === "refused" ? letterOf(operator, message, delivery.reason) : undefined);
      }
    });
    return count === 0 ? undefined : { count, reason, afterMs };
  }

  #requestsOf(waiting: readonly OutgoingMessage[]): readonly (readonly OutgoingMessage[])[] {
    const { channel } = this.#options;
    const requests: OutgoingMessage[][] = [];
    let bytes = 0;
    for (const message of channel.order === "groups" ? firstOfGroups(waiting) : waiting) {
      const sizeBytes = channel.sizeOf(message);
      const last = requests.at(-1);
      if (last === undefined || last.length >= channel.limits.messages || bytes + sizeBytes > channel.limits.bytes) {
        if (channel.order === "all" && last !== undefined) break;
        requests.push([message]);
        bytes = sizeBytes;
      } else {
        last.push(message);
        bytes += sizeBytes;
      }
    }
    return requests;
  }

  /** A request that outlives the invocation would take effect for nobody to see. */
  #signal(): AbortSignal {
    const remainingMs = this.#options.pace.clock.remainingMs() - reserveMs;
    if (remainingMs > longestTimerMs) return this.#closing.signal;
    return AbortSignal.any([this.#closing.signal, AbortSignal.timeout(Math.max(1, Math.floor(remainingMs)))]);
  }

  async #storeLetters(
    { task, generation, seq, n }: SinkEffect,
    settled: ReadonlyMap<number, DeadLetter | undefined>,
  ): Promise<void> {
    const letters = [...settled].toSorted(([a], [b]) => a - b).flatMap(([, letter]) => (letter === undefined ? [] : [letter]));
    if (letters.length === 0) return;
    await this.#options.deadLetters.write({ task, generation, seq, effect: n, letters });
    this.#options.telemetry.add("turn.deadLetters", letters.length);
  }

  #keep(task: string, progress: Progress): void {
    this.#progress.delete(task);
    this.#progress.set(task, progress);
    if (this.#progress.size > tasksMax) this.#progress.delete(this.#progress.keys().next().value!);
  }
}

/** Of each group the first; and all that are in none. */
function firstOfGroups(messages: readonly OutgoingMessage[]): readonly OutgoingMessage[] {
  const seen = new Set<string>();
  return messages.filter(({ group }) => {
    if (group === undefined) return true;
    if (seen.has(group)) return false;
    seen.add(group);
    return true;
  });
}

function letterOf(operator: OperatorUid, message: OutgoingMessage, reason: string): DeadLetter {
  const { id, body } = message;
  const back = { what: "message", to: operator, value: encodeMessages([message]) } as const;
  return { operator, reason, shard: "", position: id, bytes: body, back };
}
