/**
 * A server that speaks Kinesis' API over one of our logs, so that AWS's SDKs, the AWS CLI and producers in any language can feed a
 * job on one machine. It keeps Kinesis' limits and refuses as Kinesis does; README.md lists what it does and does not.
 *
 * K1 It listens on loopback alone and looks at no signature.
 * K2 Time is the clock's: with one that is turned by hand, iterators, retention and throughput expire and recover as it is turned.
 * K3 Over a log that outlives it, a server started anew goes on with the same streams and sequence numbers.
 */
import { randomUUID } from "node:crypto";
import type { EmbeddedLog } from "../../runtime/adapters/log-provisioning.ts";
import { isKind, messageOf } from "../../runtime/base/errors.ts";
import type { Clock } from "../../runtime/ports/clock.ts";
import { Arrivals } from "./arrivals.ts";
import { encodeEventMessage } from "./event-stream.ts";
import type { Fault, Faults } from "./faults.ts";
import { type Exchange, listen } from "./http-listener.ts";
import { Input } from "./input.ts";
import { KinesisError } from "./kinesis-error.ts";
import { type KinesisLimits, kinesisLimits, mib, noLimits, Throttle } from "./limits.ts";
import { operations } from "./operations/index.ts";
import { type Call, type EventOutput, nameOfStream, type Output, type Service, streamNotFound } from "./service.ts";
import { StreamRegistry } from "./stream-registry.ts";
import { Subscriptions } from "./subscriptions.ts";
import { recogniseWire, type Wire } from "./wire.ts";

export interface KinesisOptions {
  /** Made with `maxRecordBytes` of 10 MiB or more where streams are to take records above 1 MiB. */
  readonly log: EmbeddedLog;
  readonly clock: Clock;
  /** Default: a free one. */
  readonly port?: number;
  /** Default "kinesis": Kinesis' own. "off": no throttling. A part of them replaces Kinesis'. */
  readonly limits?: "kinesis" | "off" | Partial<KinesisLimits>;
  /** How long streams are CREATING, UPDATING and DELETING; default 0. */
  readonly transitionMs?: number;
  readonly faults?: Faults;
  /** Given: callers that sign for another region find nothing here. Stands in ARNs; there "us-east-1" by default. */
  readonly region?: string;
  /** Stands in ARNs. */
  readonly account?: string;
}

export interface Kinesis {
  /** An http:// URL. */
  readonly endpoint: string;
  /** Cuts all connections and frees the port. The log stays open. */
  stop(): Promise<void>;
}

/** The largest body that is read: 10 MiB of records as base64, with their keys. */
const bodyBytesMax = 16 * mib;

export async function startKinesis(options: KinesisOptions): Promise<Kinesis> {
  const stopping = new AbortController();
  const service: Service = {
    log: options.log,
    clock: options.clock,
    registry: await StreamRegistry.open(options.log, options.clock),
    throttle: new Throttle(limitsOf(options.limits ?? "kinesis")),
    arrivals: new Arrivals(),
    subscriptions: new Subscriptions(),
    sweptAt: new WeakMap(),
    account: options.account ?? "000000000000",
    region: options.region ?? "us-east-1",
    transitionMs: options.transitionMs ?? 0,
    stopping: stopping.signal,
  };
  const server = await listen(options.port ?? 0, (exchange) => {
    answer(service, options, exchange).catch(() => exchange.isOpen() && exchange.drop());
  });
  return {
    endpoint: `http://127.0.0.1:${server.port}`,
    stop: async () => {
      stopping.abort();
      await server.close();
    },
  };
}

function limitsOf(limits: NonNullable<KinesisOptions["limits"]>): KinesisLimits {
  if (limits === "kinesis") return kinesisLimits;
  return limits === "off" ? noLimits : { ...kinesisLimits, ...limits };
}

async function answer(service: Service, { faults, region }: KinesisOptions, exchange: Exchange): Promise<void> {
  const { request } = exchange;
  const { wire, operation } = recogniseWire(request.url ?? "/", request.headers);
  try {
    const body = await readBody(exchange);
    if (request.method !== "POST" || operation === undefined || !operations.has(operation)) {
      throw new KinesisError("UnknownOperationException", `${request.method} ${request.url} names no operation of Kinesis.`);
    }
    checkRegion(region, request.headers.authorization);
    const input = new Input(wire.decode(body));
    const given = faults?.({ operation, input }) ?? [];
    await carryOut(service, exchange, wire, operation, input, Array.isArray(given) ? given : [given as Fault]);
  } catch (error) {
    if (exchange.isOpen()) refuse(exchange, wire, error);
  }
}

