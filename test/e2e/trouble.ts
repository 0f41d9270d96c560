/** What goes wrong while a job runs, from one seed: processes killed with -9, calls refused, and answers that never arrive. */
import type { EmulatedCloud } from "../../emulator/cloud/index.ts";
import { SeededRandom } from "../../runtime/base/seeded-random.ts";

export interface TroubleCounts {
  kills: number;
  /** Of them, of the coordinator. */
  coordinatorKills: number;
  throttles: number;
  /** Connections cut: before the call took effect, or after. */
  drops: number;
}

export interface TroubleOptions {
  readonly seed: number;
  /** From one kill to the next, ms; undefined: none. */
  readonly killEvery: readonly [min: number, max: number] | undefined;
  /** That a call is refused, and that its connection is cut. */
  readonly throttleChance: number;
  readonly dropChance: number;
  /** Streams whose calls go well: those that the test itself puts into. */
  readonly spared: ReadonlySet<string>;
  readonly coordinator: string;
}

export class Trouble {
  readonly counts: TroubleCounts = { kills: 0, coordinatorKills: 0, throttles: 0, drops: 0 };
  readonly #cloud: EmulatedCloud;
  readonly #options: TroubleOptions;
  readonly #random: SeededRandom;
  #timer: NodeJS.Timeout | undefined;

  constructor(cloud: EmulatedCloud, options: TroubleOptions) {
    this.#cloud = cloud;
    this.#options = options;
    this.#random = new SeededRandom(options.seed);
  }

  start(): void {
    const http = () => {
      const fault = this.#fault();
      return fault === "refuse" ? this.#random.pick(["throttle", "unavailable"] as const) : fault;
    };
    this.#cloud.setFaults({
      dynamodb: http,
      s3: http,
      lambda: http,
      kinesis: ({ operation, input }) => {
        if (operation.startsWith("Put") && this.#options.spared.has(input.text("StreamName") ?? "")) return undefined;
        const fault = this.#fault();
        if (fault === undefined) return undefined;
        if (fault !== "refuse") return { kind: fault };
        if (operation === "PutRecords" && this.#random.chance(0.5)) return { kind: "throttleRecords", picks: (n) => n % 2 === 0 };
        return { kind: "refuse", type: "ProvisionedThroughputExceededException" };
      },
    });
    this.#killLater();
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#cloud.setFaults({});
  }

  #fault(): "refuse" | "dropBefore" | "dropAfter" | undefined {
    const { throttleChance, dropChance } = this.#options;
    const drawn = this.#random.next();
    if (drawn < throttleChance) {
      this.counts.throttles++;
      return "refuse";
    }
    if (drawn >= throttleChance + dropChance) return undefined;
    this.counts.drops++;
    return this.#random.pick(["dropBefore", "dropAfter"] as const);
  }

  #killLater(): void {
    if (this.#options.killEvery === undefined) return;
    const [min, max] = this.#options.killEvery;
    this.#timer = setTimeout(
      () => {
        this.#kill();
        this.#killLater();
      },
      min + this.#random.int(max - min),
    );
  }

  #kill(): void {
    const { coordinator } = this.#options;
    const ofCoordinator = this.#random.chance(0.2);
    const killed = this.#cloud.killEnvironment(() => this.#random.next(), ofCoordinator ? coordinator : undefined);
    if (killed === undefined) return;
    this.counts.kills++;
    if (killed.functionName === coordinator) this.counts.coordinatorKills++;
  }
}
