/**
 * A function as Lambda is told of it, and the environment variables that its processes see.
 *
 * Source: https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html
 */
import { MillraceError } from "../../runtime/base/errors.ts";
import { lambdaLimits } from "./limits.ts";

export interface FunctionConfiguration {
  readonly name: string;
  /** Holds the bundle: what is deployed. */
  readonly codeDirectory: string;
  /** `file.export`. */
  readonly handler: string;
  readonly memoryMb: number;
  readonly timeoutMs: number;
  readonly region: string;
  readonly account: string;
  /** The author's variables: at most 4 KB, none that Lambda sets itself. */
  readonly environment: Readonly<Record<string, string>>;
  /** What the emulated cloud adds: endpoints and credentials. */
  readonly platformEnvironment?: Readonly<Record<string, string>>;
  /** Where Node keeps what it has compiled, so that the next process need not; where this process has such a place, it is that one. */
  readonly compileCache?: string;
}

export function functionArn({ name, region, account }: Pick<FunctionConfiguration, "name" | "region" | "account">): string {
  return `arn:aws:lambda:${region}:${account}:function:${name}`;
}

/** Set by Lambda, so that a function's configuration may not name them. */
const reserved = new Set([
  "_HANDLER",
  "_X_AMZN_TRACE_ID",
  "AWS_DEFAULT_REGION",
  "AWS_REGION",
  "AWS_EXECUTION_ENV",
  "AWS_LAMBDA_FUNCTION_NAME",
  "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
  "AWS_LAMBDA_FUNCTION_VERSION",
  "AWS_LAMBDA_INITIALIZATION_TYPE",
  "AWS_LAMBDA_LOG_GROUP_NAME",
  "AWS_LAMBDA_LOG_STREAM_NAME",
  "AWS_ACCESS_KEY",
  "AWS_ACCESS_KEY_ID",
  "AWS_SECRET_ACCESS_KEY",
  "AWS_SESSION_TOKEN",
  "AWS_LAMBDA_RUNTIME_API",
  "LAMBDA_TASK_ROOT",
  "LAMBDA_RUNTIME_DIR",
]);

/** Throws `invalid` for variables that Lambda would refuse. */
export function checkEnvironment(environment: Readonly<Record<string, string>>): void {
  const taken = Object.keys(environment).find((name) => reserved.has(name));
  if (taken !== undefined)
    throw new MillraceError("invalid", `Lambda sets this environment variable itself, leave it out: ${taken}`);
  const odd = Object.keys(environment).find((name) => !/^[A-Za-z]\w+$/.test(name));
  if (odd !== undefined) {
    throw new MillraceError(
      "invalid",
      `an environment variable's name is a letter, then letters, digits or _: ${JSON.stringify(odd)}`,
    );
  }
  const bytes = Object.entries(environment).reduce((sum, pair) => sum + Buffer.byteLength(pair.join("")), 0);
  if (bytes <= lambdaLimits.environmentBytesMax) return;
  const limit = `environment variables have at most ${lambdaLimits.environmentBytesMax} bytes, names and values together`;
  throw new MillraceError("invalid", `${limit}: ${bytes}`);
}

/** All variables of one environment's process: nothing is inherited but where programs are found, and where Node keeps what it compiled. */
export function environmentVariables(
  configuration: FunctionConfiguration,
  { logStream, runtimeApi }: { readonly logStream: string; readonly runtimeApi: string },
): Record<string, string> {
  const { name, codeDirectory, handler, memoryMb, region, compileCache } = configuration;
  const compiled = process.env.NODE_COMPILE_CACHE ?? compileCache;
  return {
    PATH: process.env.PATH ?? "",
    ...(compiled !== undefined && { NODE_COMPILE_CACHE: compiled }),
    LANG: "en_US.UTF-8",
    TZ: ":UTC",
    ...configuration.platformEnvironment,
    ...configuration.environment,
    _HANDLER: handler,
    AWS_REGION: region,
    AWS_DEFAULT_REGION: region,
    AWS_EXECUTION_ENV: `AWS_Lambda_nodejs${process.versions.node.split(".")[0]}.x`,
    AWS_LAMBDA_FUNCTION_NAME: name,
    AWS_LAMBDA_FUNCTION_MEMORY_SIZE: String(memoryMb),
    AWS_LAMBDA_FUNCTION_VERSION: "$LATEST",
    AWS_LAMBDA_INITIALIZATION_TYPE: "on-demand",
    AWS_LAMBDA_LOG_GROUP_NAME: `/aws/lambda/${name}`,
    AWS_LAMBDA_LOG_STREAM_NAME: logStream,
    AWS_LAMBDA_RUNTIME_API: runtimeApi,
    AWS_XRAY_CONTEXT_MISSING: "LOG_ERROR",
    LAMBDA_TASK_ROOT: codeDirectory,
    LAMBDA_RUNTIME_DIR: import.meta.dirname,
  };
}
