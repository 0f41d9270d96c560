/**
 * The functions of a cloud: their code, and the environments that it runs in.
 *
 * Owns every process of theirs, also of code that a deployment has taken the place of: what that has begun it ends.
 */
import { join } from "node:path";
import { MillraceError } from "../../runtime/base/errors.ts";
import { bundleFunction, directoryOf, writeBundle } from "../../packaging/bundle.ts";
import { systemClock } from "../clock.ts";
import { EnvironmentPool, type EnvironmentPoolOptions } from "../lambda/environment-pool.ts";
import type { FunctionInvoker } from "../lambda/execution-environment.ts";
import { type ProcessEnvironment, processEnvironments } from "../lambda/process-environment.ts";
import type { RuntimeClient } from "../lambda/runtime-client.ts";
import { absent } from "./absent.ts";
import type { CloudEvent } from "./cloud-event.ts";
import { makeCustomResource } from "./custom-resource.ts";
import type { CheckedTopology } from "./read-topology.ts";
import type { FunctionResource } from "./topology.ts";

/** How environments are handed out. */
export type EnvironmentBehaviour = Pick<EnvironmentPoolOptions, "seed" | "coldStartChance" | "recycleChance" | "zombieMsMax">;

export interface FunctionsOptions {
  /** Where their code is written. */
  readonly code: string;
  readonly place: { readonly region: string; readonly account: string };
  /** What each environment has beside its function's own variables; asked for once functions are made. */
  readonly variables: () => Readonly<Record<string, string>>;
  readonly behaviour: EnvironmentBehaviour | undefined;
  readonly runtime: RuntimeClient;
  readonly sourceMaps: boolean;
  readonly onEvent: (event: CloudEvent) => void;
}

/** The folders of functions' code, by name. */
export type CodeDirectories = ReadonlyMap<string, string>;

interface EmulatedFunction {
  readonly pool: EnvironmentPool;
  readonly environments: Set<ProcessEnvironment>;
}

export class Functions {
  readonly #options: FunctionsOptions;
  readonly #functions = new Map<string, EmulatedFunction>();
  /** Of code that another deployment has taken the place of. */
  readonly #former: EmulatedFunction[] = [];
  #isStopping = false;
  readonly #invokers = new Map<string, FunctionInvoker>();

  constructor(options: FunctionsOptions) {
    this.#options = options;
  }

  /** By name: who invokes a function keeps its name, not its code, so what was begun before a deployment is tried again with what came after. */
  get invokers(): ReadonlyMap<string, FunctionInvoker> {
    return this.#invokers;
  }

