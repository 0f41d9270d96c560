/** `millrace` as its user types it, about a job in a cloud. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { exitCodes } from "../../cli/report-error.ts";

export interface Ran {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

export interface CommandsOptions {
  /** Where they are typed. */
  readonly directory: string;
  /** By which the cloud is found. */
  readonly variables: Readonly<Record<string, string>>;
  readonly coordinator: string;
  /** Told of each that has ended. */
  readonly onRan?: (line: string) => void;
}

const cli = join(import.meta.dirname, "../../cli/main.ts");
/** Of those that mean that the same command again may do. */
const again: ReadonlySet<number> = new Set([exitCodes.notYet, exitCodes.unavailable]);
const triesMax = 12;

export class Commands {
  readonly #options: CommandsOptions;

  constructor(options: CommandsOptions) {
    this.#options = options;
  }

  /** One that runs until it is ended. */
  start(...args: readonly string[]): ChildProcess {
    const { directory, variables } = this.#options;
    return spawn(process.execPath, [cli, ...args], { cwd: directory, env: { ...process.env, ...variables } });
  }

  async run(...args: readonly string[]): Promise<Ran> {
    const startedAt = Date.now();
    const child = this.start(...args);
    let [out, err] = ["", ""];
    child.stdout!.on("data", (text: Buffer) => (out += text.toString()));
    child.stderr!.on("data", (text: Buffer) => (err += text.toString()));
    const [code] = (await once(child, "close")) as [number];
    this.#options.onRan?.(
      `millrace ${args[0]}: exit code ${code} after ${Date.now() - startedAt} ms${code === 0 ? "" : `: ${err}${out}`}`,
    );
    return { code, out, err };
  }

  /** On the deployed job. Given again where its exit code says that this may do; throws where it does not do what it is asked for. */
  async done(...args: readonly string[]): Promise<any> {
    for (let tries = 1; ; tries++) {
      const { code, out, err } = await this.run(...args, "--coordinator", this.#options.coordinator, "--json");
      if (code === exitCodes.done) return JSON.parse(out);
      if (!again.has(code) || tries === triesMax)
        throw new Error(`millrace ${args.join(" ")}: exit code ${code}, try ${tries}: ${err}${out}`);
    }
  }
}
