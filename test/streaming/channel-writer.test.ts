/** The upstream end of a channel: N1 frames are numbered without gaps over all commits, whatever was taken back; L15 none is too long. */
import { test } from "node:test";
import assert from "node:assert/strict";
import fc from "fast-check";
import { id, type ChannelId } from "../../runtime/base/ids.ts";
import { ChannelWriter } from "../../runtime/streaming/channel-writer.ts";
import { readElement } from "../../runtime/streaming/element.ts";
import { readFrame } from "../../runtime/streaming/frame.ts";

const header = { job: "job", generation: 1, deployment: 1, channel: id<ChannelId>("g1.a~0>g1.b~0") };
const frameBytesMax = 200;

/** The elements of frames, which must follow one another from `next` on. */
function read(frames: readonly Uint8Array[], next: number): readonly unknown[] {
  return frames.flatMap((bytes, n) => {
    assert.ok(bytes.length <= frameBytesMax, `a frame of ${bytes.length} bytes`);
    const frame = readFrame(bytes);
    assert.equal(frame.seq, next + n);
    const elements: unknown[] = [];
    while (!frame.elements.done) elements.push(readElement(frame.elements));
    assert.ok(elements.length > 0, "no frame is empty");
    return elements;
  });
}

const step = fc.oneof(
  { weight: 6, arbitrary: fc.record({ kind: fc.constant("record" as const), size: fc.integer({ min: 0, max: 130 }) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("watermark" as const), size: fc.nat() }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("barrier" as const), size: fc.nat() }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("oversize" as const), size: fc.integer({ min: 200, max: 400 }) }) },
);
type Step = typeof step extends fc.Arbitrary<infer S> ? S : never;

/** Writes, and answers what should arrive. */
function write(writer: ChannelWriter, { kind, size }: Step): readonly unknown[] {
  if (kind === "record") writer.record(0, "k", 5, "x".repeat(size));
  if (kind === "watermark") writer.watermark(1, size);
  if (kind === "barrier") writer.barrier({ checkpoint: size, savepoint: false, stop: false, declined: false });
  if (kind === "oversize") {
    assert.throws(() => writer.record(0, "k", 5, "x".repeat(size)), {
      kind: "invalid",
      message: /does not fit into a frame of 200/,
    });
    return [];
  }
  if (kind === "record") return [{ kind, edge: 0, key: "k", timestamp: 5, value: "x".repeat(size) }];
  if (kind === "watermark") return [{ kind, edge: 1, at: size }];
  return [{ kind, barrier: { checkpoint: size, savepoint: false, stop: false, declined: false } }];
}

const units = fc.array(
  fc.record({ steps: fc.array(step, { maxLength: 6 }), then: fc.constantFrom("keep", "takeBack", "commit", "wait") }),
);

test("what is written arrives once and in order; what is taken back does not; frames have no gap", () => {
  fc.assert(
    fc.property(units, (list) => {
      let writer = new ChannelWriter(header, 3, frameBytesMax);
      let expected: unknown[] = [];
      let next = 3;
      for (const { steps, then } of [...list, { steps: [], then: "commit" }]) {
        const mark = writer.mark();
        const written = steps.flatMap((each) => write(writer, each));
        if (then === "takeBack") writer.rollback(mark);
        else expected.push(...written);
        if (then === "wait" && writer.mayWait) {
          assert.ok(expected.every((element) => (element as { kind: string }).kind === "watermark"));
          writer = new ChannelWriter(header, writer.next, frameBytesMax, writer.waiting);
        }
        if (then !== "commit") continue;
        const frames = writer.take();
        assert.deepEqual(read(frames, next), expected);
        next += frames.length;
        assert.equal(writer.next, next);
        assert.equal(writer.sizeBytes, 0);
        expected = [];
      }
    }),
    { numRuns: 800 },
  );
});
