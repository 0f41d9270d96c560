/** What the example says in the end: what it found, where that is, what to do next. */
import { join } from "node:path";
import type { RunReport } from "../../cli/run-job.ts";
import { grouped, plural } from "../../cli/words.ts";
import type { Source } from "../../runtime/index.ts";
import type { PageviewsFindings } from "./findings.ts";
import type { Options } from "./options.ts";

const reasonsShown = 3;

/** Where events come from and results go. */
export function describePlaces({ inputs, output, state, count }: Options, source: Source<unknown>): readonly string[] {
  const { format } = source.options as { format?: { name: string } };
  const names = inputs.map((path) => (path === "-" ? "standard input" : path));
  const read = inputs.length === 0 ? `${grouped(count)} made-up events` : `${names.join(", ")} (${format?.name})`;
  return [`reads   ${read}`, `writes  ${output}`, `state   ${state === "memory" ? "in memory alone" : state}`];
}

export function describeResults(findings: PageviewsFindings, { output }: Options): readonly string[] {
  const { rows, pages, minutes, sessions, users, lateForMinute, lateForSession, deadLetters } = findings;
  const results = [
    ["views", plural(rows, "row"), `${plural(pages.size, "page")} over ${plural(minutes.size, "minute")}`],
    ["sessions", plural(sessions, "row"), `of ${plural(users.size, "user")}`],
    ["late", plural(lateForMinute + lateForSession, "row"), lateness(findings)],
    ["dead-letters", plural(deadLetters, "row"), reasonsOf(findings)],
  ] as const;
  const width = Math.max(...results.map(([folder]) => join(output, folder).length));
  const size = Math.max(...results.map(([, n]) => n.length));
  const places = results.map(([folder, n, what]) => `  ${join(output, folder).padEnd(width)}  ${n.padStart(size)}  ${what}`);
  if (pages.size === 0) return ["results", ...places];
  return ["busiest pages", ...findings.busiest().map((line) => `  ${line}`), "", "results", ...places];
}

export function describeNext(options: Options, outcome: RunReport["outcome"]): readonly string[] {
  const { inputs, output, state } = options;
  if (outcome === "stopped")
    return [state === "memory" ? "nothing was kept: the next run begins anew" : "the same command goes on from here"];
  const all = state === "memory" || state.startsWith(output) ? [output] : [output, state];
  const commands = [
    ...(inputs.length === 0 ? [["npm start -- --input FILE", "your own events: NDJSON, CSV or an access log"] as const] : []),
    [`rm -r ${all.map(quoted).join(" ")}`, "then the same command: once more from the beginning"] as const,
    ["npm start -- --help", "everything it can do"] as const,
  ];
  const width = Math.max(...commands.map(([command]) => command.length));
  return ["next", ...commands.map(([command, what]) => `  ${command.padEnd(width)}  ${what}`)];
}

/** As a shell takes it for one word. */
function quoted(path: string): string {
  return /^[\w./@%+:,-]+$/.test(path) ? path : `'${path.replaceAll("'", "'\\''")}'`;
}

function lateness({ lateForMinute, lateForSession }: PageviewsFindings): string {
  return lateForMinute + lateForSession === 0
    ? "nothing"
    : `${grouped(lateForMinute)} for their minute, ${grouped(lateForSession)} for their session`;
}

function reasonsOf({ reasons }: PageviewsFindings): string {
  if (reasons.size === 0) return "nothing";
  const most = [...reasons].sort(([, a], [, b]) => b - a).slice(0, reasonsShown);
  const more = [...reasons.values()].reduce((sum, n) => sum + n, 0) - most.reduce((sum, [, n]) => sum + n, 0);
  return [...most.map(([reason, n]) => `${grouped(n)} ${reason}`), ...(more > 0 ? [`${grouped(more)} more`] : [])].join("; ");
}
