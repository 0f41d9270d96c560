/** What functions of a row give for a message: checked where it is known whose row it is. */
import { MillraceError } from "../../base/errors.ts";
import { utf8Text } from "../formats/utf8.ts";
import { messageIdLengthMax } from "./message.ts";

/** Throws `invalid` for bytes that are no text, or have characters that XML 1.0 has none of, as SQS and SNS refuse them. */
export function checkText(body: Uint8Array, what: string): void {
  const text = utf8Text(body);
  if (text === undefined || /[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\u{10000}-\u{10ffff}]/u.test(text))
    throw new MillraceError("invalid", `${what} is text without control characters: this row's format makes others`);
  if (text === "") throw new MillraceError("invalid", `${what} has at least one character`);
}

/** Throws `invalid` for what is no id of 1 to 128 visible ASCII characters. */
export function checkId(id: unknown, what: string): string {
  if (typeof id === "string" && id.length <= messageIdLengthMax && /^[\x21-\x7e]+$/.test(id)) return id;
  const given = typeof id === "string" ? `text of ${id.length}` : typeof id;
  throw new MillraceError("invalid", `${what} is 1 to ${messageIdLengthMax} ASCII characters without spaces: ${given}`);
}

/** Attributes by name, of text. Throws `invalid` for others, and for more than `countMax`. */
export function checkAttributes(given: unknown, countMax: number): Readonly<Record<string, string>> | undefined {
  if (given === undefined) return undefined;
  const attributes = given as Readonly<Record<string, unknown>>;
  const names = Object.keys(attributes ?? {});
  if (names.length > countMax)
    throw new MillraceError("invalid", `a message has at most ${countMax} attributes: ${names.length}`);
  for (const name of names) {
    if (!/^[\w-]+(?:\.[\w-]+)*$/.test(name) || name.length > 256 || /^(?:aws|amazon)\./i.test(name))
      throw new MillraceError("invalid", `an attribute's name is of letters, digits, "_", "-" and single dots: ${name}`);
    const value = attributes[name];
    if (typeof value !== "string" || value === "")
      throw new MillraceError("invalid", `an attribute's value is text of at least one character: ${name}, ${typeof value}`);
  }
  return names.length === 0 ? undefined : (attributes as Readonly<Record<string, string>>);
}

/** Bytes that text attributes count for: name, type and value. */
export function attributesSize(attributes: Readonly<Record<string, string>> | undefined): number {
  let size = 0;
  for (const [name, value] of Object.entries(attributes ?? {}))
    size += Buffer.byteLength(name) + "String".length + Buffer.byteLength(value);
  return size;
}
