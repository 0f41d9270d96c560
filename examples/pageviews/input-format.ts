/** Which format a file of access events is in, told by its first line; and each format as page views. */
import { open } from "node:fs/promises";
import type { Readable } from "node:stream";
import { once } from "node:events";
import { constants, gunzipSync } from "node:zlib";
import { UsageError } from "../../cli/report-error.ts";
import { accessLog, csv, type Format, ndjson } from "../../runtime/index.ts";
import { pageViewSchema, type PageView, withoutQuery } from "./page-view.ts";

export const formatNames = ["ndjson", "csv", "access-log"] as const;
export type FormatName = (typeof formatNames)[number];

/** The format of that name, decoding page views. */
export function pageViewFormat(name: FormatName): Format<PageView> {
  if (name === "ndjson") return ndjson(pageViewSchema);
  if (name === "csv") return csv(pageViewSchema);
  const log = accessLog();
  return {
    ...log,
    decode: (encoded) => {
      const { host, path, time } = log.decode(encoded);
      return { user: host, page: withoutQuery(path), at: time };
    },
    encode: () => log.encode(undefined as never),
  };
}

const headBytes = 1 << 16;

/** The format of files, told by the first that is not empty; NDJSON when all are. Throws a usage error for a line it does not know. */
export async function recognizeFiles(paths: readonly string[]): Promise<FormatName> {
  for (const path of paths) {
    const head = await readHead(path);
    if (head !== undefined && head.trim() !== "") return recognize(head, path);
  }
  return "ndjson";
}

/** The format of standard input, told by what comes first; nothing is taken out of it. */
export async function recognizeStdin(stdin: Readable): Promise<FormatName> {
  if (!stdin.readableEnded && stdin.readableLength === 0) await Promise.race([once(stdin, "readable"), once(stdin, "end")]);
  const head = stdin.read() as Buffer | null;
  if (head === null) return "ndjson";
  stdin.unshift(head);
  // Whoever reads it says what is to be done about that.
  if (isGzip(head)) return "ndjson";
  return recognize(head.toString("utf8"), "standard input");
}

function recognize(head: string, from: string): FormatName {
  const line = head.trimStart().split(/\r?\n/, 1)[0]!;
  if (line.startsWith("{")) return "ndjson";
  if (/ \[\d\d\/\w{3}\/\d{4}:[^\]]+\] "/.test(line)) return "access-log";
  if (["user", "page", "at"].every((column) => line.split(",").some((field) => field.replaceAll('"', "").trim() === column)))
    return "csv";
  const shown = JSON.stringify(line.length > 60 ? `${line.slice(0, 60)}…` : line);
  throw new UsageError(
    `the format is not recognised: name it with --format (${formatNames.join(", ")}); CSV needs a header with user, page, at: ${from} begins with ${shown}`,
  );
}

/** The beginning of a file as text; undefined: it cannot be read, which whoever reads it says better. */
async function readHead(path: string): Promise<string | undefined> {
  try {
    const file = await open(path);
    try {
      const { buffer, bytesRead } = await file.read(Buffer.alloc(headBytes), 0, headBytes, 0);
      return unzipped(buffer.subarray(0, bytesRead)).toString("utf8");
    } finally {
      await file.close();
    }
  } catch {
    return undefined;
  }
}

/** What a piece of a gzip file holds, as far as it goes. */
function unzipped(bytes: Buffer): Buffer {
  if (!isGzip(bytes)) return bytes;
  return gunzipSync(bytes, { finishFlush: constants.Z_SYNC_FLUSH });
}

function isGzip(bytes: Buffer): boolean {
  return bytes[0] === 0x1f && bytes[1] === 0x8b;
}
