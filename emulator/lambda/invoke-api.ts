/**
 * Lambda's Invoke over HTTP on loopback, for `lambda:Invoke` by AWS's SDKs and the AWS CLI; and the account's limits.
 *
 * I1 It listens on loopback alone and looks at no signature.
 * I2 A function that failed is no error of the call: the status is 200, with X-Amz-Function-Error and the function's error as payload.
 *
 * Not here: log tails (X-Amz-Log-Result), versions and aliases other than $LATEST, response streams.
 * Source: https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html
 */
import { randomUUID } from "node:crypto";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { messageOf } from "../../runtime/base/errors.ts";
import { type HttpFaults, installFaults } from "../http-faults.ts";
import { keepConnections } from "../keep-connections.ts";
import type { StandIn } from "../stand-in.ts";
import { AsyncInvocations, type AsyncInvocationsOptions } from "./async-invocations.ts";
import type { FunctionInvoker, InvocationResult } from "./execution-environment.ts";
import { functionArn } from "./function-configuration.ts";
import { lambdaLimits } from "./limits.ts";
import { readBody } from "./read-body.ts";

export interface InvokeApiOptions extends AsyncInvocationsOptions {
  /** By name; looked at with every call. */
  readonly functions: ReadonlyMap<string, FunctionInvoker>;
  readonly region: string;
  readonly account: string;
  /** 0, the default, takes a free one. */
  readonly port?: number;
  readonly faults?: HttpFaults;
  /** Executions at once that the account has, as it tells them; default 1,000. */
  readonly accountConcurrency?: number;
}

export interface InvokeApi extends StandIn {
  /** As `InvocationType: Event`: what a schedule does. */
  put(functionName: string, payload: Uint8Array): void;
}

export async function startInvokeApi(options: InvokeApiOptions): Promise<InvokeApi> {
  const events = new AsyncInvocations(options);
  const server = createServer();
  keepConnections(server);
  server.on("request", (request, response) => {
    answer(options, events, request, response).catch((error: unknown) => refuse(response, errorOf(error)));
  });
  if (options.faults !== undefined) {
    const refuseBy = (response: ServerResponse, fault: "throttle" | "unavailable") =>
      refuse(response, fault === "throttle" ? throttled("CallerRateLimitExceeded") : errorOf("refused by the test"));
    installFaults(server, options.faults, { operationOf: () => "Invoke", refuse: refuseBy });
  }
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(options.port ?? 0, "127.0.0.1", resolve);
  });
  return {
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    put: (functionName, payload) => {
      const invoker = options.functions.get(functionName);
      if (invoker !== undefined) events.put(functionName, invoker, payload);
    },
    stop: async () => {
      await Promise.all([
        events.stop(),
        new Promise<void>((resolve) => {
          server.close(() => resolve());
          server.closeAllConnections();
        }),
      ]);
    },
  };
}

interface ApiError {
  readonly status: number;
  readonly type: string;
  readonly body: Readonly<Record<string, string>>;
}

function userError(status: number, type: string, message: string): ApiError {
  return { status, type, body: { Type: "User", Message: message } };
}

function throttled(reason: string): ApiError {
  return { status: 429, type: "TooManyRequestsException", body: { Reason: reason, Type: "User", message: "Rate Exceeded." } };
}

function errorOf(error: unknown): ApiError {
  return { status: 500, type: "ServiceException", body: { Type: "Service", Message: messageOf(error) } };
}

async function answer(
  options: InvokeApiOptions,
  events: AsyncInvocations,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  if (request.method === "GET" && accountSettings.test(request.url ?? "")) return tellLimits(options, response);
  const payload = await readBody(request, lambdaLimits.requestBytesMax);
  const called = readCall(options, request, payload);
  if ("status" in called) return refuse(response, called);
  const { name, invoker, type, body } = called;
  if (type === "DryRun") return send(response, 204, {}, Buffer.alloc(0));
  if (type === "Event") {
    events.put(name, invoker, body);
    return send(response, 202, {}, Buffer.alloc(0));
  }
  const result = await invoker.invoke(body);
  if (result.outcome === "throttled") return refuse(response, throttled("ReservedFunctionConcurrentInvocationLimitExceeded"));
  sendResult(response, result);
}

