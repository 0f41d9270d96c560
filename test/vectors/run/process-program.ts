/** The small steps in which a vector says what a user function does, as a handler. */
import { outputTag, type OutputTag } from "../../../runtime/index.ts";
import type { MapState, Timers, ValueState } from "../../../runtime/index.ts";

type Where = "onElement1" | "onElement2" | "onTimer";

/** What was read of broadcast state. */
export interface Seen {
  readonly where: Where;
  readonly entries: readonly (readonly [string, unknown])[];
  readonly key: unknown;
  readonly timerTime: number | undefined;
}

interface ProgramContext {
  emit(value: unknown): void;
  output(tag: OutputTag<unknown>, value: unknown): void;
  readonly key?: unknown;
  readonly timestamp: number | undefined;
  readonly watermark: number;
  readonly processingTime: number;
  readonly timerTime?: number;
  readonly domain?: "eventTime" | "processingTime";
  readonly state: { readonly state: ValueState<unknown> };
  readonly broadcast: { readonly entries: MapState<string, unknown> };
  readonly timers: Timers;
}

const tags = new Map<string, OutputTag<unknown>>([["seen", outputTag("seen")]]);

function tagOf(id: string): OutputTag<unknown> {
  const tag = tags.get(id) ?? outputTag<unknown>(id);
  tags.set(id, tag);
  return tag;
}

/** The side outputs that any of a program's steps writes. */
export function sideOutputsOf(program: object): readonly OutputTag<unknown>[] {
  const ids = [...JSON.stringify(program).matchAll(/"sideOutput":"([^"]+)"/g)].map(([, id]) => id!);
  return [...new Set(ids)].map(tagOf);
}

const steps: ReadonlySet<string> = new Set([
  ...["emit", "sideOutput", "registerEventTimer", "registerProcessingTimer", "deleteEventTimer", "deleteProcessingTimer"],
  ...["if", "setState", "clearState", "putBroadcastState", "readBroadcastState"],
]);

/** Throws for a program with a step that is not known: what it does at run time would be taken for the author's error. */
export function checkProgram(program: Readonly<Record<string, unknown>> = {}): void {
  for (const list of Object.values(program)) {
    if (!Array.isArray(list)) continue;
    for (const step of list) {
      if (!Object.keys(step).some((name) => steps.has(name))) throw new Error(`no step of a program: ${JSON.stringify(step)}`);
      checkProgram({ then: step.then, else: step.else });
    }
  }
}

/** What the steps do; none do nothing. */
export function handlerOf(list: readonly any[] = [], where: Where = "onElement1"): (value: unknown, ctx: ProgramContext) => void {
  return (value, ctx) => {
    for (const step of list) carryOut(step, value, ctx, where);
  };
}

function carryOut(step: any, value: unknown, ctx: ProgramContext, where: Where): void {
  const time = (name: string) => timeOf(step[name], value, ctx);
  if ("emit" in step) ctx.emit(render(step.emit, value, ctx));
  else if ("sideOutput" in step) {
    const tag = step.sideOutput === null ? (null as never) : tagOf(step.sideOutput);
    ctx.output(tag, render(step.value, value, ctx));
  } else if ("registerEventTimer" in step) ctx.timers.eventTime(time("registerEventTimer"));
  else if ("registerProcessingTimer" in step) ctx.timers.processingTime(time("registerProcessingTimer"));
  else if ("deleteEventTimer" in step) ctx.timers.cancelEventTime(time("deleteEventTimer"));
  else if ("deleteProcessingTimer" in step) ctx.timers.cancelProcessingTime(time("deleteProcessingTimer"));
  else if ("if" in step) handlerOf(holds(step.if, ctx) ? step.then : step.else, where)(value, ctx);
  else if ("setState" in step) ctx.state.state.set(value);
  else if ("clearState" in step) ctx.state.state.clear();
  else if ("putBroadcastState" in step) {
    const { key, value: put } = step.putBroadcastState;
    ctx.broadcast.entries.set(String(render(key, value, ctx)), render(put, value, ctx));
  } else if ("readBroadcastState" in step) readBroadcast(ctx, where);
  else throw new Error(`no step of a program: ${JSON.stringify(step)}`);
}

/** Noted on the side; in a timer, upstream's function also emits one record. */
function readBroadcast(ctx: ProgramContext, where: Where): void {
  const entries = [...ctx.broadcast.entries.entries()];
  ctx.output(tagOf("seen"), { where, entries, key: ctx.key, timerTime: ctx.timerTime });
  if (where === "onTimer") ctx.emit(String(ctx.timerTime));
}

function holds(condition: string, ctx: ProgramContext): boolean {
  if (condition === "state is empty") return ctx.state.state.get() === undefined;
  if (condition === "state is not empty") return ctx.state.state.get() !== undefined;
  throw new Error(`no condition: ${condition}`);
}

/** A number, or "name", "name + number", "name - number". */
function timeOf(words: number | string, value: unknown, ctx: ProgramContext): number {
  if (typeof words === "number") return words;
  const [, name, sign, by] = /^\{?(\w+)\}?(?:\s*([+-])\s*(\d+))?$/.exec(words) ?? [];
  const named: Readonly<Record<string, unknown>> = { ...ctx, ...facts(ctx), value };
  const from = name === undefined ? undefined : named[name];
  if (typeof from !== "number") throw new Error(`no time: ${words}`);
  return from + (by === undefined ? 0 : Number(by) * (sign === "-" ? -1 : 1));
}

/** A context has accessors, which a spread passes over. */
function facts({ timestamp, watermark, processingTime, timerTime }: ProgramContext) {
  return { timestamp, watermark, processingTime, timerTime };
}

/** `{x}` puts in a value; alone, or "(as number)" behind it, it is no text. */
function render(words: unknown, value: unknown, ctx: ProgramContext): unknown {
  if (typeof words !== "string") return words;
  const [, ofEvents, ofProcessing] = /^(.*) or (.*), by time domain$/.exec(words) ?? [];
  if (ofEvents !== undefined) return ctx.domain === "eventTime" ? ofEvents : ofProcessing;
  const [, bare] = /^(.*?) (?:\(as number\)|as \d+-bit number)$/.exec(words) ?? [];
  if (bare !== undefined) return Number(fill(bare, value, ctx));
  return words === "{value}" ? value : fill(words, value, ctx);
}

function fill(words: string, value: unknown, ctx: ProgramContext): string {
  const state = () => ctx.state.state.get();
  const values: Readonly<Record<string, () => unknown>> = {
    value: () => value,
    key: () => ctx.key,
    watermark: () => ctx.watermark,
    processingTime: () => ctx.processingTime,
    timestamp: () => ctx.timestamp ?? null,
    timerTime: () => ctx.timerTime,
    state,
  };
  return words.replaceAll(/\{(\w+)\}/g, (_all, name: string) => {
    const of = values[name];
    if (of === undefined) throw new Error(`no value to put in: ${name}`);
    return String(of());
  });
}
