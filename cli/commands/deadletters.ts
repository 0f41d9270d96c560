/** `millrace deadletters list` and `show`: what was put aside, and why. */
import type { Answer } from "../answer.ts";
import { MillraceError } from "../../runtime/base/errors.ts";
import { type Letter, type LetterFilter, readLetters } from "../dead-letters.ts";
import { fields, table } from "../layout.ts";
import type { Target } from "../target/target.ts";
import { grouped, moment, plural } from "../words.ts";
import { readRedrives } from "./redrive.ts";

export interface ListOptions extends LetterFilter {
  /** So many of the newest are shown one by one. */
  readonly limit: number;
}

interface Group {
  readonly operator: string;
  readonly reason: string;
  letters: number;
  /** Of them, those that were given back: they stay where they lie. */
  givenBack: number;
}

const reasonCharactersMax = 70;

export async function list(target: Target, { limit, ...filter }: ListOptions): Promise<Answer> {
  const groups = new Map<string, Group>();
  const latest: Letter[] = [];
  let count = 0;
  const { ids: givenBack } = await readRedrives(target.ports);
  for await (const letter of readLetters(target.letters, filter)) {
    const { operator, reason } = letter;
    const id = `${operator} ${reason}`;
    const group = groups.get(id) ?? { operator, reason, letters: 0, givenBack: 0 };
    group.letters++;
    if (givenBack.has(letter.id)) group.givenBack++;
    groups.set(id, group);
    count++;
    latest.push(letter);
    if (latest.length > limit) latest.shift();
  }
  const found = [...groups.values()].sort((a, b) => b.letters - a.letters);
  const shown = latest.map((letter) => ({ ...withoutBytes(letter), givenBack: givenBack.has(letter.id) }));
  const json = { place: target.letters.place, letters: count, groups: found, latest: shown };
  if (count === 0)
    return { json, lines: [`no dead letters${describeFilter(filter)} in ${target.letters.place}`, ...whereElse(target)] };
  return { json, lines: describeList(target, count, found, latest) };
}

function describeFilter({ operator, reason }: LetterFilter): string {
  const of = operator === undefined ? "" : ` of operator ${operator}`;
  return reason === undefined ? of : `${of} whose reason has "${reason}"`;
}

/** A state directory does not tell where the job was told to write. */
function whereElse({ kind }: Target): readonly string[] {
  return kind === "local" ? ["they lie where the job's sinks write: if that is elsewhere, name it with --output DIR"] : [];
}

function describeList(target: Target, count: number, groups: readonly Group[], latest: readonly Letter[]): readonly string[] {
  return [
    `${plural(count, "dead letter")} in ${target.letters.place}`,
    "",
    ...table(
      ["letters", "given back", "operator", "reason"],
      groups.map(({ letters, givenBack, operator, reason }) => [grouped(letters), grouped(givenBack), operator, cut(reason)]),
      [0, 1],
    ),
    ...(latest.length === 0 ? [] : [""]),
    ...table(
      ["latest", "shard", "position", "reason"],
      latest.map(({ id, shard, position, reason }) => [id, shard, position, cut(reason)]),
    ),
    "",
    ...latest.slice(-1).map(({ id }) => `look at one:           millrace deadletters show ${id} ${target.words}`),
    ...(groups.every(({ letters, givenBack }) => letters === givenBack) ? [] : [giveBackHint(target)]),
  ];
}

function giveBackHint(target: Target): string {
  return `give them back, fixed: millrace deadletters redrive ${target.kind === "local" ? "JOB " : ""}${target.words}`;
}

export async function show(target: Target, ids: readonly string[]): Promise<Answer> {
  const wanted = new Set(ids);
  const found: Letter[] = [];
  for await (const letter of readLetters(target.letters)) if (wanted.has(letter.id)) found.push(letter);
  const missing = ids.find((id) => !found.some((letter) => letter.id === id));
  if (missing !== undefined) throw new MillraceError("invalid", `there is no dead letter of this name: ${missing}`);
  const { ids: givenBack } = await readRedrives(target.ports);
  const json = found.map((letter) => ({ ...letter, givenBack: givenBack.has(letter.id) }));
  return { json, lines: json.flatMap((letter, n) => [...(n === 0 ? [] : [""]), ...describe(letter)]) };
}

function describe(letter: Letter & { readonly givenBack: boolean }): readonly string[] {
  const { id, reason, operator, task, seq, bytes, text, header, givenBack } = letter;
  return [
    ...fields([
      ["letter", id],
      ["reason", reason],
      ["operator", operator],
      ["from", placeOf(letter)],
      ["put aside by", `${task}, commit ${seq}`],
      ["fields", header],
      ["given back", `${givenBack ? "yes" : "not yet"}, to ${receiverOf(letter)}`],
    ]),
    "",
    ...(text === undefined ? [`${plural(Buffer.from(bytes, "base64").length, "byte")}, base64:`, bytes] : [text]),
  ];
}

function receiverOf({ source, back }: Letter): string {
  if (back !== undefined) return `${words[back.what]} ${back.to}`;
  return source === undefined ? "nobody: it cannot be" : `source ${source}`;
}

/** As what it is given back to its operator. */
const words = {
  record: "operator",
  copy: "one task of operator",
  timer: "operator",
  row: "sink",
  message: "sink",
} as const;

/** Undefined: a row of a sink's is from nowhere else. */
function placeOf({ source, shard, position, back }: Letter): string | undefined {
  if (back?.what === "row") return undefined;
  if (back?.what !== "timer")
    return [...(source === undefined ? [] : [source]), shard === "" ? position : `${shard} at ${position}`].join(", ");
  return `${shard}, due at ${Number.isSafeInteger(Number(position)) ? moment(Number(position)) : position}`;
}

function withoutBytes({ bytes: _bytes, ...letter }: Letter): object {
  return letter;
}

function cut(text: string): string {
  const line = text.replaceAll(/\s+/g, " ");
  return line.length <= reasonCharactersMax ? line : `${line.slice(0, reasonCharactersMax - 1)}…`;
}
