/**
 * Services that nobody else stands in for, on loopback: EventBridge, Firehose, Lambda's invocations and a receiver of HTTP requests. They speak
 * what the SDK speaks, keep what they were given, and hold their callers to the limits of a request.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { keepConnections } from "../../emulator/keep-connections.ts";

/** What becomes of an entry. `again`: not taken for now. `refuse`: never. */
export type EntryFate = "take" | "again" | "refuse";
/** What becomes of a request. `lose`: it takes effect, its answer does not arrive. `deny`: no permission. */
export type RequestFate = "pass" | "throttle" | "lose" | "deny";

export interface Fates {
  request: () => RequestFate;
  /** By the JSON of what it holds. */
  entry: (value: any) => EntryFate;
}

export const allWell = (): Fates => ({ request: () => "pass", entry: () => "take" });

export interface Taken {
  readonly value: any;
  readonly id: string | undefined;
  readonly group?: string | undefined;
  /** What came with it: an entry, headers. */
  readonly with: any;
}

export interface Fake {
  readonly endpoint: string;
  readonly taken: Taken[];
  fates: Fates;
  /** Requests so far. */
  requests: number;
  stop(): Promise<void>;
}

class Refusal extends Error {
  readonly code: string;
  readonly status: number;
  constructor(code: string, message = code, status = 400) {
    super(message);
    this.code = code;
    this.status = status;
  }
}

type Answer = { readonly status?: number; readonly headers?: Record<string, string>; readonly body: string };

async function start(answer: (fake: Fake, request: IncomingMessage, body: Buffer) => Answer | Promise<Answer>): Promise<Fake> {
  const server: Server = createServer((request, response) => void handle(request, response));
  keepConnections(server);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const fake: Fake = {
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    taken: [],
    fates: allWell(),
    requests: 0,
    stop: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  const handle = async (request: IncomingMessage, response: ServerResponse) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    fake.requests++;
    try {
      const fate = fake.fates.request();
      if (fate === "throttle") throw new Refusal("ThrottlingException", "Rate exceeded", 429);
      if (fate === "deny") throw new Refusal("AccessDeniedException", "not authorized", 403);
      const { status = 200, headers = {}, body } = await answer(fake, request, Buffer.concat(chunks));
      if (fate === "lose") return void request.socket.destroy();
      response.writeHead(status, headers).end(body);
    } catch (error) {
      const { code = "InternalFailure", status = 500, message } = error as Refusal;
      response.writeHead(status, { "x-amzn-errortype": code, "content-type": "application/json" });
      response.end(JSON.stringify({ __type: code, message }));
    }
  };
  return fake;
}

const json = { "content-type": "application/x-amz-json-1.1" };
const operationOf = ({ headers }: IncomingMessage) => String(headers["x-amz-target"]).split(".")[1];

export function startEventBridge(): Promise<Fake> {
  return start((fake, request, body) => {
    const input = JSON.parse(body.toString());
    if (operationOf(request) === "DescribeEventBus") {
      if (input.Name !== "bus") throw new Refusal("ResourceNotFoundException", `Event bus ${input.Name} does not exist.`);
      return { headers: json, body: JSON.stringify({ Name: "bus" }) };
    }
    const { Entries } = input as { Entries: Record<string, any>[] };
    if (Entries.length < 1 || Entries.length > 10) throw new Refusal("ValidationException", "1 to 10 entries");
    const sizeOf = ({ Source, DetailType, Detail, Time, Resources = [] }: Record<string, any>) =>
      Buffer.byteLength([Source, DetailType, Detail, ...Resources].join("")) + (Time === undefined ? 0 : 14);
    if (Entries.reduce((sum, entry) => sum + sizeOf(entry), 0) >= 1_000_000)
      throw new Refusal("ValidationException", "too large");
    const answers = Entries.map((entry) => {
      if (entry["EventBusName"] !== "bus") return { ErrorCode: "ResourceNotFoundException", ErrorMessage: "no such bus" };
      const detail = JSON.parse(entry["Detail"]);
      const fate = fake.fates.entry(detail);
      if (fate === "again") return { ErrorCode: "InternalFailure", ErrorMessage: "later" };
      if (fate === "refuse") return { ErrorCode: "MalformedDetail", ErrorMessage: "Detail is malformed." };
      const { millraceId, ...value } = detail;
      fake.taken.push({ value, id: millraceId, with: entry });
      return { EventId: `event-${fake.taken.length}` };
    });
    const FailedEntryCount = answers.filter(({ ErrorCode }) => ErrorCode !== undefined).length;
    return { headers: json, body: JSON.stringify({ FailedEntryCount, Entries: answers }) };
  });
}

