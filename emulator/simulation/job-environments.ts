/**
 * The execution environments of a simulated job's functions: each a process of its own, with the real handler and the real adapters on
 * clients of its own.
 *
 * C3 No function fails but by what is meant to be tried again, or as code that others have taken over from.
 */
import { createCheckHandler } from "../../functions/check.ts";
import { createCoordinatorHandler } from "../../functions/coordinator.ts";
import { writeSettings } from "../../functions/contract.ts";
import type { CustomResourceOutcome } from "../../functions/custom-resource.ts";
import type { InvocationTelemetry } from "../../functions/function-telemetry.ts";
import { openSinks } from "../../functions/open-sinks.ts";
import { createTaskHandler, type FunctionParts } from "../../functions/task.ts";
import { defaultAttempts } from "../../runtime/driver/attempt-log.ts";
import { safeguardsWithout } from "../../runtime/testing/simulation/rules.ts";
import type { Touch } from "../../runtime/testing/simulation/workload.ts";
import type { ExecutionEnvironmentFactory } from "../lambda/execution-environment.ts";
import type { DeploymentWorld } from "./deployment-world.ts";
import { type OwnSinks, placeOf } from "./deployed-sinks.ts";
import { FunctionEnvironment, type Handler, ProcessClock } from "./function-environment.ts";
import type { Deployed, JobCode } from "./job-code.ts";
import { atService, type JobOutputs } from "./job-outputs.ts";
import { objectBucket } from "./object-sources.ts";
import type { SimulatedFunction } from "./simulated-function.ts";
import { SimulatedProcess } from "./simulated-process.ts";

export const tableName = "state";
export const bucketName = "state-bucket";

/** What is told as an error, and looked at where it leads to. */
const judgedElsewhere: ReadonlySet<string> = new Set(["the invocation failed", "the deployment is refused"]);

export interface JobEnvironmentsOptions {
  readonly job: string;
  readonly world: DeploymentWorld;
  readonly code: JobCode;
  readonly outputs: JobOutputs;
  readonly hasRealSinks: boolean;
  readonly ownSinks: OwnSinks;
  /** By name. */
  readonly functions: ReadonlyMap<string, SimulatedFunction>;
  /** The deployment that is in effect, and the job's generation. */
  readonly now: () => { readonly deployment: number; readonly generation: number };
}

export class JobEnvironments {
  readonly #options: JobEnvironmentsOptions;

  constructor(options: JobEnvironmentsOptions) {
    this.#options = options;
  }

  ofTask(name: string, deployed: Deployed): ExecutionEnvironmentFactory {
    const { world, code } = this.#options;
    const { settings, options } = world;
    return async () => {
      const process = world.newProcess(name);
      const { payload, cacheBytesMax, journalBytesMax, recordsPerTurn, limits } = settings;
      const handler = createTaskHandler(code.job(this.#touchOf(process, deployed), deployed), {
        ...this.#partsOf(process, deployed),
        environment: {
          payload,
          messageBytesMax: payload.inlineBytesMax,
          cacheBytesMax,
          journalBytesMax,
          recordsPerTurn,
          limits,
          firstPart: 2,
          // Environments die here as they never do elsewhere: what happens to a record by chance must not look like poison.
          attempts: { ...defaultAttempts, aloneMax: 6 },
          safeguards: safeguardsWithout(options.without),
        },
      });
      return this.#environment(process, handler, deployed);
    };
  }

  ofCoordinator(name: string, deployed: Deployed): ExecutionEnvironmentFactory {
    const { world, code } = this.#options;
    const { settings, options } = world;
    return async () => {
      const process = world.newProcess(name);
      const handler = createCoordinatorHandler(
        code.job(() => undefined, deployed),
        {
          ...this.#partsOf(process, deployed),
          invoke: (invoked, event) => this.#poke(process, invoked, event),
          environment: { safeguards: safeguardsWithout(options.without) },
          collectEvery: settings.collectEvery,
        },
      );
      return this.#environment(process, handler, deployed);
    };
  }

  /** `onAnswer`: hears what CloudFormation would. */
  ofCheck(name: string, deployed: Deployed, onAnswer: (outcome: CustomResourceOutcome) => void): ExecutionEnvironmentFactory {
    const { world, code } = this.#options;
    return async () => {
      const process = world.newProcess(name);
      const parts = {
        ...this.#partsOf(process, deployed),
        accountLimits: async () => ({ executions: 1_000, unreserved: 1_000 }),
        answer: async (_request: unknown, outcome: CustomResourceOutcome) => onAnswer(outcome),
      };
      const handler = createCheckHandler(
        code.job(() => undefined, deployed),
        parts,
      );
      return this.#environment(process, handler, deployed);
    };
  }

