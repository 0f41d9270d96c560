/**
 * Who is subscribed to which shard. A consumer has one subscription to a shard: five seconds after it began, another takes it over.
 */
import { KinesisError } from "./kinesis-error.ts";

const takeOverAfterMs = 5000;

interface Subscription {
  readonly since: number;
  readonly ending: AbortController;
}

export class Subscriptions {
  readonly #held = new Map<string, Subscription>();

  /** The signal is aborted, with the error to give as its reason, when another takes over. Throws ResourceInUseException. */
  begin(consumerArn: string, shard: string, now: number): AbortSignal {
    const key = `${consumerArn}\n${shard}`;
    const held = this.#held.get(key);
    if (held !== undefined && now - held.since < takeOverAfterMs) {
      const rule = `The consumer has a subscription to this shard that began less than ${takeOverAfterMs} ms ago`;
      throw new KinesisError("ResourceInUseException", `${rule}: ${consumerArn}, ${shard}`);
    }
    held?.ending.abort(new KinesisError("ResourceInUseException", "Another subscription of this consumer took over the shard."));
    const ending = new AbortController();
    this.#held.set(key, { since: now, ending });
    return ending.signal;
  }

  /** Ends all of a consumer that is gone. */
  end(consumerArn: string): void {
    for (const [key, { ending }] of this.#held) {
      if (!key.startsWith(`${consumerArn}\n`)) continue;
      this.#held.delete(key);
      ending.abort(new KinesisError("ResourceNotFoundException", `Consumer ${consumerArn} was deregistered.`));
    }
  }
}
