/**
 * Short names as they were read last, by their bytes: one that comes again is compared, not made anew, and members of objects get
 * strings that the engine knows already. What it answers depends on the bytes alone; it holds a bounded number.
 */
const slots = 512;

export class KnownNames {
  private readonly bytes: (Uint8Array | undefined)[] = new Array<Uint8Array | undefined>(slots).fill(undefined);
  private readonly texts: string[] = new Array<string>(slots).fill("");

  /** The name of these `size` bytes, at least one; undefined when another, or none, was read last in its place. */
  find(buffer: Uint8Array, at: number, size: number): string | undefined {
    const slot = slotOf(buffer, at, size);
    const known = this.bytes[slot];
    if (known === undefined || known.length !== size) return undefined;
    for (let i = 0; i < size; i++) if (known[i] !== buffer[at + i]) return undefined;
    return this.texts[slot];
  }

  remember(buffer: Uint8Array, at: number, size: number, text: string): void {
    const slot = slotOf(buffer, at, size);
    this.bytes[slot] = new Uint8Array(buffer.subarray(at, at + size));
    this.texts[slot] = text;
  }
}

function slotOf(buffer: Uint8Array, at: number, size: number): number {
  const last = at + size - 1;
  const middle = (at + last) >> 1;
  return ((buffer[at] as number) * 31 + (buffer[last] as number) * 7 + (buffer[middle] as number) * 3 + size) & (slots - 1);
}
