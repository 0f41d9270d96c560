/** Environments of the functions in functions/, ended after each test. */
import { afterEach } from "node:test";
import { randomUUID } from "node:crypto";
import { join } from "node:path";
import type { InvocationResult } from "../../../emulator/lambda/execution-environment.ts";
import type { FunctionConfiguration } from "../../../emulator/lambda/function-configuration.ts";
import {
  type InvocationReport,
  type LogLine,
  type ProcessEnvironment,
  type ProcessEnvironmentOptions,
  processEnvironments,
} from "../../../emulator/lambda/process-environment.ts";

export interface Probe {
  readonly environment: ProcessEnvironment;
  readonly lines: LogLine[];
  readonly reports: InvocationReport[];
  invoke(event: object): Promise<InvocationResult>;
}

type Options = Partial<Omit<ProcessEnvironmentOptions, "configuration">> & Partial<FunctionConfiguration>;

const started: ProcessEnvironment[] = [];
afterEach(async () => {
  await Promise.all(started.splice(0).map((environment) => environment.stop()));
});

export const functionsDirectory = join(import.meta.dirname, "functions");

/** Time and memory are ample unless given, for a machine too that is busy with other things. */
export async function start(options: Options = {}): Promise<Probe> {
  const { runtime, initMsMax, afterTimeout, freezes, ...given } = options;
  const configuration: FunctionConfiguration = {
    name: "probe",
    codeDirectory: functionsDirectory,
    handler: "index.handler",
    memoryMb: 512,
    timeoutMs: 600_000,
    region: "eu-west-1",
    account: "123456789012",
    environment: {},
    ...given,
  };
  const lines: LogLine[] = [];
  const reports: InvocationReport[] = [];
  const environment = await processEnvironments({
    configuration,
    runtime: runtime ?? "own",
    initMsMax: initMsMax ?? 600_000,
    afterTimeout: afterTimeout ?? "killed",
    freezes: freezes ?? true,
    onLog: (line) => lines.push(line),
    onReport: (report) => reports.push(report),
  })();
  started.push(environment);
  const invoke = (event: object) =>
    environment.invoke({
      requestId: randomUUID(),
      payload: Buffer.from(JSON.stringify(event)),
      deadline: Date.now() + configuration.timeoutMs,
    });
  return { environment, lines, reports, invoke };
}

/** The JSON of a result. */
export function read(result: InvocationResult): any {
  return JSON.parse(Buffer.from(result.payload).toString());
}

/** Whether a process of this id is there. */
export function lives(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

/** Waits until it holds, looking every so often; fails after ten minutes, which no machine comes near to, however busy it is otherwise. */
export async function until(holds: () => boolean | Promise<boolean>, everyMs = 10): Promise<void> {
  const patience = AbortSignal.timeout(600_000);
  while (!(await holds())) {
    patience.throwIfAborted();
    await new Promise((resolve) => setTimeout(resolve, everyMs));
  }
}
