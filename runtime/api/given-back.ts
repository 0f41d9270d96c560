/** How what was put aside can be given back to the operator that it was for: in commits, and as JSON in dead letters. */
import type { Generation, Seq, TaskId } from "../base/ids.ts";
import * as is from "../base/shape.ts";
import type { ChangeKind } from "./connector.ts";
import type { Side } from "./graph.ts";

/**
 * How what was put aside can be given back to the operator that it was for. Keys and values are encoded; a timestamp that is not there is
 * none.
 *
 * - `record`: came over an exchange; the letter's bytes are the record.
 * - `copy`: of one that every task has got, that of the task with this part of the hash space, as hexadecimal digits.
 * - `timer`: had come due, and its callback failed.
 * - `row`: a sink could not write it; `as` is what it would have been written as.
 * - `message`: was sent, and refused for good by who received it.
 */
export type GivenBack =
  | { readonly what: "record"; readonly to: string; readonly input: Side; readonly key?: Uint8Array; readonly timestamp?: number }
  | { readonly what: "copy"; readonly to: string; readonly input: Side; readonly range: string; readonly timestamp?: number }
  | { readonly what: "timer"; readonly to: string; readonly key: Uint8Array; readonly value: Uint8Array }
  | {
      readonly what: "row";
      readonly to: string;
      readonly value: Uint8Array;
      readonly change: ChangeKind;
      readonly as: WrittenAs;
      readonly timestamp?: number;
    }
  | { readonly what: "message"; readonly to: string; readonly value: Uint8Array };

/** What the version and the id of a row outside are made of (R8). */
export interface WrittenAs {
  readonly generation: Generation;
  readonly task: TaskId;
  /** With the task's version offset. */
  readonly seq: Seq;
  readonly n: number;
}

/** Of `WrittenAs`. */
export const writtenAsShape = is.object({ generation: is.count, task: is.text, seq: is.count, n: is.count });
export const changeShape = is.oneOf("+I", "-U", "+U", "-D");

/** Of `GivenBack`. */
export const backShape = is.tagged("what", {
  record: is.object({ to: is.text, input: is.oneOf(0, 1), key: is.optional(is.bytes), timestamp: is.optional(is.time) }),
  copy: is.object({ to: is.text, input: is.oneOf(0, 1), range: is.text, timestamp: is.optional(is.time) }),
  timer: is.object({ to: is.text, key: is.bytes, value: is.bytes }),
  row: is.object({
    ...{ to: is.text, value: is.bytes, change: changeShape, as: writtenAsShape },
    timestamp: is.optional(is.time),
  }),
  message: is.object({ to: is.text, value: is.bytes }),
});

/** How it is given back, as it stands in JSON: bytes as base64, a timestamp that there is not as null. */
export type BackLine =
  | {
      readonly what: "record";
      readonly to: string;
      readonly input: Side;
      readonly key?: string;
      readonly timestamp: number | null;
    }
  | {
      readonly what: "copy";
      readonly to: string;
      readonly input: Side;
      readonly range: string;
      readonly timestamp: number | null;
    }
  | { readonly what: "timer"; readonly to: string; readonly key: string; readonly value: string }
  | {
      readonly what: "row";
      readonly to: string;
      readonly value: string;
      readonly change: ChangeKind;
      readonly as: WrittenAs;
      readonly timestamp: number | null;
    }
  | { readonly what: "message"; readonly to: string; readonly value: string };

/** A way back for JSON. */
export function backLine(back: GivenBack): BackLine {
  const text = (bytes: Uint8Array) => Buffer.from(bytes).toString("base64");
  switch (back.what) {
    case "record": {
      const { key, ...rest } = back;
      return { ...rest, ...(key !== undefined && { key: text(key) }), timestamp: back.timestamp ?? null };
    }
    case "copy":
      return { ...back, timestamp: back.timestamp ?? null };
    case "timer":
      return { ...back, key: text(back.key), value: text(back.value) };
    case "row":
      return { ...back, value: text(back.value), timestamp: back.timestamp ?? null };
    case "message":
      return { ...back, value: text(back.value) };
  }
}

const timestampShape = (value: unknown) => (value === null ? undefined : is.time(value));

/** Of `BackLine`. */
export const backLineShape = is.tagged("what", {
  record: is.object({ to: is.text, input: is.oneOf(0, 1), key: is.optional(is.text), timestamp: timestampShape }),
  copy: is.object({ to: is.text, input: is.oneOf(0, 1), range: is.text, timestamp: timestampShape }),
  timer: is.object({ to: is.text, key: is.text, value: is.text }),
  row: is.object({ to: is.text, value: is.text, change: changeShape, as: writtenAsShape, timestamp: timestampShape }),
  message: is.object({ to: is.text, value: is.text }),
});
