/** How a contract suite gets a fresh adapter, and the bytes it writes. */

/** A new, empty adapter at every call. */
export type AdapterMaker<T> = () => T | Promise<T>;

export function bytesOf(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

export function textOf(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes);
}
