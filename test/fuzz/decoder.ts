/**
 * What is held of everything that reads bytes from outside.
 *
 * D1 It ends with a value or with the refusal that it documents, and with nothing else.
 * D2 It ends soon, and takes memory in proportion to the bytes, whatever lengths stand in them.
 * D3 What it takes, it takes whole: written again it is read as the same.
 */
import assert from "node:assert/strict";
import { getHeapStatistics } from "node:v8";
import fc from "fast-check";
import { isKind, type ErrorKind } from "../../runtime/base/errors.ts";
import { mutatedBytes } from "./mutations.ts";

export interface Decoder {
  readonly name: string;
  /** Good bytes, or bytes that were made wrong where mutations of bytes do not reach. */
  readonly valid: fc.Arbitrary<Uint8Array>;
  /** Reads all that the bytes hold, and uses it as whoever asks for it does. */
  decode(bytes: Uint8Array): unknown;
  /** Whether this is how bytes are refused; default: an error of kind `corrupt`. */
  refuses?(error: unknown): boolean;
  /** Makes the checksum right for bytes that were changed: what is behind it is to be careful too. */
  reseal?(bytes: Uint8Array): Uint8Array;
  /** What was decoded as bytes again. */
  encode?(value: any): Uint8Array;
  /** What is the same when it is written and read again; default: the value. */
  essence?(value: any): unknown;
}

export function refusesAs(kind: ErrorKind): (error: unknown) => boolean {
  return (error) => isKind(error, kind);
}

/** Beside what the bytes themselves are worth. */
const bytesMax = 64 << 20;
const bytesMaxPerByte = 4_000;
/** Of the processor: a thread that waits for it takes no time. */
const msMax = 2_000;

/** Mutated bytes of the decoder, with and without their checksum made right. */
export function inputsOf({ valid, reseal }: Decoder): fc.Arbitrary<Buffer> {
  const bytes = mutatedBytes(valid);
  if (reseal === undefined) return bytes;
  return fc.tuple(bytes, fc.nat(4)).map(([changed, n]) => (n === 0 ? changed : Buffer.from(reseal(changed))));
}

/** Throws when the decoder does not keep D1 to D3. */
export function checkDecoder(decoder: Decoder, bytes: Uint8Array): void {
  const read = decodeBounded(decoder, bytes);
  if (read === undefined || decoder.encode === undefined) return;
  const { essence = (value: unknown) => value } = decoder;
  const again = decodeBounded(decoder, decoder.encode(read.value));
  assert.ok(again !== undefined, "what was read and written again is refused");
  assert.deepEqual(essence(again.value), essence(read.value));
}

/** Undefined: the bytes are refused. */
function decodeBounded(decoder: Decoder, bytes: Uint8Array): { readonly value: unknown } | undefined {
  const { refuses = refusesAs("corrupt") } = decoder;
  const heldBefore = heldBytes();
  const before = process.threadCpuUsage();
  let read: { readonly value: unknown } | undefined;
  try {
    read = { value: decoder.decode(bytes) };
  } catch (error) {
    if (!refuses(error)) throw error;
  }
  const { user, system } = process.threadCpuUsage(before);
  const tookMs = (user + system) / 1_000;
  assert.ok(tookMs < msMax, `${bytes.length} bytes take ${tookMs.toFixed(0)} ms`);
  const held = heldBytes() - heldBefore;
  assert.ok(held < bytesMax + bytes.length * bytesMaxPerByte, `${bytes.length} bytes take ${held} bytes of memory`);
  return read;
}

function heldBytes(): number {
  const { used_heap_size: heap, external_memory: external } = getHeapStatistics();
  return heap + external;
}
