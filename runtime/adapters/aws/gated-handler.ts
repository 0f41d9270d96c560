/**
 * Requests over HTTP/1.1 with a bound on those under way. The SDK's handler starts the clocks of its time-outs before a request has a
 * connection, so a thousand reads at once would time out in the queue for one; here they wait before the clocks start.
 */
import { NodeHttpHandler, type NodeHttpHandlerOptions } from "@smithy/node-http-handler";

type Request = Parameters<NodeHttpHandler["handle"]>[0];
type Options = Parameters<NodeHttpHandler["handle"]>[1];

export class GatedHandler extends NodeHttpHandler {
  #free: number;
  readonly #waiting: (() => void)[] = [];

  /** `requestsMax`: under way at once; connections are kept for as many. */
  constructor(requestsMax: number, options: NodeHttpHandlerOptions = {}) {
    super({
      ...options,
      httpAgent: { keepAlive: true, maxSockets: requestsMax },
      httpsAgent: { keepAlive: true, maxSockets: requestsMax },
    });
    this.#free = requestsMax;
  }

  override async handle(request: Request, options?: Options): Promise<Awaited<ReturnType<NodeHttpHandler["handle"]>>> {
    if (this.#free > 0) this.#free--;
    else await new Promise<void>((resolve) => this.#waiting.push(resolve));
    try {
      return await super.handle(request, options);
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) this.#free++;
      else next();
    }
  }
}
