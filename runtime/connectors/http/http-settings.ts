/** What the runtime half of an HTTP sink must know: its `options`, and the author's functions. */
export interface HttpSettings {
  readonly endpoint: string;
  readonly url: string | undefined;
  readonly method: string;
  readonly contentType: string;
  readonly idempotencyHeader: string;
  readonly concurrency: number;
  readonly timeoutMs: number;
}

export interface HttpFunctions {
  readonly headers:
    | ((call: { readonly signal: AbortSignal }) => Readonly<Record<string, string>> | Promise<Readonly<Record<string, string>>>)
    | undefined;
  readonly onStatus: ((status: number) => "taken" | "again" | "deadLetter" | "stop" | undefined) | undefined;
}
