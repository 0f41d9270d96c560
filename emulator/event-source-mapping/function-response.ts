/**
 * What a function's answer says of its batch.
 *
 * Sources: https://docs.aws.amazon.com/lambda/latest/dg/services-kinesis-batchfailurereporting.html (which answers are success, which
 * failure, the lowest sequence number), …/services-kinesis-windows.html (a windowed function must return a state)
 */

export type BatchOutcome =
  /** `state`: JSON, with tumbling windows alone. */
  | { readonly kind: "success"; readonly state?: string }
  /** Those before the failed one are done; it and all after it come again. */
  | { readonly kind: "partial"; readonly firstFailed: number; readonly state?: string }
  /** `why`: of an answer that says failure or cannot be read. */
  | { readonly kind: "failure"; readonly why: string };

export interface ResponseRules {
  readonly reportsItemFailures: boolean;
  readonly isWindowed: boolean;
}

/** `sequenceNumbers`: the batch's, in order. */
export function readResponse(payload: Uint8Array, sequenceNumbers: readonly string[], rules: ResponseRules): BatchOutcome {
  const answer = parse(payload);
  if (!rules.isWindowed) return rules.reportsItemFailures ? itemFailures(answer, sequenceNumbers) : { kind: "success" };
  if (!isObject(answer) || answer.state === undefined) return { kind: "failure", why: "no state in the response" };
  const outcome: BatchOutcome = rules.reportsItemFailures ? itemFailures(answer, sequenceNumbers) : { kind: "success" };
  return outcome.kind === "failure" ? outcome : { ...outcome, state: JSON.stringify(answer.state) };
}

function itemFailures(answer: unknown, sequenceNumbers: readonly string[]): BatchOutcome {
  if (answer === null) return { kind: "success" };
  if (!isObject(answer)) return { kind: "failure", why: "the response is no object" };
  const items = answer.batchItemFailures ?? [];
  if (!Array.isArray(items)) return { kind: "failure", why: "batchItemFailures is no list" };
  let firstFailed = Infinity;
  for (const item of items) {
    const identifier: unknown = isObject(item) ? item.itemIdentifier : undefined;
    const at = typeof identifier === "string" ? sequenceNumbers.indexOf(identifier) : -1;
    if (at < 0) return { kind: "failure", why: `no itemIdentifier of this batch: ${JSON.stringify(item)}` };
    firstFailed = Math.min(firstFailed, at);
  }
  return firstFailed === Infinity ? { kind: "success" } : { kind: "partial", firstFailed };
}

/** Undefined: no JSON. Nothing at all counts as null. */
function parse(payload: Uint8Array): unknown {
  if (payload.length === 0) return null;
  try {
    return JSON.parse(new TextDecoder().decode(payload));
  } catch {
    return undefined;
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
