/** What the runtime half of an SNS sink must know: its `options`. */
export interface SnsSettings {
  readonly topic: string;
  readonly idAttribute: string | null;
  readonly maxMessageBytes: number;
  /** Messages have groups, as a FIFO topic needs them. */
  readonly grouped: boolean;
}

/** Of a message. */
export type SnsMessageFields = { readonly attributes?: Readonly<Record<string, string>>; readonly subject?: string };
