/**
 * Sorting by a 32-bit hash and then by an exact comparison, fast where there are very many rows: their hashes are sorted by digits.
 * Windows put whole key spaces at one timestamp.
 */

/** Fewer are sorted by comparison at once: counting digits costs as much for few as for many. */
const fewRows = 600;

/** So few are put into their places one by one, which needs no memory. */
const veryFewRows = 12;

/**
 * Sorts `rows` by `hashOf` (a whole number from 0 to 2^32 − 1), those of one hash by `compare`. Returns a sorted array, which may
 * be `rows` itself.
 */
export function sortByHash<R>(rows: R[], hashOf: (row: R) => number, compare: (a: R, b: R) => number): R[] {
  if (rows.length <= veryFewRows) return insertInOrder(rows, hashOf, compare);
  if (rows.length < fewRows) return rows.sort((a, b) => hashOf(a) - hashOf(b) || compare(a, b));
  const hashes = new Uint32Array(rows.length);
  for (let place = 0; place < rows.length; place++) hashes[place] = hashOf(rows[place]!);
  const order = orderOf(hashes);
  const sorted: R[] = new Array(rows.length);
  for (let place = 0; place < rows.length; place++) sorted[place] = rows[order[place] as number]!;
  sortWithinHashes(sorted, hashes, order, compare);
  return sorted;
}

/** A digit has so many bits: three sort a hash. */
const digitBits = 11;
const digits = 1 << digitBits;

/** The places of the hashes in the order of the hashes: sorted digit by digit, the lowest first. */
function orderOf(hashes: Uint32Array): Uint32Array {
  let order = new Uint32Array(hashes.length);
  let next = new Uint32Array(hashes.length);
  for (let place = 0; place < order.length; place++) order[place] = place;
  const starts = new Uint32Array(digits);
  for (let shift = 0; shift < 32; shift += digitBits) {
    starts.fill(0);
    for (let n = 0; n < hashes.length; n++) starts[digitOf(hashes[n] as number, shift)]!++;
    let start = 0;
    for (let digit = 0; digit < digits; digit++) {
      const count = starts[digit] as number;
      starts[digit] = start;
      start += count;
    }
    for (let n = 0; n < order.length; n++) {
      const place = order[n] as number;
      next[starts[digitOf(hashes[place] as number, shift)]!++] = place;
    }
    [order, next] = [next, order];
  }
  return order;
}

function digitOf(hash: number, shift: number): number {
  return (hash >>> shift) & (digits - 1);
}

function insertInOrder<R>(rows: R[], hashOf: (row: R) => number, compare: (a: R, b: R) => number): R[] {
  for (let next = 1; next < rows.length; next++) {
    const row = rows[next]!;
    let place = next;
    for (; place > 0; place--) {
      const before = rows[place - 1]!;
      if ((hashOf(before) - hashOf(row) || compare(before, row)) <= 0) break;
      rows[place] = before;
    }
    rows[place] = row;
  }
  return rows;
}

function sortWithinHashes<R>(rows: R[], hashes: Uint32Array, order: Uint32Array, compare: (a: R, b: R) => number): void {
  let from = 0;
  for (let place = 1; place <= rows.length; place++) {
    if (place < rows.length && hashes[order[place] as number] === hashes[order[from] as number]) continue;
    if (place - from > 1) {
      const same = rows.slice(from, place).sort(compare);
      for (let offset = 0; offset < same.length; offset++) rows[from + offset] = same[offset]!;
    }
    from = place;
  }
}
