/**
 * S3 on loopback, in this process: fauxqs, with what it lacks: preconditions of writes (preconditions.ts), listings in S3's order,
 * ranges from the end that are longer than the object, and objects above 11 MiB.
 */
import type { ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { buildApp } from "fauxqs";
import { type HttpFaults, installFaults } from "../http-faults.ts";
import { keepConnections } from "../keep-connections.ts";
import type { StandIn } from "../stand-in.ts";
import { findObject, keepIn, newStores, type ObjectStore, type S3Request } from "./fauxqs-stores.ts";
import { enforcePreconditions } from "./preconditions.ts";

export interface S3Options {
  /** 0, the default, takes a free one. */
  readonly port?: number;
  /** A folder for buckets and objects; without it they live in memory. */
  readonly directory?: string;
  readonly faults?: HttpFaults;
}

/** What one request may carry: S3's own limit is 5 GiB, memory's is lower. */
const requestBytesMax = 64 * 1024 * 1024;

/** Starts it, empty or with what its folder holds: buckets are created by their users. */
export async function startS3(options: S3Options = {}): Promise<StandIn> {
  const stores = await newStores();
  const close = options.directory === undefined ? undefined : await keepIn(options.directory, stores.s3Store);
  const app = buildApp({ logger: false, stores });
  keepConnections(app.server);
  app.removeContentTypeParser("*");
  app.addContentTypeParser("*", { parseAs: "buffer", bodyLimit: requestBytesMax }, (_request, body, done) => done(null, body));
  app.addHook("preHandler", (request, _reply, done) => {
    readLongSuffix(request, stores.s3Store);
    done();
  });
  enforcePreconditions(app, stores.s3Store);
  if (options.faults !== undefined) {
    installFaults(app.server, options.faults, { operationOf: ({ method }) => method ?? "", refuse });
  }
  await app.listen({ host: "127.0.0.1", port: options.port ?? 0 });
  const stop = async () => {
    await app.close();
    close?.();
  };
  return { endpoint: `http://127.0.0.1:${(app.server.address() as AddressInfo).port}`, stop };
}

function refuse(response: ServerResponse, fault: "throttle" | "unavailable"): void {
  const [status, code] = fault === "throttle" ? [503, "SlowDown"] : [500, "InternalError"];
  response.writeHead(Number(status), { "content-type": "application/xml" });
  response.end(
    `<?xml version="1.0" encoding="UTF-8"?><Error><Code>${code}</Code><Message>Refused by the test.</Message></Error>`,
  );
}

/** The last n bytes of an object that has fewer are all of it (RFC 9110, 14.1.2); fauxqs refuses. */
function readLongSuffix(request: S3Request, store: ObjectStore): void {
  const suffix = /^bytes=-(\d+)$/.exec(request.headers.range ?? "")?.[1];
  if (suffix === undefined) return;
  const { bucket = "", "*": key = "" } = request.params as { bucket?: string; "*"?: string };
  const size = findObject(store, bucket, key)?.contentLength ?? 0;
  if (size > 0 && Number(suffix) > size) request.headers.range = "bytes=0-";
}