  #environment(process: SimulatedProcess, handler: Handler, deployed: Deployed): FunctionEnvironment {
    const { clock, calls } = this.#options.world;
    return new FunctionEnvironment(process, clock, handler, (one, event, answer, error) => {
      if (error === undefined) return calls.note(one, `answers ${JSON.stringify(answer)}`);
      calls.note(one, `throws ${String(error)}`);
      this.#judge(event, error, deployed);
    });
  }

  /** C3. */
  #judge(event: unknown, error: unknown, { deployment, isMisfit }: Deployed): void {
    const { name } = error as Error;
    const { world, now } = this.#options;
    if (name === "Millrace.unavailable") return;
    if (name === "Millrace.fenced" && deployment < now().deployment) return;
    // What is outside refuses what an environment of an older generation repeats.
    const [, by] = /generation (\d+) has taken /.exec(String(error)) ?? [];
    if (name === "Millrace.fenced" && by !== undefined && Number(by) <= now().generation) return;
    // An order may be refused: whoever gave it looks at what became of it.
    if (name === "Millrace.invalid" && (isMisfit || (event as { id?: string }).id !== undefined)) return;
    world.fail(`C3: a function of deployment ${deployment} failed: ${String(error)}`, error);
  }

  #partsOf(process: SimulatedProcess, deployed: Deployed): FunctionParts {
    const { world, code, outputs, hasRealSinks } = this.#options;
    const { skewMsMax, ringSize } = world.settings;
    const random = world.newRandom();
    const wrongByMs = random.between(-skewMsMax, skewMsMax);
    if (wrongByMs !== 0) world.calls.saw("clocksSkewed");
    const clock = new ProcessClock(process, world.clock, world.calls, wrongByMs);
    const { stages } = code.plan(deployed);
    const variables = writeSettings({
      stateTable: tableName,
      stateBucket: bucketName,
      deadLetterBucket: bucketName,
      deployment: deployed.deployment,
      bindings: this.#bindings(),
      inboxes: Object.fromEntries(
        stages.filter(({ kind }) => kind === "keyed").map((stage) => [stage.id, code.inboxesOf(stage)]),
      ),
      taskFunctions: Object.fromEntries(stages.map((stage) => [stage.id, code.functionsOf(stage)])),
      stage: "",
      cell: 0,
    });
    let made = 0;
    return {
      variables,
      ...world.clientsOf(process, random),
      telemetry: this.#telemetry(process),
      clock,
      openSinks: (asked) => (hasRealSinks ? outputs.watched(openSinks(asked)) : outputs.simulated(process)),
      random: () => random.next(),
      newId: () => `${process.name}-${++made}`,
      ringSize,
    };
  }

  /** By uid: the code may call what it reads and writes otherwise. */
  #bindings(): Readonly<Record<string, string>> {
    const { world, job, ownSinks } = this.#options;
    const sources = world.topology.sources.map((source) => [source, this.#placeOfSource(source)]);
    const sinks = [...ownSinks.keys()].map((uid) => [uid, placeOf(job, uid)]);
    return Object.fromEntries([...sources, ...sinks]);
  }

  /** Where a source's records come from, by its kind. */
  #placeOfSource(source: string): string {
    const { world } = this.#options;
    switch (world.settings.sources) {
      case "queues":
        return world.queueNameOf(source);
      case "objects":
        return objectBucket;
      case "streams":
      case "tables":
        return source;
    }
  }

  /** What records do to whoever runs them: some take their time, some throw, some end the process, without an exception. */
  #touchOf(process: SimulatedProcess, { isMended }: Deployed): Touch {
    const { calls, settings } = this.#options.world;
    return (record, place) => {
      if (record.deadly === place && !isMended) {
        const throws = record.id % 4 === 0;
        if (process.alive) calls.saw(throws ? "recordsThrew" : place === "timer" ? "timersKilled" : "recordsKilled");
        if (throws) throw new Error(`record ${record.id} cannot be taken in`);
        if (process.alive) calls.note(process, `dies of record ${record.id}`);
        process.die();
        throw new Error("seen by nobody");
      }
      if (process.alive && calls.happens("slowRecord")) process.busyMs += settings.slowRecordMs;
    };
  }

  /** A failure of an invocation is judged where it is answered. */
  #telemetry(process: SimulatedProcess): InvocationTelemetry {
    return {
      add: () => undefined,
      gauge: () => undefined,
      flush: () => undefined,
      log: (level, message, fields) => {
        if (level !== "error" || judgedElsewhere.has(message) || !process.alive) return;
        this.#options.world.fail(`C3: ${process.name}: ${message} ${JSON.stringify(fields)}`);
      },
    };
  }

  async #poke(process: SimulatedProcess, name: string, event: object): Promise<void> {
    const { world, functions } = this.#options;
    await atService(world, process, `invoke ${name} ${JSON.stringify(event)}`, async () => {
      if (world.calls.happens("lostPoke")) return;
      const times = world.calls.happens("repeatedPoke") ? 2 : 1;
      for (let n = 0; n < times; n++) world.pokes.put(name, functions.get(name)!, bytesOf(event));
    });
  }
}

export function bytesOf(event: object): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(event));
}
