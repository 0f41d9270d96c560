/** The form of a commit, of which a reader makes sure before anything is done with it. */
import { backShape, writtenAsShape } from "../api/given-back.ts";
import * as is from "../base/shape.ts";

export const blobRangeShape = is.object({ blob: is.text, offset: is.count, length: is.count });

/** Or "horizon". */
const positionShape = is.text;
const listOfTexts = is.listOf(is.text);

export const successorsShape = is.listOf(is.object({ task: is.text, parents: listOfTexts }));

export const totalsShape = is.object({ records: is.count, deadLetters: is.count, lateDropped: is.count });

/** Of `Progress["sources"]`. */
export const sourcesShape = is.mapOf(
  is.object({
    shards: is.mapOf(
      is.object({
        position: positionShape,
        readUpTo: is.time,
        ended: is.flag,
        parents: listOfTexts,
        tip: is.optional(is.text),
      }),
    ),
  }),
);

const progressShape = is.object({
  sources: sourcesShape,
  inbox: positionShape,
  channels: is.mapOf(
    is.object({ expected: is.count, status: is.oneOf("live", "ended", "unknown", "waiting"), parents: listOfTexts }),
  ),
  sent: is.mapOf(is.count),
  watermarks: is.optional(is.object({ sentAt: is.time, waiting: is.mapOf(is.bytes) })),
  told: is.optional(is.object({ at: is.optional(is.time), toldAt: is.time })),
  valves: is.mapOf(is.anything),
  alignment: is.object({
    last: is.count,
    rests: is.optional(is.flag),
    current: is.optional(
      is.object({ checkpoint: is.count, savepoint: is.flag, stop: is.optional(is.flag), arrived: listOfTexts }),
    ),
  }),
  sorts: is.optional(is.mapOf(is.anything)),
  sinks: is.mapOf(is.anything),
  now: is.time,
  ended: is.flag,
  successors: successorsShape,
  versionOffset: is.count,
  letters: is.optional(is.object({ since: is.time, count: is.count })),
  totals: totalsShape,
});

const effectShape = is.tagged("effect", {
  send: is.object({ channel: is.text, frames: is.listOf(is.bytes) }),
  sink: is.object({ operator: is.text, n: is.count, payload: is.bytes, as: is.optional(writtenAsShape) }),
  deadLetter: is.object({
    ...{ operator: is.text, reason: is.text, shard: is.text, position: is.text, bytes: is.bytes },
    ...{ source: is.optional(is.text), header: is.optional(is.text), back: is.optional(backShape) },
  }),
  acknowledge: is.object({ checkpoint: is.count, index: is.optional(blobRangeShape), declined: is.flag }),
  ended: is.object({ index: is.optional(blobRangeShape) }),
  wakeAt: is.object({ at: is.time, by: is.time }),
  align: is.object({ group: is.text, at: is.optional(is.time) }),
});

/** Without its rows, which are not part of the value. */
export const commitShape = is.object({
  generation: is.count,
  deployment: is.count,
  task: is.text,
  seq: is.count,
  attempt: is.text,
  by: is.oneOf("mapping", "poke", "seal"),
  done: is.count,
  progress: progressShape,
  held: is.object({ added: is.listOf(is.bytes), released: is.listOf(is.count) }),
  effects: is.listOf(effectShape),
  base: is.optional(is.object({ seq: is.count, index: is.optional(blobRangeShape), local: is.optional(blobRangeShape) })),
});
