/**
 * The event source mappings of a simulated job: of each stream that its plan has, one, which invokes the function that the stream is for.
 *
 * M1 A mapping discards nothing.
 */
import { EventSourceMapping } from "../event-source-mapping/event-source-mapping.ts";
import { KinesisStream } from "../event-source-mapping/kinesis-stream.ts";
import type { MappingEvent } from "../event-source-mapping/mapping-events.ts";
import type { DeploymentWorld } from "./deployment-world.ts";
import type { Input } from "./sdk-clients.ts";
import type { SimulatedFunction } from "./simulated-function.ts";

export interface JobMappingsOptions {
  readonly job: string;
  readonly world: DeploymentWorld;
  /** By name. */
  readonly functions: ReadonlyMap<string, SimulatedFunction>;
}

export class JobMappings {
  readonly #options: JobMappingsOptions;
  /** By stream. */
  readonly #mappings = new Map<string, EventSourceMapping>();
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

  #mapping(stream: string): EventSourceMapping {
    const { world, functions } = this.#options;
    const { calls, clock, settings, random } = world;
    // Of the pollers' own: not the faults' concern.
    const client = { send: (command: object & { input: Input }) => world.pollerRequest(command) };
    return new EventSourceMapping({
      stream: new KinesisStream(client as never, stream),
      invoker: { invoke: (payload) => functions.get(this.#routes.get(stream)!)!.invoke(payload) },
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
