/** The smallest connectors that a job can be planned with. */
import type { Mode, Sink, Source } from "../../runtime/api/connector.ts";
import type { Key } from "../../runtime/api/key.ts";

/** A source of T that nothing is read from. */
export function testSource<T>(name = "input"): Source<T> {
  return { kind: "test", name, bounded: false, options: { stream: name }, decode: () => undefined };
}

const nothing = { add: () => undefined, flush: () => [], state: () => undefined, restore: () => undefined };

/** A sink for every mode that nothing is written to. */
export function testSink<T>(name = "output"): Sink<T, Mode> {
  return { kind: "test", name, guarantee: "exactlyOnce", options: { path: name }, createWriter: () => nothing };
}

/** A sink for appended rows only. */
export function appendOnlySink<T>(name = "output"): Sink<T> {
  return { ...testSink<T>(name), guarantee: "atLeastOnce" };
}

/** A table whose rows are found by `key`. */
export function testTable<T>(options: { readonly key: (value: T) => Key; readonly name?: string }): Sink<T, Mode> {
  return { ...testSink<T>(options.name ?? "table"), key: options.key };
}
