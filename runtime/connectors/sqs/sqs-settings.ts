/** What the runtime half of an SQS sink must know: its `options`. */
export interface SqsSettings {
  readonly queue: string;
  readonly delaySeconds: number | undefined;
  readonly idAttribute: string | null;
  /** Messages have groups, as a FIFO queue needs them. */
  readonly grouped: boolean;
}

/** Of a message. */
export type SqsMessageFields = { readonly attributes: Readonly<Record<string, string>> };
