/**
 * Sources one after the other as one: a backfill, then the live stream (Flink's HybridSource). The declaration; what reads it is
 * hybrid-reader.ts.
 */
import type { Source } from "../../api/connector.ts";
import { MillraceError } from "../../base/errors.ts";

/**
 * Reads each source to its end before the next one's first record, all with the same timestamps and watermarks: event time goes on from
 * where the slowest shard of the former stood. All but the last must be bounded. Where the last begins is its own to say: give
 * `kinesis` a `startFrom` at which the objects end. Nobody but the author can know whether they meet: what lies in both is read twice. Throws
 * `invalid` for sources that cannot follow one another.
 */
export function hybrid<T>(first: Source<T>, ...others: readonly Source<T>[]): Source<T> {
  const parts = [first, ...others];
  const last = parts.at(-1)!;
  if (parts.length < 2) throw new MillraceError("invalid", `a hybrid source has at least two parts: ${first.name}`);
  const nested = parts.find((part) => part.parts !== undefined);
  if (nested !== undefined)
    throw new MillraceError("invalid", `a hybrid source has no parts that have parts, name them all: ${nested.name}`);
  const endless = parts.slice(0, -1).find(({ bounded }) => !bounded);
  if (endless !== undefined)
    throw new MillraceError(
      "invalid",
      `only the last part of a hybrid source may go on for ever, nothing comes after it: ${endless.name}`,
    );
  const name = parts.find((part, n) => parts.findIndex((other) => other.name === part.name) !== n)?.name;
  if (name !== undefined)
    throw new MillraceError("invalid", `the parts of a hybrid source are bound by their names, two have the same: ${name}`);
  return {
    kind: "hybrid",
    name: last.name,
    bounded: last.bounded,
    options: { parts: parts.map(({ kind, name: of, options }) => ({ kind, name: of, options })) },
    parts,
    decode: (record, target) => (parts[record.part ?? parts.length - 1] as Source<T>).decode(record, target),
  };
}

/** What a source reads: itself, or its parts. */
export function partsOf(source: Source<any>): readonly Source<any>[] {
  return source.parts ?? [source];
}
