/** SQS in memory, as far as sinks use it: batches of which some messages may be refused. */
import type { SeededRandom } from "../../runtime/base/seeded-random.ts";
import type { Clock } from "../clock.ts";
import { type Input, ServiceError, type SimulatedService } from "./sdk-clients.ts";
import type { ServiceCalls } from "./service-calls.ts";
import { SimulatedQueue } from "./simulated-queue.ts";

const urlPrefix = "https://sqs.us-east-1.amazonaws.com/000000000000/";

export class SqsService implements SimulatedService {
  readonly ms = 20;
  readonly throttling = "ThrottlingException";
  readonly #clock: Clock;
  readonly #calls: ServiceCalls;
  readonly #random: SeededRandom;
  readonly #queues = new Map<string, SimulatedQueue>();

  constructor(clock: Clock, calls: ServiceCalls, random: SeededRandom) {
    this.#clock = clock;
    this.#calls = calls;
    this.#random = random;
  }

  createQueue(name: string, visibilityMs: number): SimulatedQueue {
    const queue = new SimulatedQueue({ name, clock: this.#clock, random: this.#random, calls: this.#calls, visibilityMs });
    this.#queues.set(name, queue);
    return queue;
  }

  queue(name: string): SimulatedQueue {
    const queue = this.#queues.get(name);
    if (queue === undefined) throw new ServiceError("QueueDoesNotExist");
    return queue;
  }

  describe(command: string, { QueueUrl, QueueName = String(QueueUrl).slice(urlPrefix.length), Entries }: Input): string {
    return `${command} ${QueueName} ${Entries?.length ?? ""}`.trimEnd();
  }

  async carryOut(command: string, input: Input): Promise<object> {
    if (command === "GetQueueUrl") {
      this.queue(input.QueueName);
      return { QueueUrl: urlPrefix + input.QueueName };
    }
    const queue = this.queue(input.QueueUrl.slice(urlPrefix.length));
    switch (command) {
      case "GetQueueAttributes":
        return { Attributes: { QueueArn: queue.arn } };
      case "SendMessageBatch":
        return this.#send(queue, input.Entries);
      default:
        throw new Error(`SQS is not simulated so far: ${command}`);
    }
  }

  #send(queue: SimulatedQueue, entries: readonly Input[]): object {
    const Successful: object[] = [];
    const Failed: object[] = [];
    for (const { Id, MessageBody: body, MessageAttributes = {}, MessageGroupId, MessageDeduplicationId } of entries) {
      if (this.#calls.happens("partialPut")) {
        Failed.push({ Id, Code: "ServiceUnavailable", SenderFault: false });
        continue;
      }
      const attributes = Object.entries<Input>(MessageAttributes).map(([name, { StringValue }]) => [name, StringValue as string]);
      queue.send({
        body,
        attributes: Object.fromEntries(attributes),
        group: MessageGroupId,
        deduplicationId: MessageDeduplicationId,
      });
      Successful.push({ Id, MessageId: `${Id}` });
    }
    return { Successful, Failed };
  }
}
