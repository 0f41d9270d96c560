/**
 * EventBridge on loopback, in this process: events that are put on a bus go to the queues of the rules that they match, as EventBridge hands
 * them over.
 *
 * V1 An event is taken whole or refused with a reason, entry by entry; what is taken has gone to all its queues when the call is answered.
 * V2 A bus keeps no order and stores nothing: what no rule matches is gone.
 *
 * Not here: targets other than queues, what changes an event on its way to one, archives, replays, global endpoints, buses of other accounts.
 * Sources: https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutEvents.html,
 * https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-events-structure.html, …/eb-putevents.html
 */
import { randomUUID } from "node:crypto";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { compileEventPattern } from "../event-source-mapping/filter-pattern.ts";
import { type HttpFaults, installFaults } from "../http-faults.ts";
import { keepConnections } from "../keep-connections.ts";
import { readBody } from "../lambda/read-body.ts";
import type { StandIn } from "../stand-in.ts";

export interface EventsOptions {
  /** 0, the default, takes a free one. */
  readonly port?: number;
  readonly region: string;
  readonly account: string;
  /** Hands a message to a queue. */
  readonly send: (queue: string, body: string) => void;
  /** By operation: PutEvents, DescribeEventBus. */
  readonly faults?: HttpFaults;
}

/** A rule that is in force. */
export interface EventRule {
  /** The bus' name. */
  readonly eventBusName: string;
  readonly eventPattern: object;
  /** Names of the queues that are sent what matches. */
  readonly queues: readonly string[];
}

export interface Events extends StandIn {
  /** From now on. `buses`: names, beside the account's own, "default". Throws `invalid` for a pattern that cannot be matched here. */
  use(buses: readonly string[], rules: readonly EventRule[]): void;
}

/** Every account has it. */
export const defaultBus = "default";

const entriesMax = 10;
/** Of a whole request. */
const requestBytesMax = 1_048_576;

interface Entry {
  readonly EventBusName?: string;
  readonly Source?: string;
  readonly DetailType?: string;
  readonly Detail?: string;
  readonly Resources?: readonly string[];
  /** Seconds since the epoch. */
  readonly Time?: number;
}

type Answer = Readonly<Record<string, unknown>>;

class Refusal extends Error {
  readonly code: string;
  constructor(code: string, message: string) {
    super(message);
    this.code = code;
  }
}

