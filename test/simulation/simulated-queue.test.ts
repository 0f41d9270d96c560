/** The queue of a simulated deployment keeps to what SQS promises, and to no more. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { noDeploymentFaults } from "../../emulator/simulation/deployment-faults.ts";
import { ServiceCalls } from "../../emulator/simulation/service-calls.ts";
import { SimulatedQueue } from "../../emulator/simulation/simulated-queue.ts";
import { VirtualClock } from "../../emulator/virtual-clock.ts";
import { SeededRandom } from "../../runtime/base/seeded-random.ts";
import { Trace } from "../../runtime/testing/simulation/trace.ts";

const visibilityMs = 1_000;

function openQueue(name: string, receivedTwice = 0) {
  const clock = new VirtualClock();
  const random = new SeededRandom(1);
  const calls = new ServiceCalls(clock, random, new Trace(), { ...noDeploymentFaults, receivedTwice });
  return { clock, queue: new SimulatedQueue({ name, clock, random, calls, visibilityMs }) };
}

const bodiesOf = (messages: readonly { readonly body: string }[]) => messages.map(({ body }) => body);

describe("a simulated queue", () => {
  test("brings again what is not deleted in time", async () => {
    const { clock, queue } = openQueue("tasks");
    queue.send({ body: "x" });
    assert.deepEqual(bodiesOf(queue.receive(10)), ["x"]);
    assert.deepEqual(queue.receive(10), []);
    await clock.advance(visibilityMs);
    const [again] = queue.receive(10);
    assert.equal(again!.attributes.ApproximateReceiveCount, "2");
    queue.delete(again!.receiptHandle);
    await clock.advance(visibilityMs);
    assert.deepEqual(queue.receive(10), []);
    assert.ok(queue.isEmpty);
  });

  test("may bring a message twice at once", () => {
    const { queue } = openQueue("tasks", 1);
    queue.send({ body: "x" });
    assert.deepEqual([...bodiesOf(queue.receive(1)), ...bodiesOf(queue.receive(1))], ["x", "x"]);
  });

  test("of a FIFO queue a group waits for the one before, and an id is taken once within five minutes", async () => {
    const { clock, queue } = openQueue("tasks.fifo");
    for (const body of ["a1", "a2", "b1"]) queue.send({ body, group: body[0], deduplicationId: body });
    queue.send({ body: "a1", group: "a", deduplicationId: "a1" });
    assert.deepEqual(bodiesOf(queue.receive(1)), ["a1"]);
    assert.deepEqual(bodiesOf(queue.receive(10)), ["b1"]);
    await clock.advance(5 * 60_000);
    queue.send({ body: "a1 again", group: "c", deduplicationId: "a1" });
    assert.deepEqual(bodiesOf(queue.receive(10)), ["a1", "a2", "b1", "a1 again"]);
  });
});
