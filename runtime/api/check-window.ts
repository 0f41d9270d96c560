/** What can be said of windows alone: whether their assigner, trigger, evictor and contents can work, and with one another. */
import type { EvictorSpec } from "./evictors.ts";
import type { OperatorSpec, WindowSpec } from "./graph.ts";
import { invalid } from "./invalid.ts";
import { isTimeZone } from "./time-zone.ts";
import { canMerge, type TriggerSpec } from "./triggers.ts";
import type { WindowAssignerSpec, WindowTime } from "./windows.ts";

/** Beyond it a record would belong to more windows than anyone can mean. */
const windowsPerRecordMax = 1_000_000;

/** Throws `invalid`, naming the operator, for windows that cannot work. */
export function checkWindow(operator: string, spec: WindowSpec): void {
  checkAssigner(operator, spec.assigner);
  checkTrigger(operator, spec.trigger);
  checkEnds(operator, spec);
  if (spec.evictor !== undefined) checkEvictor(operator, spec.evictor);
  if (!isDuration(spec.allowedLateness, 0))
    throw invalid("allowed lateness must be whole ms, not negative", { operator, lateness: spec.allowedLateness });
  if (spec.assigner.kind === "session") checkMerging(operator, spec);
}

/** A window that ends is dropped then, and would never give what it holds to a trigger that waits for the end of the input. */
function checkEnds(operator: string, { assigner: { kind: windows }, trigger }: WindowSpec): void {
  if (windows === "global" || windows === "count" || !waitsForEndOfStream(trigger)) return;
  const reason = "the windows end before the input does, and would be dropped without a result";
  throw invalid(`${reason}: use endOfStream() with globalWindow(), or another trigger`, { operator, windows });
}

/** What times out fires by itself. */
function waitsForEndOfStream(spec: TriggerSpec): boolean {
  return spec.kind === "endOfStream" || (spec.kind === "purging" && waitsForEndOfStream(spec.inner));
}

/** Windows that merge need contents and a trigger that do. */
function checkMerging(operator: string, spec: WindowSpec): void {
  if (!merges(spec))
    throw invalid("session windows merge, and so must their contents: give the aggregator a merge function", { operator });
  if (canMerge(spec.trigger)) return;
  const remedy = spec.trigger.kind === "custom" ? "give it onMerge" : "take another";
  throw invalid(`session windows merge, and so must their trigger: ${remedy}`, {
    operator,
    trigger: describeTrigger(spec.trigger),
  });
}

function merges({ contents, evictor }: OperatorSpec & { kind: "window" }): boolean {
  return contents.kind !== "aggregate" || evictor !== undefined || contents.aggregator.merge !== undefined;
}

/** The trigger's kind, with what it wraps. */
function describeTrigger(spec: TriggerSpec): string {
  return "inner" in spec ? `${spec.kind}(${describeTrigger(spec.inner)})` : spec.kind;
}

function checkAssigner(operator: string, assigner: WindowAssignerSpec): void {
  switch (assigner.kind) {
    case "tumbling":
      checkSize(operator, assigner.sizeMs);
      checkOffset(operator, assigner.offsetMs, { size: assigner.sizeMs });
      return checkTime(operator, assigner.time);
    case "sliding":
      return checkSliding(operator, assigner);
    case "cumulating":
      return checkCumulating(operator, assigner);
    case "session":
      if (typeof assigner.gap !== "function" && !isDuration(assigner.gap, 1))
        throw invalid("a session's gap must be whole ms, above 0", { operator, gap: assigner.gap });
      return checkTime(operator, assigner.time);
    case "calendarDays":
    case "calendarWeeks":
      return checkCalendar(operator, assigner);
    case "count":
      checkCount(operator, "a count window's size", assigner.size);
      if (assigner.slide !== undefined) checkCount(operator, "a count window's slide", assigner.slide);
      return;
    case "global":
      return;
  }
}

function checkSliding(operator: string, { sizeMs: size, slideMs: slide, offsetMs, time }: AssignerOf<"sliding">): void {
  checkSize(operator, size);
  if (!isDuration(slide, 1)) throw invalid("a window's slide must be whole ms, above 0", { operator, slide });
  checkOffset(operator, offsetMs, { slide });
  checkWindowsPerRecord(operator, { size, slide });
  checkTime(operator, time);
}

