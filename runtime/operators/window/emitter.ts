/** What a firing window emits: its value, a result made from it, or whatever a window function emits. */
import type { WindowFunction } from "../../api/functions.ts";
import type { WindowResult, WindowSpec } from "../../api/graph.ts";
import { windowStates } from "../../api/operator-states.ts";
import type { TimeWindow } from "../../api/windows.ts";
import type { Key } from "../../api/key.ts";
import { CurrentNamespace } from "../../state/keyed-access.ts";
import { type StateHandle, stateHandles } from "../../state/state-handles.ts";
import { HandlerContext } from "../context.ts";
import type { KeyedOperatorHost } from "../operator.ts";
import type { Contents } from "./contents.ts";

export interface WindowEmitter {
  emit(window: TimeWindow): void;
  /** The window is over. */
  clear(window: TimeWindow): void;
  /** The window was merged into another. */
  forget(window: TimeWindow): void;
}

export function emitterOf(host: KeyedOperatorHost, spec: WindowSpec, contents: Contents): WindowEmitter {
  if (spec.result.kind === "process") return new FunctionEmitter(host, spec.result.fn, contents, spec.contents.kind === "list");
  return new ValueEmitter(host, spec.result, contents);
}

class ValueEmitter implements WindowEmitter {
  private readonly host: KeyedOperatorHost;
  private readonly contents: Contents;
  private readonly resultOf: Exclude<WindowResult, { kind: "process" }>;

  constructor(host: KeyedOperatorHost, resultOf: Exclude<WindowResult, { kind: "process" }>, contents: Contents) {
    this.host = host;
    this.resultOf = resultOf;
    this.contents = contents;
  }

  emit(window: TimeWindow): void {
    const { resultOf, contents, host } = this;
    const { key } = host.access.row;
    const value = contents.result();
    if (resultOf.kind === "value") host.output.emit(value, window.maxTimestamp);
    else if (resultOf.kind === "result") host.output.emit(resultOf.result(key, window, value), window.maxTimestamp);
    else
      for (const result of resultOf.apply(key, window, [...(value as readonly unknown[])]))
        host.output.emit(result, window.maxTimestamp);
  }

  clear(): void {}
  forget(): void {}
}

class FunctionEmitter implements WindowEmitter {
  private readonly fn: WindowFunction<any, any, any, any, any, any>;
  private readonly contents: Contents;
  private readonly collected: boolean;
  private readonly context: WindowHandlerContext;

  constructor(host: KeyedOperatorHost, fn: WindowFunction<any, any, any, any, any, any>, contents: Contents, collected: boolean) {
    this.fn = fn;
    this.contents = contents;
    this.collected = collected;
    this.context = new WindowHandlerContext(host, fn);
  }

  emit(window: TimeWindow): void {
    this.context.enter(window);
    const result = this.contents.result();
    const values = this.collected ? [...(result as readonly unknown[])] : [result];
    this.fn.onWindow(window, values, this.context as never);
  }

  clear(window: TimeWindow): void {
    this.context.enter(window);
    this.fn.onClear?.(window, this.context as never);
    for (const handle of Object.values(this.context.windowState)) handle.clear();
  }

  /** Window state of windows merged away has no rule to be merged by, and goes: Flink refuses it, here the first window's stays. */
  forget(window: TimeWindow): void {
    this.context.enter(window);
    for (const handle of Object.values(this.context.windowState)) handle.clear();
  }
}

class WindowHandlerContext extends HandlerContext {
  readonly at = new CurrentNamespace();
  readonly state: Record<string, StateHandle>;
  readonly windowState: Record<string, StateHandle>;
  private readonly keyed: KeyedOperatorHost;

  constructor(host: KeyedOperatorHost, fn: WindowFunction<any, any, any, any, any, any>) {
    super(host, fn.sideOutputs);
    this.keyed = host;
    this.state = stateHandles(host.access, new CurrentNamespace(), windowStates.keyPrefix);
    this.windowState = stateHandles(host.access, this.at, windowStates.windowPrefix);
  }

  enter(window: TimeWindow): void {
    this.moveTo(window.maxTimestamp);
    this.at.namespace = window;
  }

  get key(): Key {
    return this.keyed.access.row.key;
  }
}
