/**
 * The preconditions of writes, which S3 has and fauxqs ignores: `If-None-Match: *` and `If-Match: <etag>` on PUT and on the end of a
 * multipart upload.
 *
 * W1 Of several writers with `If-None-Match: *` exactly one wins: the check is the last hook before the handler, and both are
 *    synchronous, so that nothing comes between check and effect.
 */
import type { buildApp } from "fauxqs";
import { findObject, type ObjectStore, type S3Request } from "./fauxqs-stores.ts";

/** Why a write is refused, as S3 says it. */
interface Refusal {
  readonly status: number;
  readonly code: string;
  readonly message: string;
}

/** Makes the store hold to preconditions; to be called before it listens. */
export function enforcePreconditions(app: ReturnType<typeof buildApp>, store: ObjectStore): void {
  app.addHook("preHandler", (request, reply, done) => {
    const refusal = decideWrite(request, store);
    if (refusal === undefined) return done();
    const { status, code, message } = refusal;
    const xml = `<?xml version="1.0" encoding="UTF-8"?><Error><Code>${code}</Code><Message>${message}</Message></Error>`;
    void reply.status(status).header("content-type", "application/xml").send(xml);
  });
}

function decideWrite(request: S3Request, store: ObjectStore): Refusal | undefined {
  const absent = request.headers["if-none-match"];
  const expected = request.headers["if-match"];
  if ((request.method !== "PUT" && request.method !== "POST") || (absent === undefined && expected === undefined))
    return undefined;
  const { bucket = "", "*": key = "" } = request.params as { bucket?: string; "*"?: string };
  const etag = findObject(store, bucket, key)?.etag;
  if (absent !== undefined && etag === undefined) return undefined;
  if (absent === undefined && etag === expected) return undefined;
  if (absent === undefined && etag === undefined)
    return { status: 404, code: "NoSuchKey", message: "the object to be replaced does not exist" };
  return { status: 412, code: "PreconditionFailed", message: "a precondition of the write does not hold" };
}
