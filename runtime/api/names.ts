import { invalid } from "./invalid.ts";

/** What a job's name and a uid may look like: both stand in the names of streams, items and objects. */
const pattern = /^[A-Za-z0-9._-]{1,64}$/;

const nouns = {
  job: "a job's name",
  operator: "the uid of a source, operator or sink",
  broadcast: "the uid of a broadcast",
} as const;

/** Throws `invalid` unless `name` can stand in durable names; `what` says in the author's terms what it names. */
export function checkName(what: "job" | "operator" | "broadcast", name: string): void {
  if (pattern.test(name)) return;
  throw invalid(`${nouns[what]} must be 1 to 64 letters, digits, dots, underscores or hyphens`, { [what]: name });
}
