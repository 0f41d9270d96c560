/** UTF-8 that is refused when malformed, instead of being mended with replacement characters. */
import { isUtf8 } from "node:buffer";

const replacement = "\ufffd";

/** The text of `bytes[start, end)`; undefined when it is not valid UTF-8. The string is a copy: it keeps no buffer alive. */
export function utf8Text(bytes: Uint8Array, start = 0, end = bytes.length): string | undefined {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset + start, end - start);
  const text = buffer.toString("utf8");
  // A replacement character is rare, and stands in the text itself or for malformed bytes.
  return text.includes(replacement) && !isUtf8(buffer) ? undefined : text;
}
