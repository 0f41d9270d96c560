/**
 * A map from strings to objects, for tables of very many entries that are looked up in no order.
 *
 * A look-up in JavaScript's Map follows four references one after the other, each a wait for memory once the table has outgrown the
 * processor's cache. Here the slot is known from the text, and what is read there (hash, text, value) is fetched side by side: on a
 * hundred thousand keys it takes about half the time. It has no order, and so nothing can come to depend on one.
 *
 * X1 Open addressing with linear probing; at most half of the slots are taken, and no slot is marked as once taken.
 * X2 An entry lies at its home slot or after it, without a free slot in between.
 */
const capacityMin = 16;

export class TextTable<V extends object> {
  private hashes = new Int32Array(capacityMin);
  /** Text and value of every slot, side by side. */
  private entries: (string | V | undefined)[] = emptyEntries(capacityMin);
  private mask = capacityMin - 1;
  private taken = 0;

  get size(): number {
    return this.taken;
  }

  get(text: string): V | undefined {
    return this.find(text, hashOfText(text));
  }

  /** As `get`, for a text whose hash `lookAhead` has found. */
  find(text: string, hash: number): V | undefined {
    const { entries, hashes, mask } = this;
    for (let slot = hash & mask; ; slot = (slot + 1) & mask) {
      const found = entries[slot * 2];
      if (found === undefined) return undefined;
      if (hashes[slot] === hash && found === text) return entries[slot * 2 + 1] as V;
    }
  }

  /**
   * Finds the hashes of the first `count` texts, and the values that they probably have, looking at all that `find` will read: the
   * processor then fetches for all of them side by side, where each look-up alone waits for memory. Returns a number of no meaning,
   * for the caller to keep, so that no look is optimised away.
   */
  lookAhead(texts: readonly string[], count: number, hashesFound: Int32Array, values: (V | undefined)[]): number {
    const { entries, hashes, mask } = this;
    for (let i = 0; i < count; i++) hashesFound[i] = hashOfText(texts[i] as string);
    let seen = 0;
    for (let i = 0; i < count; i++) {
      const slot = (hashesFound[i] as number) & mask;
      seen += hashes[slot] as number;
      values[i] = entries[slot * 2 + 1] as V | undefined;
    }
    for (let i = 0; i < count; i++) {
      const text = entries[((hashesFound[i] as number) & mask) * 2] as string | undefined;
      if (text !== undefined) seen += text.length;
    }
    return seen | 0;
  }

  /** Adds an entry, or gives the one of this text another value. */
  set(text: string, value: V): void {
    if (this.taken * 2 >= this.hashes.length) this.resize(this.hashes.length * 2);
    const hash = hashOfText(text);
    const slot = this.slotOf(hash, text);
    if (this.isFree(slot)) this.taken++;
    this.put(slot, hash, text, value);
  }

  /** Takes the entry out; false when there is none. What had to move on for it moves back (X2). */
  delete(text: string): boolean {
    const { hashes, mask } = this;
    let free = this.slotOf(hashOfText(text), text);
    if (this.isFree(free)) return false;
    for (let slot = (free + 1) & mask; !this.isFree(slot); slot = (slot + 1) & mask) {
      const home = (hashes[slot] as number) & mask;
      if (((slot - home) & mask) < ((slot - free) & mask)) continue;
      this.move(slot, free);
      free = slot;
    }
    this.put(free, 0, undefined, undefined);
    this.taken--;
    if (this.taken * 8 < hashes.length && hashes.length > capacityMin) this.resize(hashes.length >> 1);
    return true;
  }

  private isFree(slot: number): boolean {
    return this.entries[slot * 2] === undefined;
  }

  /** Where the text is, or would be put. */
  private slotOf(hash: number, text: string): number {
    const { entries, hashes, mask } = this;
    let slot = hash & mask;
    while (!this.isFree(slot) && !(hashes[slot] === hash && entries[slot * 2] === text)) slot = (slot + 1) & mask;
    return slot;
  }

  private move(from: number, to: number): void {
    this.put(to, this.hashes[from] as number, this.entries[from * 2] as string, this.entries[from * 2 + 1] as V);
  }

  private put(slot: number, hash: number, text: string | undefined, value: V | undefined): void {
    this.hashes[slot] = hash;
    this.entries[slot * 2] = text;
    this.entries[slot * 2 + 1] = value;
  }

  private resize(capacity: number): void {
    const { hashes, entries } = this;
    this.hashes = new Int32Array(capacity);
    this.entries = emptyEntries(capacity);
    this.mask = capacity - 1;
    for (let from = 0; from < hashes.length; from++) {
      if (entries[from * 2] === undefined) continue;
      const hash = hashes[from] as number;
      let slot = hash & this.mask;
      while (!this.isFree(slot)) slot = (slot + 1) & this.mask;
      this.put(slot, hash, entries[from * 2] as string, entries[from * 2 + 1] as V);
    }
  }
}

function emptyEntries<V>(capacity: number): (string | V | undefined)[] {
  return new Array<string | V | undefined>(capacity * 2).fill(undefined);
}

/** Of every UTF-16 unit, since texts often differ in one alone. */
function hashOfText(text: string): number {
  let hash = 0x2f0b4f1d;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x5bd1e995);
  hash ^= hash >>> 15;
  hash = Math.imul(hash, 0x27d4eb2f);
  return hash ^ (hash >>> 13);
}
