/**
 * Access logs of Apache and nginx: the common and the combined log format.
 * Source: Apache HTTP Server, mod_log_config; nginx, ngx_http_log_module.
 */
import { MillraceError } from "../../base/errors.ts";
import { type Encoded, type Format, Rejection } from "./format.ts";
import { utf8Text } from "./utf8.ts";

/** One request. What the log leaves open ("-") is undefined. */
export interface AccessLogEntry {
  readonly host: string;
  readonly user: string | undefined;
  /** Epoch ms. */
  readonly time: number;
  /** Undefined, as the protocol, when the request line is not one: `path` is then all of it. */
  readonly method: string | undefined;
  readonly path: string;
  readonly protocol: string | undefined;
  readonly status: number;
  /** Of the body. */
  readonly bytes: number;
  /** These two stand in the combined format only. */
  readonly referrer: string | undefined;
  readonly agent: string | undefined;
}

const inQuotes = String.raw`([^"\\]*(?:\\.[^"\\]*)*)`;
const quoted = `"${inQuotes}"`;
// Repetitions that could be cut in several ways are bounded: a hostile line must not cost quadratic time.
const line = new RegExp(
  String.raw`^(\S+) \S+ (.{1,256}?) \[([^\]]{1,64})\] ${quoted} (\d{3}) (\d+|-)(?: ${quoted} "${inQuotes}(?:"(?: .*)?|(?![^"\\])))?\s*$`,
);
const timeOfDay = /^(\d\d)\/(\w{3})\/(\d{4}):(\d\d):(\d\d):(\d\d) ([+-])(\d\d)(\d\d)$/;
const request = /^(\S+) (.+) (HTTP\/\S+)$/;
const months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/**
 * Lines of an access log. What follows the combined format's fields is passed over, and the last of them may be cut off by the
 * line's end: agents are long, and what they did is known without. For reading only.
 */
export function accessLog(): Format<AccessLogEntry> {
  const readOnly = "access logs are only read: write json() or csv()";
  return {
    name: "accessLog",
    extension: "log",
    framing: { kind: "lines" },
    header: false,
    decode: parseEntry,
    encode: () => {
      throw new MillraceError("invalid", readOnly);
    },
    readOnly,
  };
}

function parseEntry({ bytes }: Encoded): AccessLogEntry {
  // From the bytes, not from the record's text: fields are slices, and a slice of that would keep the reader's whole chunk alive.
  const text = utf8Text(bytes);
  if (text === undefined) throw new Rejection("not valid UTF-8");
  const match = line.exec(text);
  if (match === null) throw new Rejection("not a line of the common or combined log format");
  const [, host, user, time, requestLine, status, size, referrer, agent] = match;
  return {
    host: host!,
    user: optional(user),
    time: parseTime(time!),
    ...parseRequest(unescape(requestLine!)),
    status: Number(status),
    bytes: size === "-" ? 0 : Number(size),
    referrer: optional(referrer),
    agent: optional(agent),
  };
}

function parseRequest(text: string): Pick<AccessLogEntry, "method" | "path" | "protocol"> {
  const match = request.exec(text);
  return match === null
    ? { method: undefined, path: text, protocol: undefined }
    : { method: match[1], path: match[2]!, protocol: match[3] };
}

function optional(text: string | undefined): string | undefined {
  return text === undefined || text === "-" || text === "" ? undefined : unescape(text);
}

function unescape(text: string): string {
  return text.includes("\\") ? text.replaceAll(/\\(["\\])/g, "$1") : text;
}

function parseTime(text: string): number {
  const match = timeOfDay.exec(text);
  if (match === null) throw new Rejection(`not a time like 10/Oct/2000:13:55:36 -0700: ${text}`);
  const [day, , year, hour, minute, second, , zoneHours, zoneMinutes] = match.slice(1).map(Number) as number[];
  const month = months.indexOf(match[2]!);
  const local = Date.UTC(year!, month, day, hour, minute, second);
  const exists = month >= 0 && new Date(local).getUTCDate() === day && hour! < 24 && minute! < 60 && second! <= 60;
  if (!exists) throw new Rejection(`no such time: ${text}`);
  const offset = (zoneHours! * 60 + zoneMinutes!) * 60_000;
  return match[7] === "-" ? local + offset : local - offset;
}
