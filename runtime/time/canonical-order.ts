/**
 * Sorting by a 32-bit hash and then by an exact comparison, fast where there are very many rows: the hash and the row's place
 * are packed into one number, and numbers alone are sorted natively. Windows put whole key spaces at one timestamp.
 */

/** Bits of a double's 53 that are left beside the hash: so many rows can be told apart. */
const placeCount = 2 ** 21;

/** Fewer are sorted by comparison at once. */
const fewRows = 64;

/** So few are put into their places one by one, which needs no memory. */
const veryFewRows = 12;

/**
 * Sorts `rows` by `hashOf` (a whole number from 0 to 2^32 − 1), those of one hash by `compare`. Returns a sorted array, which may
 * be `rows` itself.
 */
export function sortByHash<R>(rows: R[], hashOf: (row: R) => number, compare: (a: R, b: R) => number): R[] {
  if (rows.length <= veryFewRows) return insertInOrder(rows, hashOf, compare);
  if (rows.length < fewRows || rows.length > placeCount) return rows.sort((a, b) => hashOf(a) - hashOf(b) || compare(a, b));
  const packed = new Float64Array(rows.length);
  for (let place = 0; place < rows.length; place++) packed[place] = hashOf(rows[place]!) * placeCount + place;
  packed.sort();
  const sorted: R[] = new Array(rows.length);
  for (let place = 0; place < rows.length; place++) sorted[place] = rows[packed[place]! % placeCount]!;
  sortWithinHashes(sorted, packed, compare);
  return sorted;
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

function sortWithinHashes<R>(rows: R[], packed: Float64Array, compare: (a: R, b: R) => number): void {
  let from = 0;
  for (let place = 1; place <= rows.length; place++) {
    if (place < rows.length && hashAt(packed, place) === hashAt(packed, from)) continue;
    if (place - from > 1) {
      const same = rows.slice(from, place).sort(compare);
      for (let offset = 0; offset < same.length; offset++) rows[from + offset] = same[offset]!;
    }
    from = place;
  }
}

function hashAt(packed: Float64Array, place: number): number {
  return Math.floor(packed[place]! / placeCount);
}