  get names(): readonly string[] {
    return [...this.#functions.keys()];
  }

  /** Throws `invalid` for a name that it does not have. */
  pool(name: string): EnvironmentPool {
    const found = this.#functions.get(name);
    if (found === undefined) throw absent("function", name, this.#functions.keys());
    return found.pool;
  }

  /** Those whose process lives: of one function, or of all. */
  environments(name?: string): readonly ProcessEnvironment[] {
    if (name !== undefined) void this.pool(name);
    const functions = name === undefined ? [...this.#functions.values(), ...this.#former] : [this.#functions.get(name)!];
    return functions.flatMap(({ environments }) => [...environments].filter(({ pid }) => pid !== undefined));
  }

  /** Writes the code of a topology's functions. Throws `invalid` for one that cannot be bundled. */
  async bundle({ functions }: CheckedTopology): Promise<CodeDirectories> {
    const bundles = new Map<string, Promise<string>>();
    const written = Object.entries(functions).map(async ([name, resource]) => {
      // Functions of one entry share a bundle: the stages of a job differ in their variables alone.
      const same = JSON.stringify([resource.entry, resource.alias, resource.codeDirectory]);
      const directory = bundles.get(same) ?? codeOf(name, resource, this.#options.code);
      bundles.set(same, directory);
      return [name, await directory] as const;
    });
    return new Map(await Promise.all(written));
  }

  /** Those that are not there yet; returns what takes them away again. */
  add({ functions }: CheckedTopology, code: CodeDirectories): () => void {
    const added = [...code].filter(([name]) => !this.#functions.has(name));
    for (const [name, directory] of added) this.#put(name, functions[name]!, directory);
    return () => {
      for (const [name] of added) this.#take(name);
    };
  }

  /** All have new environments, with this code and these settings; what the former have begun they end. */
  async replace({ functions }: CheckedTopology, code: CodeDirectories): Promise<void> {
    const former = [...this.#functions.values()];
    for (const name of this.names) this.#take(name);
    for (const [name, directory] of code) this.#put(name, functions[name]!, directory);
    this.#former.push(...former);
    await Promise.all(former.map(({ pool }) => pool.retire()));
  }

  /** Makes those that are new or changed, each by its function as it will be. Throws `invalid` with its reason when one is refused. */
  async makeCustomResources(
    { customResources, functions }: CheckedTopology,
    code: CodeDirectories,
    former: CheckedTopology["customResources"],
  ): Promise<void> {
    for (const [id, resource] of Object.entries(customResources)) {
      if (JSON.stringify(resource) === JSON.stringify(former[id])) continue;
      const { functionName: name } = resource;
      const made = this.#create(name, functions[name]!, code.get(name)!);
      this.#former.push(made);
      await makeCustomResource(made.pool, { id, resource, former: former[id], place: this.#options.place });
      await made.pool.retire();
    }
  }

  /** Kills what runs. */
  async stop(): Promise<void> {
    this.#isStopping = true;
    await Promise.all([...this.#functions.values(), ...this.#former].map(({ pool }) => pool.stop()));
  }

  #put(name: string, resource: FunctionResource, codeDirectory: string): void {
    this.#functions.set(name, this.#create(name, resource, codeDirectory));
    this.#invokers.set(name, { invoke: (payload) => this.pool(name).invoke(payload) });
  }

  #take(name: string): void {
    this.#functions.delete(name);
    this.#invokers.delete(name);
  }

  #create(name: string, resource: FunctionResource, codeDirectory: string): EmulatedFunction {
    const { code, place, variables, behaviour, runtime, sourceMaps, onEvent } = this.#options;
    const timeoutMs = (resource.timeout ?? 3) * 1000;
    const environments = new Set<ProcessEnvironment>();
    const start = processEnvironments({
      configuration: {
        name,
        codeDirectory,
        handler: resource.handler ?? "index.handler",
        memoryMb: resource.memorySize ?? 128,
        timeoutMs,
        ...place,
        environment: resource.environment ?? {},
        compileCache: join(code, "compiled"),
        platformEnvironment: variables(),
      },
      runtime,
      afterTimeout: "leftToOwner",
      sourceMaps,
      onLog: (line) => onEvent({ kind: "log", line }),
      onReport: (report) => onEvent({ kind: "report", report }),
    });
    const pool = new EnvironmentPool({
      ...behaviour,
      factory: async () => {
        const environment = await start();
        for (const old of environments) if (old.pid === undefined && !old.usable) environments.delete(old);
        environments.add(environment);
        if (!this.#isStopping) return environment;
        await environment.stop();
        throw new MillraceError("unavailable", `the cloud stops: ${name}`);
      },
      clock: systemClock,
      timeoutMs,
      ...(resource.reservedConcurrentExecutions === undefined
        ? {}
        : { reservedConcurrency: resource.reservedConcurrentExecutions }),
    });
    return { pool, environments };
  }
}

async function codeOf(name: string, { entry, alias, codeDirectory }: FunctionResource, parent: string): Promise<string> {
  if (codeDirectory !== undefined) return codeDirectory;
  try {
    const from = { entry: entry!, sourceRoot: directoryOf(entry!) };
    return await writeBundle(await bundleFunction(alias === undefined ? from : { ...from, alias }), parent);
  } catch (error) {
    if (error instanceof MillraceError)
      throw new MillraceError(error.kind, `function ${name}: ${error.message}`, { cause: error });
    throw error;
  }
}
