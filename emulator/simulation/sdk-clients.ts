/**
 * The SDK's clients of one simulated process, as far as the adapters use them: requests that got no answer, or were throttled, are
 * repeated as the SDK repeats them, and errors have the SDK's names and `$metadata`.
 */
import * as streams from "@aws-sdk/client-dynamodb-streams";
import * as sqs from "@aws-sdk/client-sqs";
import type { AwsClients } from "../../runtime/adapters/aws/aws-clients.ts";
import type { LazyClients, LoadedDynamodbStreams, LoadedSqs } from "../../runtime/adapters/aws/lazy-clients.ts";
import type { SeededRandom } from "../../runtime/base/seeded-random.ts";
import type { ServiceCalls } from "./service-calls.ts";
import type { SimulatedProcess } from "./simulated-process.ts";

export type Input = Record<string, any>;

/** A service: what it makes of a command's input. Throws errors that have the names of the service's. */
export interface SimulatedService {
  /** How long a request takes each way at most, ms. */
  readonly ms: number;
  /** The error by which it asks to slow down. */
  readonly throttling: string;
  carryOut(command: string, input: Input): Promise<object>;
  /** Undefined: not to be shown. */
  describe(command: string, input: Input): string;
}

/** As the SDK has it: of a request, the first one included. */
const attemptsMax = 3;

export class ServiceError extends Error {
  constructor(name: string, message = name, fields: object = {}) {
    super(message);
    Object.assign(this, fields);
    this.name = name;
  }
}

/** The services of a world, by what the SDK calls them. */
export type Services = { readonly [service in keyof AwsClients | "sqs" | "dynamodbStreams"]: SimulatedService };

/** What a process asks AWS by. */
export interface ProcessClients {
  readonly clients: AwsClients;
  readonly lazyClients: Pick<LazyClients, "sqs" | "dynamodbStreams">;
}

export function clientsOf(
  process: SimulatedProcess,
  calls: ServiceCalls,
  random: SeededRandom,
  services: Services,
): ProcessClients {
  const client = (service: SimulatedService) => ({
    send: (command: object & { readonly input: Input }) => send(process, calls, random, service, command),
    destroy: () => undefined,
  });
  const clients = { dynamodb: client(services.dynamodb), s3: client(services.s3), kinesis: client(services.kinesis) };
  const loadedSqs = { sdk: sqs, client: client(services.sqs) } as unknown as LoadedSqs;
  const loadedStreams = { sdk: streams, client: client(services.dynamodbStreams) } as unknown as LoadedDynamodbStreams;
  return {
    clients: clients as unknown as AwsClients,
    lazyClients: { sqs: async () => loadedSqs, dynamodbStreams: async () => loadedStreams },
  };
}

async function send(
  process: SimulatedProcess,
  calls: ServiceCalls,
  random: SeededRandom,
  service: SimulatedService,
  command: object & { readonly input: Input },
): Promise<object> {
  const name = command.constructor.name.replace(/Command$/, "");
  const what = service.describe(name, command.input);
  for (let attempt = 1; ; attempt++) {
    const result = await calls.request(process, what, service.ms, () => service.carryOut(name, command.input));
    if ("answer" in result) {
      try {
        return await result.answer;
      } catch (error) {
        const known = Object.assign(error as Error, { $metadata: { attempts: attempt, httpStatusCode: 400 } });
        if (known.name !== service.throttling || attempt === attemptsMax) throw known;
      }
    }
    const isThrottled = "answer" in result || result.failed === "throttled";
    if (attempt === attemptsMax) {
      const error = new ServiceError(isThrottled ? service.throttling : "TimeoutError");
      throw Object.assign(error, { $metadata: { attempts: attempt, ...(isThrottled && { httpStatusCode: 400 }) } });
    }
    await calls.sleep(process, Math.ceil(random.next() * 100 * 2 ** attempt));
  }
}
