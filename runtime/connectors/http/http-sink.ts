/**
 * Requests over HTTP as a sink, each with an idempotency key: the declaration and its pure half. The runtime half is http-channel.ts.
 *
 * H1 Headers, and secrets in them, are made when a request is sent and stand in no commit, plan or log.
 */
import type { Sink } from "../../api/connector.ts";
import type { Duration } from "../../api/duration.ts";
import { MillraceError } from "../../base/errors.ts";
import { checkWritesRecords, encodeRecord, type Format, formatOptions } from "../formats/format.ts";
import { checkSize, MessageWriter } from "../messages/message-writer.ts";
import { checkId } from "../messages/text.ts";
import type { HttpFunctions, HttpSettings } from "./http-settings.ts";

export interface HttpSinkOptions<T> {
  /** The receiver's logical name: a deployment or the command line binds it to a URL; else `url` stands for it on AWS. */
  readonly endpoint: string;
  /** Where requests go: https://… */
  readonly url?: string;
  /** Of a row: what is added to the URL, as "/orders/17?x=1". */
  readonly path?: (value: T) => string;
  /** Default "POST". */
  readonly method?: "POST" | "PUT" | "PATCH" | "DELETE";
  /** What a request's body holds; `contentType` says what that is, default "application/json". */
  readonly format: Format<T>;
  readonly contentType?: string;
  /** Called before each request: a place for secrets, which the function reads where they are kept. */
  readonly headers?: HttpFunctions["headers"];
  /** Requests of rows for which this is the same are sent one after the other; default: in no order. */
  readonly orderBy?: (value: T) => string;
  /** Default: a name of the row's commit and its place there. A name of the row's own is the same after a restore too. */
  readonly idempotencyKey?: (value: T) => string;
  /** The header that has it; default "Idempotency-Key". */
  readonly idempotencyHeader?: string;
  /** Requests under way side by side, at most; default 8. */
  readonly concurrency?: number;
  /** A request without an answer after so long is given up, and sent again; default 10 s. */
  readonly timeout?: Duration;
  /** A body above it goes to the dead letters; default 1 MiB. */
  readonly maxBodyBytes?: number;
  /**
   * What a status means: taken; for now not, try again; not this row, to the dead letters; nothing works until someone puts it right. Undefined:
   * as it does by default: 2xx taken; 408, 409, 425, 429 and 5xx again; 401, 403 and 3xx stop; all others, the dead letters.
   */
  readonly onStatus?: HttpFunctions["onStatus"];
}

/** The declaration with the author's functions, which the runtime half calls. */
export interface HttpSink<in T> extends Sink<T> {
  readonly functions: HttpFunctions;
}

const defaultTimeoutMs = 10_000;
const defaultMaxBodyBytes = 1_048_576;
const concurrencyMax = 100;
const methods = ["POST", "PUT", "PATCH", "DELETE"];

/**
 * A request for each row. At least once, with the same idempotency key whenever it is sent again after a crash: exactly once in effect where the
 * receiver keeps to it. Throws `invalid` for options that cannot be.
 */
export function httpSink<T>(options: HttpSinkOptions<T>): Sink<T> {
  const { endpoint, url, method = "POST", format, contentType = "application/json", concurrency = 8 } = options;
  const { idempotencyHeader = "Idempotency-Key", timeout = defaultTimeoutMs, maxBodyBytes = defaultMaxBodyBytes } = options;
  if (endpoint === "") throw new MillraceError("invalid", "an HTTP sink needs the name of its endpoint");
  if (url !== undefined) checkUrl(url);
  checkWritesRecords(format, "an HTTP sink");
  if (!methods.includes(method)) throw new MillraceError("invalid", `method is one of ${methods.join(", ")}: ${String(method)}`);
  if (!/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/.test(idempotencyHeader))
    throw new MillraceError("invalid", `idempotencyHeader is the name of a header: ${idempotencyHeader}`);
  if (!(Number.isInteger(concurrency) && concurrency >= 1 && concurrency <= concurrencyMax))
    throw new MillraceError("invalid", `concurrency is a whole number from 1 to ${concurrencyMax}: ${concurrency}`);
  if (!(timeout > 0)) throw new MillraceError("invalid", `timeout is a positive length of time: ${timeout}`);
  if (!(maxBodyBytes >= 1)) throw new MillraceError("invalid", `maxBodyBytes is a positive number: ${maxBodyBytes}`);
  const settings: HttpSettings = { endpoint, url, method, contentType, idempotencyHeader, concurrency, timeoutMs: timeout };
  const { path, orderBy, idempotencyKey, headers, onStatus } = options;
  const sink: HttpSink<T> = {
    kind: "http",
    name: endpoint,
    guarantee: "atLeastOnce",
    options: { ...settings, format: formatOptions(format) },
    functions: { headers, onStatus },
    createWriter: () =>
      new MessageWriter((value: T) => {
        const body = encodeRecord(format, value);
        checkSize(body.length, maxBodyBytes, "a request's body");
        return {
          body,
          group: orderBy && checkOrder(orderBy(value)),
          id: idempotencyKey && checkId(idempotencyKey(value), "an idempotency key"),
          fields: path && { path: checkPath(path(value)) },
        };
      }),
  };
  return sink;
}

/** Throws `invalid` for what is no URL of HTTP. */
export function checkUrl(url: string): URL {
  const parsed = URL.parse(url);
  // Not the URL itself: it may have a secret in it.
  if (parsed === null || !/^https?:$/.test(parsed.protocol))
    throw new MillraceError("invalid", "the url of an HTTP sink begins with https:// or http://, and is one");
  if (parsed.username !== "" || parsed.password !== "")
    throw new MillraceError(
      "invalid",
      "the url of an HTTP sink has a name or a password in it, which headers() gives: Authorization",
    );
  return parsed;
}

function checkOrder(key: unknown): string {
  if (typeof key === "string") return key;
  throw new MillraceError("invalid", `orderBy gives text: ${typeof key}`);
}

/** What a URL takes for a step up, or for none, also where it is escaped. */
const dots = /^[^?]*\/(?:\.|%2e){1,2}(?:[/?]|$)/i;

function checkPath(path: unknown): string {
  if (typeof path === "string" && /^[/?]/.test(path) && !/[\s\\]/.test(path) && !dots.test(path)) return path;
  throw new MillraceError(
    "invalid",
    `path gives text that begins with "/" or "?", without spaces and dots between slashes: ${typeof path}`,
  );
}
