/**
 * Authors' functions are synchronous: what an async one does after its first await happens when its record is done, outside its commit.
 * The types cannot say so of handlers that return nothing, nor of a map to a promise.
 */
import type { LogicalNode } from "./graph.ts";
import { invalid } from "./invalid.ts";

/** Parts of a spec that are made of functions; what an author keeps beside his handlers is his own. */
const partsWithFunctions: ReadonlySet<string> = new Set([
  "aggregator",
  "assigner",
  "contents",
  "evictor",
  "fn",
  "generator",
  "inner",
  "result",
  "trigger",
  "watermarks",
]);

/** Throws `invalid` for an operator with an async function, naming it. What sources and sinks are made of may be async. */
export function checkFunctions({ uid, spec, inputs }: Pick<LogicalNode, "uid" | "spec" | "inputs">): void {
  if (spec.kind !== "sink") check(uid, spec);
  for (const { partitioning } of inputs) check(uid, partitioning);
}

function check(operator: string, part: object): void {
  for (const [name, value] of Object.entries(part) as [string, unknown][]) {
    if (typeof value === "function" && isAsync(value))
      throw invalid("functions of operators are synchronous, what one awaits would come after its record: make it one that is", {
        operator,
        function: name,
      });
    if (typeof value === "object" && value !== null && partsWithFunctions.has(name)) check(operator, value);
  }
}

function isAsync(fn: object): boolean {
  return Object.prototype.toString.call(fn).startsWith("[object Async");
}