function checkCumulating(operator: string, { sizeMs: size, stepMs: step, offsetMs, time }: AssignerOf<"cumulating">): void {
  checkSize(operator, size);
  if (!isDuration(step, 1)) throw invalid("a window's step must be whole ms, above 0", { operator, step });
  if (size % step !== 0) throw invalid("a window's size must be a multiple of its step", { operator, size, step });
  checkOffset(operator, offsetMs, { size });
  checkWindowsPerRecord(operator, { size, step });
  checkTime(operator, time);
}

function checkCalendar(operator: string, assigner: AssignerOf<"calendarDays" | "calendarWeeks">): void {
  const { timeZone } = assigner;
  if (!isTimeZone(timeZone))
    throw invalid('no such time zone: take a name of the IANA database, such as "Europe/Berlin"', { operator, timeZone });
  if (assigner.kind === "calendarWeeks" && !["monday", "saturday", "sunday"].includes(assigner.startsOn))
    throw invalid("a week starts on monday, saturday or sunday", { operator, startsOn: assigner.startsOn });
  checkTime(operator, assigner.time);
}

function checkSize(operator: string, size: number): void {
  if (!isDuration(size, 1)) throw invalid("a window's size must be whole ms, above 0", { operator, size });
}

function checkOffset(operator: string, offset: number, bound: Readonly<Record<string, number>>): void {
  const [[name, most] = ["size", 0]] = Object.entries(bound);
  if (!Number.isSafeInteger(offset) || Math.abs(offset) >= most)
    throw invalid(`a window's offset must be whole ms, and less than its ${name}`, { operator, offset, ...bound });
}

function checkWindowsPerRecord(operator: string, lengths: Readonly<Record<string, number>>): void {
  const [size = 0, advance = 1] = Object.values(lengths);
  if (size / advance > windowsPerRecordMax)
    throw invalid(`a record would belong to more than ${windowsPerRecordMax} windows`, { operator, ...lengths });
}

function checkTime(operator: string, time: WindowTime): void {
  if (time !== "event" && time !== "processing") throw invalid('windows go by "event" or "processing" time', { operator, time });
}

function checkTrigger(operator: string, spec: TriggerSpec): void {
  switch (spec.kind) {
    case "count":
      return checkCount(operator, "a trigger's count", spec.count);
    case "continuousEventTime":
    case "continuousProcessingTime":
      if (!isDuration(spec.everyMs, 1))
        throw invalid("a continuous trigger's interval must be whole ms, above 0", { operator, every: spec.everyMs });
      return;
    case "delta":
      return checkThreshold(operator, "trigger", spec.threshold);
    case "timeOut":
      if (!isDuration(spec.afterMs, 1))
        throw invalid("a trigger's time-out must be whole ms, above 0", { operator, after: spec.afterMs });
      return checkTrigger(operator, spec.inner);
    case "purging":
      return checkTrigger(operator, spec.inner);
    default:
      return;
  }
}

function checkEvictor(operator: string, spec: EvictorSpec): void {
  if (spec.kind === "count") checkCount(operator, "an evictor's count", spec.keep);
  else if (spec.kind === "delta") checkThreshold(operator, "evictor", spec.threshold);
  else if (!isDuration(spec.keepMs, 0))
    throw invalid("the time that an evictor keeps must be whole ms, not negative", { operator, keep: spec.keepMs });
}

function checkThreshold(operator: string, of: "trigger" | "evictor", threshold: number): void {
  if (typeof threshold !== "number" || Number.isNaN(threshold))
    throw invalid(`the threshold of a delta ${of} must be a number`, { operator, threshold });
}

function checkCount(operator: string, what: string, count: number): void {
  if (!Number.isSafeInteger(count) || count < 1) throw invalid(`${what} must be a whole number, at least 1`, { operator, count });
}

type AssignerOf<K extends WindowAssignerSpec["kind"]> = WindowAssignerSpec & { readonly kind: K };

/** Whether a length of time is whole ms, and at least `least`. */
export function isDuration(ms: number, least: number): boolean {
  return Number.isSafeInteger(ms) && ms >= least;
}