export function startFirehose(): Promise<Fake> {
  return start((fake, request, body) => {
    const input = JSON.parse(body.toString());
    if (input.DeliveryStreamName !== "stream") throw new Refusal("ResourceNotFoundException", "no such stream");
    if (operationOf(request) === "DescribeDeliveryStream")
      return { headers: json, body: JSON.stringify({ DeliveryStreamDescription: {} }) };
    const records = (input.Records as { Data: string }[]).map(({ Data }) => Buffer.from(Data, "base64"));
    const bytes = records.reduce((sum, { length }) => sum + length, 0);
    if (records.length < 1 || records.length > 500 || bytes > 4 << 20 || records.some(({ length }) => length > 1_024_000))
      throw new Refusal("InvalidArgumentException", "too large");
    const RequestResponses = records.map((record) => {
      const value = JSON.parse(record.toString());
      if (fake.fates.entry(value) === "again") return { ErrorCode: "ServiceUnavailableException", ErrorMessage: "Slow down." };
      fake.taken.push({ value, id: undefined, with: record.toString() });
      return { RecordId: `record-${fake.taken.length}` };
    });
    const FailedPutCount = RequestResponses.filter(({ ErrorCode }) => ErrorCode !== undefined).length;
    return { headers: json, body: JSON.stringify({ FailedPutCount, RequestResponses }) };
  });
}

export function startLambda(): Promise<Fake> {
  return start((fake, request, body) => {
    const name = /^\/2015-03-31\/functions\/([^/]+)\/invocations/.exec(request.url ?? "")?.[1];
    if (name !== "function") throw new Refusal("ResourceNotFoundException", `Function not found: ${name}`, 404);
    const type = request.headers["x-amz-invocation-type"] ?? "RequestResponse";
    if (type === "DryRun") return { status: 204, body: "" };
    if (body.length > (type === "Event" ? 1_000_000 : 6_000_000)) throw new Refusal("RequestTooLargeException", "too large", 413);
    const { messages } = JSON.parse(body.toString()) as { messages: { id: string; value: any }[] };
    const batchItemFailures: { itemIdentifier: string }[] = [];
    for (const { id, value } of messages) {
      const fate = fake.fates.entry(value);
      if (fate === "refuse") {
        const headers = { "x-amz-function-error": "Unhandled" };
        return { headers, body: JSON.stringify({ errorMessage: "cannot", errorType: "Error" }) };
      }
      // Like a function that stops at the first it cannot take.
      if (fate === "again" || batchItemFailures.length > 0) batchItemFailures.push({ itemIdentifier: id });
      else fake.taken.push({ value, id, with: type });
    }
    return type === "Event" ? { status: 202, body: "" } : { body: JSON.stringify({ batchItemFailures }) };
  });
}

export function startReceiver(): Promise<Fake> {
  return start((fake, request, body) => {
    const value = JSON.parse(body.toString());
    const fate = fake.fates.entry(value);
    if (fate === "again") return { status: 503, body: "later" };
    if (fate === "refuse") return { status: 422, body: "never" };
    const { headers, method, url } = request;
    fake.taken.push({ value, id: headers["idempotency-key"] as string, group: value.user, with: { headers, method, url } });
    return { status: 201, body: "taken" };
  });
}
