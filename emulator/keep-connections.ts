/**
 * Keeps the connections that clients hold for reuse: Node's server cuts one that has rested for five seconds, and to a caller whose next
 * request is on its way the service has failed. Here callers rest for any time, since functions stand still between invocations and
 * laptops sleep, and so does a server on a machine that is busy with other things.
 */
import type { Server } from "node:http";

export function keepConnections(server: Server): void {
  Object.assign(server, { keepAliveTimeout: 0, headersTimeout: 0, requestTimeout: 0 });
}
