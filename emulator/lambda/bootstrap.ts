/**
 * What a function's process runs: a small runtime client. It loads the handler, asks for invocations and tells what came of each, one
 * at a time, until the process ends.
 *
 * B1 An exception that nobody caught, a rejection that nobody handled and a process that has nothing left to wait for are Node's affair,
 *    as in AWS's own client for Node 24: the process ends, and with it the invocation under way.
 * B2 When the Runtime API is gone, so is its owner: the process ends.
 *
 * It prints as the handler prints: nothing is put before a line.
 */
import { flushCompileCache } from "node:module";
import { inspect, types } from "node:util";
import { loadHandler, type Handler, RuntimeError } from "./load-handler.ts";

// Imported by name, all of `fetch` would be loaded with it (packaging/builtins/http.cjs).
const { Agent, request } = process.getBuiltinModule("node:http");
const { AWS_LAMBDA_RUNTIME_API: address = "", LAMBDA_TASK_ROOT: folder = ".", _HANDLER: handlerName = "" } = process.env;
const [host, port] = address.split(":");
const agent = new Agent({ keepAlive: true, maxSockets: 2 });

interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | undefined>>;
  readonly body: Buffer;
}

function call(method: "GET" | "POST", path: string, body?: string, headers: Record<string, string> = {}): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const length = body === undefined ? {} : { "content-length": Buffer.byteLength(body), "content-type": "application/json" };
    const sent = request({ host, port, agent, method, path: `/2018-06-01/runtime/${path}`, headers: { ...headers, ...length } });
    sent.once("error", reject);
    sent.once("response", (response) => {
      const chunks: Buffer[] = [];
      response.on("data", (chunk: Buffer) => chunks.push(chunk));
      response.once("error", reject);
      response.once("end", () =>
        resolve({
          status: response.statusCode ?? 0,
          headers: response.headers as Answer["headers"],
          body: Buffer.concat(chunks),
        }),
      );
    });
    sent.end(body);
  });
}

/** As Lambda's runtime for Node writes what was thrown. */
function describe(error: unknown): { errorType: string; errorMessage: string; trace: string[] } {
  if (!types.isNativeError(error)) return { errorType: typeof error, errorMessage: String(error), trace: [] };
  return { errorType: error.name, errorMessage: error.message, trace: error.stack?.split("\n") ?? [] };
}

async function report(path: string, error: unknown): Promise<void> {
  const described = describe(error);
  await call("POST", path, JSON.stringify(described), { "lambda-runtime-function-error-type": described.errorType });
}

function contextOf(id: string, { headers }: Answer): object {
  const deadline = Number(headers["lambda-runtime-deadline-ms"]);
  return {
    functionName: process.env.AWS_LAMBDA_FUNCTION_NAME,
    functionVersion: process.env.AWS_LAMBDA_FUNCTION_VERSION,
    invokedFunctionArn: headers["lambda-runtime-invoked-function-arn"],
    memoryLimitInMB: process.env.AWS_LAMBDA_FUNCTION_MEMORY_SIZE,
    awsRequestId: id,
    logGroupName: process.env.AWS_LAMBDA_LOG_GROUP_NAME,
    logStreamName: process.env.AWS_LAMBDA_LOG_STREAM_NAME,
    callbackWaitsForEmptyEventLoop: true,
    getRemainingTimeInMillis: () => Math.max(0, deadline - Date.now()),
  };
}

async function serveOne(handler: Handler): Promise<void> {
  const next = await call("GET", "invocation/next");
  const id = next.headers["lambda-runtime-aws-request-id"];
  if (next.status !== 200 || id === undefined) throw new Error(`no invocation: status ${next.status}`);
  process.env._X_AMZN_TRACE_ID = next.headers["lambda-runtime-trace-id"];
  try {
    const returned = (await handler(JSON.parse(next.body.toString()), contextOf(id, next))) ?? null;
    await call("POST", `invocation/${id}/response`, serialise(returned));
  } catch (error) {
    process.stderr.write(`${inspect(error)}\n`);
    await report(`invocation/${id}/error`, error);
  }
}

function serialise(returned: unknown): string {
  try {
    return JSON.stringify(returned) ?? "null";
  } catch (error) {
    throw new RuntimeError("Runtime.MarshalError", "the response cannot be written as JSON", { cause: error });
  }
}

async function load(): Promise<Handler> {
  try {
    const handler = await loadHandler(folder, handlerName);
    // Node does so when a process ends, and this one is killed.
    flushCompileCache();
    return handler;
  } catch (error) {
    process.stderr.write(`${inspect(error)}\n`);
    await report("init/error", error);
    process.exit(1);
  }
}

async function run(): Promise<void> {
  const handler = await load();
  for (;;) await serveOne(handler);
}

// B2: what fails outside of the handler is the way to the Runtime API.
run().catch(() => process.exit(1));
