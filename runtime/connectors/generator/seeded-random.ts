/** Random numbers that are a function of a seed and an index: the same on every machine, at every replay. */

const golden = 0x9e3779b9;

/** Mixes all bits of a 32-bit number (the finalizer of murmur3_32). */
function mix(n: number): number {
  let h = n ^ (n >>> 16);
  h = Math.imul(h, 0x85ebca6b);
  h ^= h >>> 13;
  h = Math.imul(h, 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}

/** A Weyl sequence of 32-bit numbers, mixed twice; begun anew for every index. */
export class SeededRandom {
  readonly #seed: number;
  #state = 0;
  #salt = 0;

  constructor(seed: number) {
    this.#seed = mix(foldTo32(seed) ^ golden);
  }

  /** Begins the numbers of this index. */
  restart(index: number): void {
    this.#salt = mix(this.#seed ^ mix(Math.floor(index / 2 ** 32) ^ golden));
    this.#state = mix(this.#salt + (index >>> 0));
  }

  /** In [0, 1), with 53 random bits. */
  readonly next = (): number => {
    const high = this.#draw() >>> 5;
    const low = this.#draw() >>> 6;
    return (high * 2 ** 26 + low) / 2 ** 53;
  };

  #draw(): number {
    this.#state = (this.#state + golden) | 0;
    return mix(mix(this.#state) ^ this.#salt);
  }
}

function foldTo32(seed: number): number {
  const bits = new DataView(new ArrayBuffer(8));
  bits.setFloat64(0, seed);
  return mix(bits.getUint32(0)) ^ bits.getUint32(4);
}
