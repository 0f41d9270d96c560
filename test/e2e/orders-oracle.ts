/**
 * What the orders job must have written, recomputed from what was put into its two streams: each order beside the payment of its number,
 * without a line of Millrace. It imports nothing.
 *
 * What is late it knows as pageviews-oracle.ts does.
 */

export interface PutRecord {
  readonly stream: string;
  readonly shard: number;
  readonly bytes: Uint8Array;
}

/** Lines of JSON by output, each output sorted. Of a record that is neither order nor payment, its bytes in base64. */
export interface Expected {
  /** The table of orders, and the ledger in the bucket, which has a line for each time a row was put out. */
  readonly orders: readonly string[];
  readonly ledger: readonly string[];
  readonly late: readonly string[];
  readonly deadLetters: readonly string[];
}

interface Entry {
  readonly order: string;
  readonly at: number;
  readonly cents: number;
}

const boundMs = 10_000;
const waitMs = 60_000;

/** `acts`: what was put, in order; each was worked off before the next was begun. `shards` of each stream. */
export function expectOrders(acts: readonly (readonly PutRecord[])[], shards: number): Expected {
  const sides = { orders: new Map<string, Entry>(), payments: new Map<string, Entry>() };
  const watermarks = { orders: start(shards), payments: start(shards) };
  let workedOff = -Infinity;
  const late: object[] = [];
  const deadLetters: string[] = [];
  for (const act of acts) {
    for (const { stream, shard, bytes } of act) {
      const side = stream === "orders" ? "orders" : "payments";
      const entry = entryOf(bytes);
      if (entry === undefined) {
        deadLetters.push(btoa(String.fromCharCode(...bytes)));
        continue;
      }
      const own = watermarks[side][shard]!;
      if (entry.at + waitMs <= workedOff) late.push({ kind: side, ...entry });
      else if (entry.at + waitMs <= own) throw new Error(`the input leaves open whether this is late: ${JSON.stringify(entry)}`);
      else if (sides[side].has(entry.order)) throw new Error(`the input has a number twice: ${entry.order}`);
      else sides[side].set(entry.order, entry);
      watermarks[side][shard] = Math.max(own, entry.at - boundMs - 1);
    }
    workedOff = onGrid(Math.min(...watermarks.orders, ...watermarks.payments));
  }
  const rows: object[] = [];
  for (const [number, order] of sides.orders) {
    const payment = sides.payments.get(number);
    if (payment !== undefined)
      rows.push({ order: number, state: order.cents === payment.cents ? "paid" : "wrong", at: order.at });
    else if (order.at + waitMs <= workedOff) rows.push({ order: number, state: "unpaid", at: order.at });
  }
  for (const [number, payment] of sides.payments)
    if (!sides.orders.has(number) && payment.at + waitMs <= workedOff)
      rows.push({ order: number, state: "unknown", at: payment.at });
  const sorted = lines(rows);
  return { orders: sorted, ledger: sorted, late: lines(late), deadLetters: deadLetters.sort() };
}

function start(shards: number): number[] {
  return Array.from({ length: shards }, () => -Infinity);
}

/** Undefined: to the dead letters. */
function entryOf(bytes: Uint8Array): Entry | undefined {
  try {
    const { order, at, cents } = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes)) as Entry;
    if (typeof order !== "string" || !Number.isInteger(at) || !Number.isInteger(cents)) return undefined;
    return Math.abs(at) > 8.64e15 ? undefined : { order, at, cents };
  } catch {
    return undefined;
  }
}

/** Watermarks stand on a grid of a second: the last millisecond before it (docs/semantics.md). */
function onGrid(watermark: number): number {
  return Math.floor((watermark + 1) / 1_000) * 1_000 - 1;
}

/** Members in the order of their names. */
function lines(rows: readonly object[]): readonly string[] {
  return rows.map((row) => JSON.stringify(Object.fromEntries(Object.entries(row).sort(([a], [b]) => (a < b ? -1 : 1))))).sort();
}
