/**
 * The requests that dynalite is at, whose callers may die in the midst of them: what fails of that it throws where nobody can catch it.
 *
 * U1 Its database is not closed under a request that it works on.
 * U2 A request that is cut is nobody's.
 */
import type { IncomingMessage, Server, ServerResponse } from "node:http";
import { beforeRequests } from "../before-requests.ts";

export class UnderWay {
  #count = 0;
  #isClosed = false;
  #onOver: () => void = () => undefined;

  /** Of all that the server's listeners so far are given from now on. */
  constructor(server: Server) {
    beforeRequests(server, (serve) => (request, response) => {
      if (this.#isClosed) return void request.socket.destroy();
      this.#begin(request, response);
      serve(request, response);
      // U2.
      request.removeAllListeners("error").on("error", () => undefined);
    });
  }

  /** Lets none begin any more, and waits for those that have. */
  async close(): Promise<void> {
    this.#isClosed = true;
    if (this.#count > 0) await new Promise<void>((resolve) => (this.#onOver = resolve));
  }

  #begin(request: IncomingMessage, response: ServerResponse): void {
    let isOver = false;
    const over = () => {
      if (isOver) return;
      isOver = true;
      if (--this.#count === 0) this.#onOver();
    };
    this.#count++;
    // One that was cut before its end is never worked on.
    request.once("close", () => {
      if (!request.readableEnded) over();
    });
    const end = response.end.bind(response) as (...args: unknown[]) => ServerResponse;
    Object.assign(response, {
      end: (...args: unknown[]) => {
        over();
        return end(...args);
      },
    });
  }
}
