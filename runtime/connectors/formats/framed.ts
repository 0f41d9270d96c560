import { MillraceError } from "../../base/errors.ts";
import type { Encoded, Format, FormatOfMany } from "./format.ts";
import { type SchemaFraming, withoutFrame } from "./schema-frame.ts";

const readOnly = "records behind the id of a schema are only read in this format";

/**
 * Records of a format that says itself what it holds (JSON), behind the id of a schema in a registry, as its serialisers write them: the id is
 * passed over, and no registry is asked. For reading only.
 */
export function framed<T>(format: Format<T> | FormatOfMany<T>, framing: SchemaFraming): Format<T> {
  const inner = ({ bytes }: Encoded): Encoded => ({ bytes: withoutFrame(bytes, framing) });
  return {
    ...{ name: `${framing}(${format.name})`, extension: `${format.extension}.b64`, framing: { kind: "base64Lines" } },
    ...{ header: false, readOnly },
    decode: (encoded) => format.decode(inner(encoded)),
    ...("decodeAll" in format && { decodeAll: (encoded: Encoded) => format.decodeAll(inner(encoded)) }),
    encode: () => {
      throw new MillraceError("invalid", readOnly);
    },
  };
}
