/** UTF-8 that is refused when malformed, instead of being mended with replacement characters. */
import { isUtf8 } from "node:buffer";

const replacement = "\ufffd";

/** The text of `bytes[start, end)`; undefined when it is not valid UTF-8. The string is a copy: it keeps no buffer alive. */
export function utf8Text(bytes: Uint8Array, start = 0, end = bytes.length): string | undefined {
  const buffer = bytes instanceof Buffer ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  const text = buffer.toString("utf8", start, end);
  // A replacement character is rare, and stands in the text itself or for malformed bytes.
  return text.includes(replacement) && !isUtf8(buffer.subarray(start, end)) ? undefined : text;
}
