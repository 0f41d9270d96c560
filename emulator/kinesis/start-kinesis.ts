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
import { messageOf } from "../../runtime/base/errors.ts";
import type { Clock } from "../../runtime/ports/clock.ts";
import { Arrivals } from "./arrivals.ts";
import { encodeEventMessage } from "./event-stream.ts";
import type { Fault, Faults } from "./faults.ts";
import { type Exchange, listen } from "./http-listener.ts";
import { Input } from "./input.ts";
import { KinesisError } from "./kinesis-error.ts";
import { type KinesisLimits, kinesisLimits, mib, noLimits, Throttle } from "./limits.ts";
import { operations } from "./operations/index.ts";
import { type EventOutput, nameOfStream, type Output, type Service } from "./service.ts";
import { StreamRegistry } from "./stream-registry.ts";
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
  /** Both stand in ARNs. */
  readonly region?: string;
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
    account: options.account ?? "000000000000",
    region: options.region ?? "us-east-1",
    transitionMs: options.transitionMs ?? 0,
    stopping: stopping.signal,
  };
  const server = await listen(options.port ?? 0, (exchange) => {
    answer(service, options.faults, exchange).catch(() => exchange.drop());
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

async function answer(service: Service, faults: Faults | undefined, exchange: Exchange): Promise<void> {
  const { request } = exchange;
  const { wire, operation } = recogniseWire(request.url ?? "/", request.headers);
  try {
    const body = await readBody(exchange);
    if (body === undefined || request.method !== "POST" || operation === undefined || !operations.has(operation)) {
      throw new KinesisError("UnknownOperationException", `${request.method} ${request.url} names no operation of Kinesis.`);
    }
    const input = new Input(wire.decode(body));
    const given = faults?.({ operation, input }) ?? [];
    await carryOut(service, exchange, wire, operation, input, Array.isArray(given) ? given : [given as Fault]);
  } catch (error) {
    refuse(exchange, wire, error);
  }
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
  const output = await operations.get(operation)!(service, { operation, input, refuses });
  if (faults.some(({ kind }) => kind === "dropAfter")) return exchange.drop();
  if (isEvents(output)) return sendEvents(exchange, wire, output);
  const hasOutput = Object.keys(output).length > 0 || wire.contentType === "application/cbor";
  send(exchange, wire, 200, hasOutput ? wire.encode(output) : Buffer.alloc(0));
}

function isEvents(output: Output | EventOutput): output is EventOutput {
  return Symbol.asyncIterator in ((output as EventOutput).events ?? {});
}

function refuse(exchange: Exchange, wire: Wire, error: unknown): void {
  const refusal = error instanceof KinesisError ? error : new KinesisError("InternalFailure", messageOf(error));
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

async function sendEvents({ response, drop }: Exchange, wire: Wire, { events }: EventOutput): Promise<void> {
  response.writeHead(200, {
    ...wire.headers,
    "content-type": "application/vnd.amazon.eventstream",
    "x-amzn-requestid": randomUUID(),
  });
  const message = (type: string, payload: Output) =>
    encodeEventMessage(
      { ":message-type": "event", ":event-type": type, ":content-type": wire.contentType },
      wire.encode(payload),
    );
  response.write(message("initial-response", {}));
  try {
    for await (const { type, payload } of events) {
      if (response.destroyed) return;
      response.write(message(type, payload));
    }
    response.end();
  } catch {
    drop();
  }
}

/** Undefined for a body that is larger than any call's. */
async function readBody({ request }: Exchange): Promise<Buffer | undefined> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes <= bodyBytesMax) chunks.push(chunk);
  }
  return bytes <= bodyBytesMax ? Buffer.concat(chunks) : undefined;
}
