/** What the runtime half of a Lambda sink must know: its `options`. */
export interface LambdaSettings {
  readonly function: string;
  readonly invocation: "requestResponse" | "event";
  readonly rowsPerEvent: number;
  readonly onFunctionError: "retry" | "deadLetter";
  readonly timeoutMs: number;
}

/** What an event may have: Lambda's limits, less what stands around the messages. */
export const eventBytesMax = { requestResponse: 5_999_900, event: 999_900 } as const;

/** What stands around a row in an event, its id included. */
export const messageOverheadBytes = 300;
