import { describe, it } from "node:test";
import assert from "node:assert/strict";
import fc from "fast-check";
import { TwoInputValve, type TwoInputChange, type ValveSide } from "../../runtime/time/two-input-valve.ts";
import { WatermarkValve } from "../../runtime/time/watermark-valve.ts";
import { maxWatermark, minWatermark } from "../../runtime/time/watermark.ts";

type Sent = number | "idle" | "active";

/** What a change sends on, in its order. */
function sent({ flushed, watermark, status }: TwoInputChange): Sent[] {
  const out: Sent[] = [flushed, watermark].filter((at) => at !== undefined);
  if (status === "active") out.unshift("active");
  if (status === "idle") out.push("idle");
  return out;
}

type Step =
  | { readonly side: ValveSide; readonly channel: number; readonly at: number }
  | { readonly side: ValveSide; readonly channel: number; readonly active: boolean };

const place = { side: fc.constantFrom<ValveSide>(0, 1), channel: fc.nat(1) };
const steps = fc.array(
  fc.oneof(
    { weight: 3, arbitrary: fc.record({ ...place, at: fc.integer({ min: 0, max: 40 }) }) },
    fc.record({ ...place, active: fc.boolean() }),
  ),
  { maxLength: 60, size: "max" },
) as fc.Arbitrary<Step[]>;

/**
 * Flink's two-input operator by its own words: each input's valve sends watermarks and statuses one after the other, and after each of
 * them the combined watermark is looked at anew over the inputs that are not idle.
 */
class Model {
  readonly #valves = [0, 1].map(() => {
    const valve = new WatermarkValve();
    valve.add("0");
    valve.add("1");
    return valve;
  });
  readonly #at = [minWatermark, minWatermark];
  readonly #idle = [false, false];
  combined = minWatermark;

  step(step: Step): Sent[] {
    const valve = this.#valves[step.side]!;
    const change =
      "at" in step
        ? { watermark: valve.advance(String(step.channel), step.at), status: undefined }
        : valve.setStatus(String(step.channel), step.active);
    return sent(change).flatMap((item) => this.#take(step.side, item));
  }

  #take(side: number, item: Sent): Sent[] {
    const before = this.#idle.every((idle) => idle);
    if (typeof item === "number") this.#at[side] = item;
    else this.#idle[side] = item === "idle";
    const counted = this.#at.filter((_, of) => !this.#idle[of]);
    const lowest = Math.min(...counted);
    const moved = counted.length > 0 && lowest > this.combined ? [(this.combined = lowest)] : [];
    const after = this.#idle.every((idle) => idle);
    if (before === after) return moved;
    return after ? [...moved, "idle"] : ["active", ...moved];
  }
}

const valve = (): TwoInputValve => {
  const made = new TwoInputValve();
  for (const side of [0, 1] as const) for (const channel of [0, 1]) made.add(`${side}:${channel}`, side);
  return made;
};

describe("TwoInputValve", () => {
  it("sends what Flink's operator behind two valves sends, also when restored after any step", () => {
    fc.assert(
      fc.property(steps, fc.boolean(), (steps, restores) => {
        const model = new Model();
        let real = valve();
        for (const step of steps) {
          const name = `${step.side}:${step.channel}`;
          const change =
            "at" in step ? { watermark: real.advance(name, step.at), status: undefined } : real.setStatus(name, step.active);
          assert.deepEqual(sent(change), model.step(step));
          assert.equal(real.watermark, model.combined);
          if (restores) real = TwoInputValve.restore(real.snapshot(), real.watermark);
        }
      }),
      { numRuns: 500 },
    );
  });

  it("lets a side that goes idle say its last, then goes on by the other", () => {
    const two = valve();
    two.advance("0:0", 10);
    two.advance("0:1", 30);
    two.advance("1:0", 50);
    assert.equal(two.advance("1:1", 40), 10);
    two.setStatus("0:1", false);
    assert.deepEqual(sent(two.setStatus("0:0", false)), [30, 40]);
    two.setStatus("1:0", false);
    assert.deepEqual(sent(two.setStatus("1:1", false)), [50, "idle"], "the right valve flushes while it still counts");
    assert.deepEqual(sent(two.setStatus("0:0", true)), ["active"]);
    assert.equal(two.advance("0:0", 45), undefined, "it never goes back");
    assert.equal(two.advance("0:0", 51), 51);
  });

  it("stays where it is when both sides are idle (S3)", () => {
    const two = new TwoInputValve();
    two.add("left", 0);
    two.add("right", 1);
    two.advance("left", 10);
    two.advance("right", 5);
    assert.deepEqual(sent(two.setStatus("left", false)), []);
    assert.deepEqual(sent(two.setStatus("right", false)), ["idle"]);
    assert.equal(two.watermark, 5);
  });

  it("counts a side with inputs alone (S4)", () => {
    const left = new TwoInputValve();
    left.add("a", 0);
    left.add("b", 0);
    left.advance("a", 7);
    assert.equal(left.advance("b", 5), 5);
    left.setStatus("a", false);
    assert.deepEqual(sent(left.setStatus("b", false)), [7, "idle"]);
    assert.equal(new TwoInputValve().status, "active");
  });

  it("goes on by the other side when one has ended, and ends with both", () => {
    const two = valve();
    two.advance("1:0", 20);
    two.advance("1:1", 30);
    two.end("0:0");
    assert.deepEqual(sent(two.end("0:1")), [20]);
    two.end("1:0");
    assert.deepEqual(sent(two.end("1:1")), [maxWatermark]);
  });

  it("does not end event time when one side ends beside one that is idle, in whatever order", () => {
    for (const finishFirst of [true, false]) {
      const two = new TwoInputValve();
      two.add("left", 0);
      two.add("right", 1);
      two.advance("left", 10);
      two.advance("right", 5);
      const finish = () => sent(two.finish("left"));
      const idle = () => sent(two.setStatus("right", false));
      assert.deepEqual(finishFirst ? [...finish(), ...idle()] : [...idle(), ...finish()], finishFirst ? ["idle"] : [10, "idle"]);
      const again = TwoInputValve.restore(two.snapshot(), two.watermark);
      for (const valve of [two, again]) {
        assert.deepEqual(sent(valve.end("left")), []);
        assert.deepEqual(sent(valve.setStatus("right", true)), ["active"]);
        assert.equal(valve.advance("right", 20), 20);
        assert.deepEqual(sent(valve.finish("right")), [maxWatermark]);
      }
    }
  });

  it("puts a child on its parents' side, where it waits for them", () => {
    const two = valve();
    for (const name of ["0:0", "0:1", "1:0", "1:1"]) two.advance(name, 10);
    assert.deepEqual(sent(two.addChild("0:2", ["0:0", "0:1"])), []);
    two.advance("1:0", 40);
    assert.equal(two.advance("1:1", 40), undefined);
    two.end("0:0", true);
    two.end("0:1", true);
    assert.equal(two.watermark, 10);
    assert.equal(two.advance("0:2", 25), 25);
    const again = TwoInputValve.restore(two.snapshot(), two.watermark);
    assert.equal(again.advance("0:2", 60), 40);
  });

  it("begins on both sides where it is told to", () => {
    const two = new TwoInputValve(100);
    two.add("left", 0);
    two.add("right", 1);
    assert.equal(two.watermark, 100);
    assert.equal(two.advance("left", 150), undefined);
    assert.equal(two.advance("right", 90), undefined);
    assert.equal(two.advance("right", 120), 120);
  });
});