const accountSettings = /^\/2016-08-19\/account-settings\/?$/;

function tellLimits({ accountConcurrency = lambdaLimits.accountConcurrency }: InvokeApiOptions, response: ServerResponse): void {
  const AccountLimit = { ConcurrentExecutions: accountConcurrency, UnreservedConcurrentExecutions: accountConcurrency };
  send(response, 200, {}, Buffer.from(JSON.stringify({ AccountLimit })));
}

interface Call {
  readonly name: string;
  readonly invoker: FunctionInvoker;
  readonly type: "RequestResponse" | "Event" | "DryRun";
  readonly body: Buffer;
}

/** A name, a name with a qualifier, or an ARN of either, whole or from the account on. */
const functionReference = /^(?:(?:arn:[^:]+:lambda:([^:]*):)?(\d{12}):function:)?([\w-]{1,64})(?::([\w$-]+))?$/;

function readCall(options: InvokeApiOptions, request: IncomingMessage, body: Buffer | undefined): Call | ApiError {
  const { pathname, searchParams } = new URL(request.url ?? "/", "http://localhost");
  const [, encoded] = /^\/2015-03-31\/functions\/([^/]+)\/invocations\/?$/.exec(pathname) ?? [];
  if (request.method !== "POST" || encoded === undefined) {
    return userError(404, "UnknownOperationException", `no operation of Lambda that is emulated: ${request.method} ${pathname}`);
  }
  const [
    ,
    region = options.region,
    account = options.account,
    name = "",
    qualifier = searchParams.get("Qualifier") ?? "$LATEST",
  ] = functionReference.exec(decodeURIComponent(encoded)) ?? [];
  const invoker = region === options.region && account === options.account ? options.functions.get(name) : undefined;
  if (invoker === undefined || qualifier !== "$LATEST") {
    const arn = functionArn({ name: name || decodeURIComponent(encoded), region, account });
    const suffix = qualifier === "$LATEST" ? "" : `:${qualifier}`;
    return userError(404, "ResourceNotFoundException", `Function not found: ${arn}${suffix}`);
  }
  const type = String(request.headers["x-amz-invocation-type"] ?? "RequestResponse");
  if (type !== "RequestResponse" && type !== "Event" && type !== "DryRun") {
    return userError(400, "InvalidParameterValueException", `no such invocation type: ${type}`);
  }
  const bytesMax = type === "Event" ? lambdaLimits.eventBytesMax : lambdaLimits.requestBytesMax;
  if (body === undefined || body.length > bytesMax) {
    return userError(
      413,
      "RequestTooLargeException",
      `Request must be smaller than ${bytesMax} bytes for the ${type} invocation type`,
    );
  }
  if (!isJson(body)) return userError(400, "InvalidRequestContentException", "Could not parse request body into json.");
  return { name, invoker, type, body: body.length === 0 ? Buffer.from("{}") : body };
}

function isJson(body: Buffer): boolean {
  try {
    if (body.length > 0) JSON.parse(body.toString());
    return true;
  } catch {
    return false;
  }
}

function sendResult(response: ServerResponse, result: InvocationResult): void {
  const failed = result.outcome === "failed" ? { "x-amz-function-error": "Unhandled" } : {};
  send(response, 200, { "x-amz-executed-version": "$LATEST", ...failed }, result.payload);
}

function refuse(response: ServerResponse, { status, type, body }: ApiError): void {
  send(response, status, { "x-amzn-errortype": type }, Buffer.from(JSON.stringify(body)));
}

function send(response: ServerResponse, status: number, headers: Record<string, string>, body: Uint8Array): void {
  if (response.destroyed || response.headersSent) return;
  response.writeHead(status, {
    ...headers,
    "content-type": "application/json",
    ...(status === 204 ? {} : { "content-length": body.byteLength }),
    "x-amzn-requestid": randomUUID(),
  });
  response.end(body);
}
