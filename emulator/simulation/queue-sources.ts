/** Sources of simulated jobs as queues of SQS: what is sent to them, and what a job declares. */
import type { Source } from "../../runtime/api/connector.ts";
import type { SeededRandom } from "../../runtime/base/seeded-random.ts";
import { json } from "../../runtime/connectors/formats/json.ts";
import { sqs } from "../../runtime/connectors/sqs/sqs.ts";
import type { SimRecord } from "../../runtime/testing/simulation/workload.ts";
import type { QueuedRecord } from "./queued-topology.ts";
import type { SimulatedQueue } from "./simulated-queue.ts";

/** In the place of a source that is simulated itself. */
export function queueSource(name: string): Source<QueuedRecord> {
  const { kind, bounded, options, decode } = sqs({ queue: name, format: json<SimRecord>() });
  return {
    ...{ kind, name, bounded, options },
    decode: (record, target) =>
      decode(record, {
        accept: ({ id: messageId, body }) => target.accept({ ...body, messageId }),
        reject: (reason, bytes) => target.reject(reason, bytes),
      }),
  };
}

/** By source. */
export class QueueSources {
  readonly #queues: ReadonlyMap<string, SimulatedQueue>;
  readonly #left: ReadonlyMap<string, SimRecord[]>;

  constructor(queues: ReadonlyMap<string, SimulatedQueue>, records: ReadonlyMap<string, readonly SimRecord[]>) {
    this.#queues = queues;
    this.#left = new Map([...records].map(([source, own]) => [source, [...own]]));
  }

  get(source: string): SimulatedQueue | undefined {
    return this.#queues.get(source);
  }

  get produced(): boolean {
    return [...this.#left.values()].every((own) => own.length === 0);
  }

  /** Sends the next few records of a source. */
  produce(random: SeededRandom): void {
    const [source, left] = random.pick([...this.#left].filter(([, own]) => own.length > 0));
    for (const record of left.splice(0, random.between(1, 8)))
      this.#queues.get(source)!.send({ body: JSON.stringify(record), group: record.key, deduplicationId: String(record.id) });
  }
}
