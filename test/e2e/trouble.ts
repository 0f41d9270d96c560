/**
 * What goes wrong while a job runs, from one seed: processes killed with -9, calls refused, and answers that never arrive.
 *
 * A function is killed again only when it has got on since: on a machine that is busy with other things, kills by the clock alone would let
 * nothing be done between them, and what somebody dies of again and again is, rightly, taken for what kills.
 */
import type { CloudEvent, EmulatedCloud } from "../../emulator/cloud/index.ts";
import { SeededRandom } from "../../runtime/base/seeded-random.ts";
import type { JobInCloud } from "./job-in-cloud.ts";

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

/** So many invocations of a function return from one of its kills to the next. */
const returnedMin = 5;

export class Trouble {
  readonly counts: TroubleCounts = { kills: 0, coordinatorKills: 0, throttles: 0, drops: 0 };
  readonly #cloud: EmulatedCloud;
  readonly #options: TroubleOptions;
  readonly #random: SeededRandom;
  /** By function, how many of its invocations have returned since it was killed; none that was not. */
  readonly #returned = new Map<string, number>();
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

  /** What happens in the cloud. */
  take(event: CloudEvent): void {
    if (event.kind !== "report" || event.report.outcome !== "returned") return;
    const { functionName } = event.report;
    const before = this.#returned.get(functionName);
    if (before !== undefined) this.#returned.set(functionName, before + 1);
  }

  /** Stops, once there was some of each. */
  async stopInTime(job: Pick<JobInCloud, "until">): Promise<void> {
    const { counts } = this;
    const { killEvery, throttleChance, dropChance } = this.#options;
    const wasFaulty = () => counts.throttles + counts.drops > 0 || throttleChance + dropChance === 0;
    const wasDeadly = () => counts.kills > 0 || killEvery === undefined;
    await job.until("something has gone wrong", async () => (wasFaulty() && wasDeadly() ? true : undefined));
    this.stop();
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
    const living = this.#cloud.environments(ofCoordinator ? coordinator : undefined);
    const mayDie = living.filter(({ functionName }) => (this.#returned.get(functionName) ?? returnedMin) >= returnedMin);
    if (mayDie.length === 0) return;
    const killed = this.#random.pick(mayDie);
    killed.kill();
    this.#returned.set(killed.functionName, 0);
    this.counts.kills++;
    if (killed.functionName === coordinator) this.counts.coordinatorKills++;
  }
}
