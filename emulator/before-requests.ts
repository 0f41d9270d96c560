import type { RequestListener, Server } from "node:http";

/** Puts a listener before what a server does with its requests so far, which it is made with: `serve`. */
export function beforeRequests(server: Server, make: (serve: RequestListener) => RequestListener): void {
  const listeners = server.listeners("request") as RequestListener[];
  server.removeAllListeners("request");
  server.on(
    "request",
    make((request, response) => {
      for (const listener of listeners) listener(request, response);
    }),
  );
}
