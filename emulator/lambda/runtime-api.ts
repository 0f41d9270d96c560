/**
 * Lambda's Runtime API (2018-06-01) for one process of one function, on loopback: what a runtime asks for its next invocation and
 * tells what came of it.
 *
 * It owns the exchange alone. Time-outs, memory and the process are the environment's (process-environment.ts).
 *
 * R1 An invocation is given once and answered once; an answer to another, or a second one, is refused and changes nothing.
 * R2 An invocation is over when the runtime asks for the next one: until then the process may still work for it.
 *
 * Source: https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { assert } from "../../runtime/base/assert.ts";
import { keepConnections } from "../keep-connections.ts";
import type { Invocation } from "./execution-environment.ts";
import { lambdaLimits } from "./limits.ts";
import { readBody } from "./read-body.ts";

/** What the runtime tells. Of an `error`, `payload` is JSON {errorType, errorMessage, stackTrace}. */
export type RuntimeEvent =
  /** It asked for an invocation: it is initialised, and done with the one before. */
  | { readonly kind: "next" }
  | { readonly kind: "initError"; readonly payload: Buffer }
  | { readonly kind: "response"; readonly payload: Buffer }
  | { readonly kind: "responseTooLarge" }
  | { readonly kind: "error"; readonly payload: Buffer };

const root = "/2018-06-01/runtime/";

export class RuntimeApi {
  /** What AWS_LAMBDA_RUNTIME_API is set to. */
  readonly address: string;
  readonly #server: Server;
  readonly #arn: string;
  readonly #onEvent: (event: RuntimeEvent) => void;
  #phase: "initialising" | "waiting" | "invoking" | "answered" | "withdrawn" = "initialising";
  #next: ServerResponse | undefined;
  #invocation: Invocation | undefined;

  private constructor(server: Server, arn: string, onEvent: (event: RuntimeEvent) => void) {
    this.#server = server;
    this.#arn = arn;
    this.#onEvent = onEvent;
    this.address = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  }

  /** `arn`: of the function, as its invocations name it. */
  static async start(arn: string, onEvent: (event: RuntimeEvent) => void): Promise<RuntimeApi> {
    const server = createServer();
    keepConnections(server);
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen(0, "127.0.0.1", resolve);
    });
    const api = new RuntimeApi(server, arn, onEvent);
    server.on("request", (request, response) => {
      api.#handle(request, response).catch(() => response.destroy());
    });
    return api;
  }

  /** Hands out an invocation; the runtime must have asked for one. */
  give(invocation: Invocation): void {
    assert(this.#phase === "waiting" && this.#next !== undefined, "an invocation is given to a runtime that waits for it");
    this.#phase = "invoking";
    this.#invocation = invocation;
    const response = this.#next;
    this.#next = undefined;
    response.writeHead(200, {
      "content-type": "application/json",
      "content-length": invocation.payload.byteLength,
      "lambda-runtime-aws-request-id": invocation.requestId,
      "lambda-runtime-deadline-ms": String(invocation.deadline),
      "lambda-runtime-invoked-function-arn": this.#arn,
      "lambda-runtime-trace-id": traceIdOf(invocation.requestId),
    });
    response.end(invocation.payload);
  }

  /** From now on its answers count no more: its time is over. */
  withdraw(): void {
    this.#phase = "withdrawn";
  }

  /** Cuts all connections. */
  async stop(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    this.#server.closeAllConnections();
    await closed;
  }

  async #handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const path = request.url?.startsWith(root) ? request.url.slice(root.length) : "";
    const [, requestId, answer] = /^invocation\/([^/]+)\/(response|error)$/.exec(path) ?? [];
    if (request.method === "GET" && path === "invocation/next") return this.#onNext(response);
    const body = await readBody(request, lambdaLimits.responseBytesMax);
    if (request.method === "POST" && path === "init/error") return this.#onInitError(response, body);
    if (request.method === "POST" && answer !== undefined) return this.#onAnswer(response, body, requestId!, answer);
    refuse(response, 404, "InvalidPath", `${request.method} ${request.url} is not of the Runtime API`);
  }

  #onNext(response: ServerResponse): void {
    // A runtime that failed to start, has not answered or has timed out gets nothing more; one that asks twice is refused too.
    if (this.#phase === "invoking") return refuseState(response, "an invocation is asked for before the last was answered");
    if (this.#phase === "withdrawn") this.#onEvent({ kind: "next" });
    if (this.#phase === "waiting" || this.#phase === "withdrawn") return refuseState(response, "no invocation can be asked for");
    this.#phase = "waiting";
    this.#next = response;
    this.#onEvent({ kind: "next" });
  }

  #onInitError(response: ServerResponse, body: Buffer | undefined): void {
    if (this.#phase !== "initialising") return refuseState(response, "the function is initialised already");
    this.#phase = "withdrawn";
    accept(response);
    this.#onEvent({ kind: "initError", payload: body ?? Buffer.from("{}") });
  }

  #onAnswer(response: ServerResponse, body: Buffer | undefined, requestId: string, answer: string): void {
    if (requestId !== this.#invocation?.requestId) {
      return refuse(response, 400, "InvalidRequestID", `no invocation of this runtime: ${requestId}`);
    }
    if (this.#phase === "withdrawn") this.#onEvent({ kind: "response", payload: Buffer.alloc(0) });
    if (this.#phase !== "invoking") return refuseState(response, "the invocation is answered or over");
    this.#phase = "answered";
    if (body === undefined) {
      const message = `Exceeded maximum allowed payload size (${lambdaLimits.responseBytesMax} bytes).`;
      refuse(response, 413, "RequestEntityTooLarge", message);
      return this.#onEvent({ kind: "responseTooLarge" });
    }
    accept(response);
    this.#onEvent({ kind: answer === "response" ? "response" : "error", payload: body });
  }
}

/** AWS X-Ray's header, made of the request's id; not sampled, since nobody takes traces here. */
function traceIdOf(requestId: string): string {
  const hex = requestId.replace(/[^0-9a-f]/gi, "").padEnd(32, "0");
  return `Root=1-${hex.slice(0, 8)}-${hex.slice(8, 32)};Parent=${hex.slice(0, 16)};Sampled=0`;
}

function accept(response: ServerResponse): void {
  answerJson(response, 202, { status: "OK" });
}

function refuseState(response: ServerResponse, errorMessage: string): void {
  refuse(response, 403, "InvalidStateTransition", errorMessage);
}

function refuse(response: ServerResponse, status: number, errorType: string, errorMessage: string): void {
  answerJson(response, status, { errorType, errorMessage });
}

function answerJson(response: ServerResponse, status: number, body: object): void {
  const text = JSON.stringify(body);
  response.writeHead(status, { "content-type": "application/json", "content-length": Buffer.byteLength(text) });
  response.end(text);
}
