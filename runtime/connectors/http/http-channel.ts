/**
 * Sends the requests of an HTTP sink.
 *
 * H2 Neither bodies nor headers nor URLs stand in errors: an answer is told of by its status and the endpoint's name.
 * H3 Redirects are not followed: what a request carries goes to the URL that was declared, and to no other.
 */
import { MillraceError, messageOf } from "../../base/errors.ts";
import { delivered, type Delivery, type MessageChannel } from "../messages/message-target.ts";
import type { OutgoingMessage } from "../messages/message.ts";
import { checkUrl } from "./http-sink.ts";
import type { HttpFunctions, HttpSettings } from "./http-settings.ts";

const againStatuses = new Set([408, 409, 425, 429]);
const stopStatuses = new Set([401, 403]);
/** A receiver that asks for longer is asked again sooner: until then the task would wait. */
const retryAfterMsMax = 30_000;

export class HttpChannel implements MessageChannel {
  readonly name: string;
  readonly order = "groups";
  readonly limits: MessageChannel["limits"];
  readonly #url: URL;
  readonly #settings: HttpSettings;
  readonly #functions: HttpFunctions;

  /** `url`: where requests go. Throws `invalid` for none. */
  constructor(url: string | undefined, settings: HttpSettings, functions: HttpFunctions) {
    this.name = `endpoint ${settings.endpoint}`;
    if (url === undefined)
      throw new MillraceError("invalid", `the endpoint of an HTTP sink has no url, declare or bind one: ${settings.endpoint}`);
    this.#url = checkUrl(url);
    this.#settings = settings;
    this.#functions = functions;
    this.limits = { messages: 1, bytes: Infinity, atOnce: settings.concurrency };
  }

  sizeOf({ body }: OutgoingMessage): number {
    return body.length;
  }

  async send([message]: readonly OutgoingMessage[], call: { readonly signal: AbortSignal }): Promise<readonly Delivery[]> {
    return [await this.#request(message!, call.signal)];
  }

  async #request(message: OutgoingMessage, closing: AbortSignal): Promise<Delivery> {
    const { method, contentType, idempotencyHeader, timeoutMs } = this.#settings;
    const signal = AbortSignal.any([closing, AbortSignal.timeout(timeoutMs)]);
    const headers = headersOf(await this.#headers(signal), this.#settings.endpoint);
    if (!headers.has("content-type")) headers.set("content-type", contentType);
    headers.set(idempotencyHeader, message.id);
    try {
      const body = message.body as Uint8Array<ArrayBuffer>;
      const response = await fetch(this.#urlOf(message), { method, headers, body, signal, redirect: "manual" });
      await response.body?.cancel();
      return this.#deliveryOf(response);
    } catch (error) {
      if (error instanceof MillraceError) throw error;
      return { outcome: "again", reason: lossOf(error) };
    }
  }

  async #headers(signal: AbortSignal): Promise<Readonly<Record<string, string>>> {
    try {
      return (await this.#functions.headers?.({ signal })) ?? {};
    } catch (cause) {
      if (cause instanceof MillraceError) throw cause;
      throw new MillraceError(
        "unavailable",
        `headers() of an HTTP sink failed: ${this.#settings.endpoint}: ${messageOf(cause)}`,
        { cause },
      );
    }
  }

  #urlOf({ fields }: OutgoingMessage): URL {
    const path = fields?.["path"] as string | undefined;
    if (path === undefined) return this.#url;
    const url = new URL(this.#url);
    const [pathname, search] = path.split("?", 2) as [string, string?];
    if (pathname !== "") url.pathname = `${url.pathname.replace(/\/$/, "")}${pathname}`;
    if (search !== undefined) url.search = url.search === "" ? search : `${url.search}&${search}`;
    return url;
  }

  #deliveryOf({ status, headers }: Response): Delivery {
    const reason = `the receiver answered ${status}`;
    switch (this.#functions.onStatus?.(status) ?? meaningOf(status)) {
      case "taken":
        return delivered;
      case "again":
        return { outcome: "again", reason, afterMs: retryAfterMs(headers) };
      case "deadLetter":
        return { outcome: "refused", reason };
      default:
        throw new MillraceError("invalid", `${adviceOn(status)}: ${this.#settings.endpoint}, status ${status}`);
    }
  }
}

function headersOf(given: Readonly<Record<string, string>>, endpoint: string): Headers {
  try {
    return new Headers(given);
  } catch {
    // Its message would show the value.
    throw new MillraceError("invalid", `headers() of an HTTP sink gives what cannot be a header: ${endpoint}`);
  }
}

function meaningOf(status: number): "taken" | "again" | "deadLetter" | "stop" {
  if (status >= 200 && status < 300) return "taken";
  if (status >= 500 || againStatuses.has(status)) return "again";
  return status < 400 || stopStatuses.has(status) ? "stop" : "deadLetter";
}

function adviceOn(status: number): string {
  if (status < 400) return "the receiver of an HTTP sink is elsewhere, and redirects are not followed: change the url";
  if (stopStatuses.has(status)) return "the receiver of an HTTP sink refuses the credentials: change what headers() gives";
  return "the receiver of an HTTP sink answers what onStatus() stops at";
}

function lossOf(error: unknown): string {
  if ((error as Error).name === "TimeoutError") return "the receiver did not answer in time";
  const code = ((error as Error).cause as { code?: unknown } | undefined)?.code;
  return `the receiver was not reached${typeof code === "string" ? ` (${code})` : ""}`;
}

/** Seconds, or a date: by the receiver's clock, which stands in the answer too. */
function retryAfterMs(headers: Headers): number | undefined {
  const asked = headers.get("retry-after") ?? "";
  const ms = /^\d+$/.test(asked) ? Number(asked) * 1_000 : Date.parse(asked) - Date.parse(headers.get("date") ?? "");
  return Number.isNaN(ms) ? undefined : Math.min(retryAfterMsMax, Math.max(0, ms));
}
