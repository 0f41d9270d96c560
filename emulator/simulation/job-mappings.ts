/**
 * The event source mappings of a simulated job: of each stream, table and queue that its plan reads, one, which invokes the function that the stream is for.
 *
 * M1 A mapping discards nothing.
 */
import { EventSourceMapping } from "../event-source-mapping/event-source-mapping.ts";
import { KinesisStream } from "../event-source-mapping/kinesis-stream.ts";
import type { MappingEvent } from "../event-source-mapping/mapping-events.ts";
import type { FunctionInvoker } from "../lambda/execution-environment.ts";
import { QueueMapping } from "../messaging/queue-mapping.ts";
import type { DeploymentWorld } from "./deployment-world.ts";
import type { Input } from "./sdk-clients.ts";
import type { SimulatedFunction } from "./simulated-function.ts";
import type { SimulatedQueue } from "./simulated-queue.ts";
import { TableEvents } from "./table-sources.ts";

export interface JobMappingsOptions {
  readonly job: string;
  readonly world: DeploymentWorld;
  /** By name. */
  readonly functions: ReadonlyMap<string, SimulatedFunction>;
}

export class JobMappings {
  readonly #options: JobMappingsOptions;
  /** By stream. */
  readonly #mappings = new Map<string, EventSourceMapping | QueueMapping>();
  /** By stream, the function that its mapping invokes. */
  #routes: ReadonlyMap<string, string> = new Map();

  constructor(options: JobMappingsOptions) {
    this.#options = options;
  }

  /** Makes those that are new, and ends those that lead nowhere any more. */
  provision(routes: ReadonlyMap<string, string>): void {
    this.#routes = routes;
    for (const [stream, mapping] of this.#mappings)
      if (!routes.has(stream)) {
        this.#mappings.delete(stream);
        void mapping.stop();
      }
    for (const stream of routes.keys()) if (!this.#mappings.has(stream)) this.#mappings.set(stream, this.#mapping(stream));
  }

  #mapping(stream: string): EventSourceMapping | QueueMapping {
    const queue = this.#options.world.queues.get(stream);
    return queue === undefined ? this.#streamMapping(stream) : this.#queueMapping(stream, queue);
  }

  #invokerOf(stream: string): FunctionInvoker {
    const { functions } = this.#options;
    return { invoke: (payload) => functions.get(this.#routes.get(stream)!)!.invoke(payload) };
  }

  #queueMapping(source: string, queue: SimulatedQueue): QueueMapping {
    const { world, job } = this.#options;
    const { clock, settings } = world;
    const window = settings.fifoSources ? 0 : settings.batchingWindowSeconds;
    return new QueueMapping({
      queue,
      region: "us-east-1",
      invoker: this.#invokerOf(source),
      clock,
      settings: {
        batchSize: window === 0 ? Math.min(10, settings.batchMax) : settings.batchMax,
        maximumBatchingWindowInSeconds: window,
        functionResponseTypes: ["ReportBatchItemFailures"],
        maximumConcurrency: 2,
      },
      pollIntervalMs: 2_000,
      onEvent: ({ messages, failed, why = "answered" }) =>
        world.traced(`${job}: mapping`, `${source} ${messages} messages, ${failed} failed: ${why}`),
    });
  }

  #streamMapping(stream: string): EventSourceMapping {
    const { world } = this.#options;
    const { calls, clock, settings, random } = world;
    // Of the pollers' own: not the faults' concern.
    const client = { send: (command: object & { input: Input }) => world.pollerRequest(command) };
    const records = new KinesisStream(client as never, stream);
    const isTable = settings.sources === "tables" && world.topology.sources.includes(stream);
    return new EventSourceMapping({
      stream: isTable ? new TableEvents(stream, records) : records,
      invoker: this.#invokerOf(stream),
      clock,
      seed: random.int(2 ** 31),
      settings: {
        startingPosition: "TRIM_HORIZON",
        batchSize: settings.batchMax,
        maximumBatchingWindowInSeconds: settings.batchingWindowSeconds,
        functionResponseTypes: ["ReportBatchItemFailures"],
      },
      timings: { backOffMs: 400, backOffMsMax: 6_000, shardDiscoveryMs: 4_000 },
      faults: {
        get duplicateChance() {
          return calls.mix.duplicate;
        },
        get goBackChance() {
          return calls.mix.wentBack;
        },
      },
      onEvent: (event) => this.#onEvent(stream, event),
    });
  }

  #onEvent(stream: string, event: MappingEvent): void {
    const { world, job } = this.#options;
    const { counts } = world.calls;
    if (event.kind === "wentBack") counts.wentBack++;
    if (event.kind === "discarded") world.fail(`M1: the mapping of ${stream} discarded records`);
    if (event.kind !== "invoked") return;
    if (event.isDuplicate) counts.duplicate++;
    const [first] = event.sequenceNumbers;
    const what = `${stream} ${event.shardId.slice(-2)} ${event.sequenceNumbers.length} from ${first?.slice(-9)}: ${event.outcome}`;
    world.traced(`${job}: mapping`, event.isDuplicate ? `${what}, a duplicate` : what);
  }
}