/** The region stands in the scope of the signature's credential: <key>/<date>/<region>/kinesis/aws4_request. */
function checkRegion(region: string | undefined, authorization: string | undefined): void {
  const [, signedFor] = /Credential=[^,/]+\/\d+\/([^/]+)\//.exec(authorization ?? "") ?? [];
  if (region === undefined || signedFor === undefined || signedFor === region) return;
  throw new KinesisError("ResourceNotFoundException", `Nothing is in region ${signedFor}: this server stands for ${region}.`);
}

async function carryOut(
  service: Service,
  exchange: Exchange,
  wire: Wire,
  operation: string,
  input: Input,
  faults: readonly Fault[],
): Promise<void> {
  for (const fault of faults) {
    if (fault.kind === "delay") await service.clock.sleep(fault.ms, service.stopping);
    if (fault.kind === "dropBefore") return exchange.drop();
    if (fault.kind === "refuse") throw new KinesisError(fault.type, fault.message ?? "Refused by the test.");
  }
  const refuses = faults.find((fault) => fault.kind === "throttleRecords")?.picks;
  const shard = input.text("ShardId") ?? "";
  service.throttle.checkCall(operation, nameOfStream(service, input) ?? "", shard, service.clock.now());
  const output = await operate(service, { operation, input, refuses });
  if (faults.some(({ kind }) => kind === "dropAfter")) return exchange.drop();
  if (isEvents(output)) return sendEvents(service, exchange, wire, output);
  const hasOutput = Object.keys(output).length > 0 || wire.contentType === "application/cbor";
  send(exchange, wire, 200, hasOutput ? wire.encode(output) : Buffer.alloc(0));
}

/** What the log refuses, in Kinesis' terms. */
async function operate(service: Service, call: Call): Promise<Output | EventOutput> {
  try {
    return await operations.get(call.operation)!(service, call);
  } catch (error) {
    const name = nameOfStream(service, call.input);
    const isGone = isKind(error, "invalid") && name !== undefined && (await service.registry.find(name)) === undefined;
    throw isGone ? streamNotFound(service, name) : error;
  }
}

function isEvents(output: Output | EventOutput): output is EventOutput {
  return typeof (output as EventOutput).events === "function";
}

function refuse(exchange: Exchange, wire: Wire, error: unknown): void {
  const refusal = errorOf(error);
  send(exchange, wire, refusal.status, wire.encode({ __type: wire.errorType(refusal.type), message: refusal.message }));
}

function send({ response }: Exchange, wire: Wire, status: number, body: Buffer): void {
  response.writeHead(status, {
    ...wire.headers,
    "content-type": wire.contentType,
    "content-length": body.length,
    "x-amzn-requestid": randomUUID(),
  });
  response.end(body);
}

/** An error on the way is an event too, which the caller's SDK throws. */
async function sendEvents(service: Service, { response }: Exchange, wire: Wire, { events }: EventOutput): Promise<void> {
  const closed = new AbortController();
  const gone = new Promise<void>((resolve) => response.once("close", resolve));
  void gone.then(() => closed.abort());
  response.writeHead(200, {
    ...wire.headers,
    "content-type": "application/vnd.amazon.eventstream",
    "x-amzn-requestid": randomUUID(),
  });
  const message = (type: "event" | "exception", name: string, payload: Output) =>
    encodeEventMessage(
      { ":message-type": type, [`:${type}-type`]: name, ":content-type": wire.contentType },
      wire.encode(payload),
    );
  response.write(message("event", "initial-response", {}));
  try {
    for await (const event of events(AbortSignal.any([closed.signal, service.stopping]))) {
      const isTaken = response.write(message("event", "SubscribeToShardEvent", event));
      if (!isTaken && !closed.signal.aborted) await Promise.race([drained(response), gone]);
    }
  } catch (error) {
    const { type, message: text } = errorOf(error);
    response.write(message("exception", type, { message: text }));
  }
  response.end();
}

function drained(response: Exchange["response"]): Promise<void> {
  return new Promise((resolve) => response.once("drain", resolve));
}

function errorOf(error: unknown): KinesisError {
  if (error instanceof KinesisError) return error;
  const type = isKind(error, "invalid")
    ? "InvalidArgumentException"
    : isKind(error, "unavailable")
      ? "ServiceUnavailable"
      : undefined;
  return new KinesisError(type ?? "InternalFailure", messageOf(error));
}

/** Reads a body that is too large to its end too, since the caller would not hear the answer while it still writes. */
async function readBody({ request }: Exchange): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes <= bodyBytesMax) chunks.push(chunk);
  }
  if (bytes <= bodyBytesMax) return Buffer.concat(chunks);
  throw new KinesisError("RequestEntityTooLarge", `A request has at most ${bodyBytesMax} bytes: ${bytes}`);
}
