/**
 * What a terminal shows while a job runs: one calm screen that is drawn over itself, or a plain line every few seconds where the
 * output goes to a pipe or a file.
 */
import type { Writable } from "node:stream";
import { duration, grouped, moment } from "./words.ts";
import type { RunProgress } from "./local-run.ts";

export interface DisplayOptions {
  readonly output: Writable & { readonly isTTY?: boolean; readonly columns?: number; readonly rows?: number };
  readonly title: string;
  readonly progress: () => RunProgress;
  /** What was found so far: a few lines, shown on a terminal. */
  readonly findings?: () => readonly string[];
  /** Further counts for the plain line and the screen, such as late events. */
  readonly counts?: () => readonly (readonly [label: string, n: number])[];
}

const screenEveryMs = 200;
const lineEveryMs = 2_000;
const rateOverMs = 3_000;

export class RunDisplay {
  readonly #options: DisplayOptions;
  readonly #timer: NodeJS.Timeout;
  readonly #samples: { at: number; records: number }[] = [];
  #linesShown = 0;
  /** Plain lines were written. */
  #hasLines = false;
  #note: { text: string; until: number } | undefined;

  constructor(options: DisplayOptions) {
    this.#options = options;
    const every = this.#isScreen ? screenEveryMs : lineEveryMs;
    this.#sample();
    this.#timer = setInterval(() => this.#tick(), every);
    this.#timer.unref();
  }

  /** Shows a remark: on a screen for a while, on a pipe as a line of its own. */
  note(text: string): void {
    if (this.#isScreen) this.#note = { text, until: performance.now() + 6_000 };
    else this.#write(text);
  }

  #write(line: string): void {
    this.#hasLines = true;
    this.#options.output.write(`${line}\n`);
  }

  /** Takes the screen away, and draws no more; lines are set off from what follows. */
  stop(): void {
    clearInterval(this.#timer);
    this.#erase();
    if (this.#hasLines) this.#options.output.write("\n");
    this.#hasLines = false;
  }

  get #isScreen(): boolean {
    return this.#options.output.isTTY === true;
  }

  #tick(): void {
    this.#sample();
    if (this.#isScreen) this.#draw(this.#screen());
    else this.#write(this.#line());
  }

  #sample(): void {
    const at = performance.now();
    this.#samples.push({ at, records: this.#options.progress().totals.records });
    while (this.#samples.length > 2 && at - this.#samples[0]!.at > rateOverMs) this.#samples.shift();
  }

  #perSecond(): number {
    const [first, last] = [this.#samples[0]!, this.#samples.at(-1)!];
    return last.at === first.at ? 0 : ((last.records - first.records) * 1000) / (last.at - first.at);
  }

  #line(): string {
    const progress = this.#options.progress();
    const counts = (this.#options.counts?.() ?? []).map(([label, n]) => `${label} ${grouped(n)}`);
    return [
      ...(progress.phase === "running" ? [] : [restOf(progress)]),
      `${grouped(progress.totals.records)} events`,
      `${grouped(this.#perSecond())}/s`,
      `watermark ${moment(progress.watermark)}`,
      `lag ${lagOf(progress)}`,
      `checkpoint ${checkpointOf(progress)}`,
      ...counts,
      `dead letters ${grouped(progress.totals.deadLetters)}`,
    ].join("  ");
  }

  #screen(): readonly string[] {
    const { title, findings, counts } = this.#options;
    const progress = this.#options.progress();
    const { totals, input } = progress;
    const late = (counts?.() ?? []).map(([label, n]) => row(label, grouped(n)));
    const share = input === undefined || input.total === 0 ? undefined : input.read / input.total;
    const bar = share === undefined ? "" : `${barOf(share, 24)} ${Math.floor(share * 100)} %`;
    const note = this.#note !== undefined && this.#note.until > performance.now() ? ["", `  ${this.#note.text}`] : [];
    return [
      bold(title),
      "",
      ...(progress.phase === "running" ? [] : [row("phase", restOf(progress))]),
      row("events", `${grouped(totals.records).padEnd(12)} ${`${grouped(this.#perSecond())}/s`.padEnd(14)}${bar}`),
      row("watermark", moment(progress.watermark)),
      row("lag", lagOf(progress)),
      row("checkpoint", checkpointOf(progress)),
      ...late,
      row("dead letters", grouped(totals.deadLetters)),
      "",
      ...(findings?.() ?? []).map((line) => `  ${line}`),
      ...note,
      "",
      dim("  Ctrl-C stops with a checkpoint; the same command goes on from it."),
    ];
  }

  #draw(lines: readonly string[]): void {
    // Some terminals say that they have none.
    const columns = this.#options.output.columns || 80;
    const rows = this.#options.output.rows || 24;
    // What is higher than the terminal could not be drawn over.
    const fitting = lines.slice(0, Math.max(1, rows - 1));
    const shown = fitting.map((line) => `${cut(line, columns - 1)}\x1b[K\n`).join("");
    this.#options.output.write(`${up(this.#linesShown)}${shown}\x1b[J`);
    this.#linesShown = fitting.length;
  }

  #erase(): void {
    if (this.#linesShown > 0) this.#options.output.write(`${up(this.#linesShown)}\x1b[J`);
    this.#linesShown = 0;
  }
}

/** `share` of `width` cells, filled. */
export function barOf(share: number, width: number): string {
  const filled = Math.max(0, Math.min(width, Math.round(share * width)));
  return "█".repeat(filled) + "░".repeat(width - filled);
}

function restOf({ phase, reason }: RunProgress): string {
  return reason === undefined ? phase : `${phase}: ${reason}`;
}

function checkpointOf({ checkpoint, checkpointAt }: RunProgress): string {
  if (checkpoint === 0) return "none yet";
  return checkpointAt === undefined ? `${checkpoint}` : `${checkpoint}, ${duration(Math.max(0, Date.now() - checkpointAt))} ago`;
}

/** How far the job is behind its input: what is left to read, or, where that is unknown, how old the watermark is. */
function lagOf({ watermark, input }: RunProgress): string {
  if (input !== undefined) return `${grouped(input.total - input.read)} ${input.unit}`;
  return Number.isFinite(watermark) ? duration(Math.max(0, Date.now() - watermark)) : "none";
}

function row(label: string, text: string): string {
  return `  ${dim(label.padEnd(14))}${text}`;
}

function up(lines: number): string {
  return lines === 0 ? "" : `\x1b[${lines}A\r`;
}

function bold(text: string): string {
  return `\x1b[1m${text}\x1b[0m`;
}

function dim(text: string): string {
  return `\x1b[2m${text}\x1b[0m`;
}

/** At most `width` cells, escapes not counted. */
function cut(line: string, width: number): string {
  let cells = 0;
  let at = 0;
  while (at < line.length && cells < width) {
    const escape = /^\x1b\[\d*m/.exec(line.slice(at, at + 8));
    if (escape === null) cells++;
    at += escape?.[0].length ?? 1;
  }
  return at < line.length ? `${line.slice(0, at)}\x1b[0m` : line;
}