export async function startEvents(options: EventsOptions): Promise<Events> {
  const buses = new Buses(options);
  const server = createServer((request, response) => {
    answer(buses, request).then(
      (body) => respond(response, 200, body),
      (error: Error) =>
        respond(response, 400, { __type: error instanceof Refusal ? error.code : "InternalException", message: error.message }),
    );
  });
  keepConnections(server);
  if (options.faults !== undefined) installFaults(server, options.faults, { operationOf, refuse });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(options.port ?? 0, "127.0.0.1", resolve);
  });
  return {
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    use: (names, rules) => buses.use(names, rules),
    stop: () =>
      new Promise<void>((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

async function answer(buses: Buses, request: IncomingMessage): Promise<Answer> {
  // An event counts with its names and its time, a request with what JSON puts around them.
  const body = await readBody(request, 2 * requestBytesMax);
  if (body === undefined) throw new Refusal("ValidationException", "Total size of the entries in the request is over the limit.");
  const input = JSON.parse(body.toString() || "{}") as Answer;
  const operation = operationOf(request);
  if (operation === "PutEvents") return buses.put((input.Entries ?? []) as readonly Entry[]);
  if (operation === "DescribeEventBus") return buses.describe(input.Name as string | undefined);
  throw new Refusal("UnknownOperationException", `EventBridge here knows PutEvents and DescribeEventBus alone: ${operation}`);
}

class Buses {
  readonly #options: EventsOptions;
  #names: ReadonlySet<string> = new Set([defaultBus]);
  #rules: readonly (EventRule & { readonly matches: (event: string) => boolean })[] = [];

  constructor(options: EventsOptions) {
    this.#options = options;
  }

  use(names: readonly string[], rules: readonly EventRule[]): void {
    this.#rules = rules.map((rule) => ({ ...rule, matches: compileEventPattern(JSON.stringify(rule.eventPattern)) }));
    this.#names = new Set([defaultBus, ...names]);
  }

  describe(name: string = defaultBus): Answer {
    const known = nameOf(name);
    if (!this.#names.has(known)) throw new Refusal("ResourceNotFoundException", `Event bus ${known} does not exist.`);
    const { region, account } = this.#options;
    return { Name: known, Arn: `arn:aws:events:${region}:${account}:event-bus/${known}` };
  }

  put(entries: readonly Entry[]): Answer {
    if (entries.length === 0 || entries.length > entriesMax)
      throw new Refusal("ValidationException", `Member must have length between 1 and ${entriesMax}: ${entries.length} entries`);
    const bytes = entries.reduce((sum, entry) => sum + sizeOf(entry), 0);
    if (bytes > requestBytesMax)
      throw new Refusal("ValidationException", "Total size of the entries in the request is over the limit.");
    const Entries = entries.map((entry) => this.#take(entry));
    return { Entries, FailedEntryCount: Entries.filter(({ ErrorCode }) => ErrorCode !== undefined).length };
  }

  #take(entry: Entry): { readonly EventId?: string; readonly ErrorCode?: string; readonly ErrorMessage?: string } {
    const { Source, DetailType, Detail, EventBusName = defaultBus } = entry;
    const bus = nameOf(EventBusName);
    for (const [name, value] of Object.entries({ Source, DetailType, Detail }))
      if (!value)
        return { ErrorCode: "InvalidArgument", ErrorMessage: `Parameter ${name} is not valid. Reason: it is required.` };
    if (!this.#names.has(bus)) return { ErrorCode: "InvalidArgument", ErrorMessage: `Event bus ${bus} does not exist.` };
    if (!isObject(Detail!)) return { ErrorCode: "MalformedDetail", ErrorMessage: "Detail is malformed." };
    const EventId = randomUUID();
    const event = this.#eventOf(EventId, entry);
    for (const { eventBusName, queues, matches } of this.#rules)
      if (eventBusName === bus && matches(event)) for (const queue of queues) this.#options.send(queue, event);
    return { EventId };
  }

  /** The detail as it was put: numbers keep their digits. */
  #eventOf(id: string, { Source, DetailType, Detail, Resources = [], Time = Date.now() / 1_000 }: Entry): string {
    const { region, account } = this.#options;
    const time = `${new Date(Time * 1_000).toISOString().slice(0, 19)}Z`;
    const around = { version: "0", id, "detail-type": DetailType, source: Source, account, time, region, resources: Resources };
    return `${JSON.stringify(around).slice(0, -1)},"detail":${Detail!}}`;
  }
}

/** As EventBridge counts an entry. */
function sizeOf({ Time, Source = "", DetailType = "", Detail = "", Resources = [] }: Entry): number {
  const texts = [Source, DetailType, Detail, ...Resources];
  return texts.reduce((sum, text) => sum + Buffer.byteLength(text), Time === undefined ? 0 : 14);
}

function isObject(json: string): boolean {
  try {
    const value = JSON.parse(json) as unknown;
    return typeof value === "object" && value !== null && !Array.isArray(value);
  } catch {
    return false;
  }
}

/** Of a bus that is told by its name or its ARN. */
function nameOf(bus: string): string {
  return bus.slice(bus.lastIndexOf("/") + 1);
}

function operationOf({ headers }: IncomingMessage): string {
  return String(headers["x-amz-target"] ?? "")
    .split(".")
    .at(-1)!;
}

function refuse(response: ServerResponse, fault: "throttle" | "unavailable"): void {
  const [status, __type] = fault === "throttle" ? [400, "ThrottlingException"] : [503, "ServiceUnavailable"];
  respond(response, Number(status), { __type, message: "Refused by the test." });
}

function respond(response: ServerResponse, status: number, body: Answer): void {
  response.writeHead(status, { "content-type": "application/x-amz-json-1.1" });
  response.end(JSON.stringify(body));
}
