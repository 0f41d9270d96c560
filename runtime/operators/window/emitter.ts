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
import { nothingLeft } from "./contents.ts";
import { iterable } from "../stateless.ts";
import { synchronous } from "../synchronous.ts";

type AnyWindowFunction = WindowFunction<any, any, any, any, any, any>;

/** Where the results of the window that fires come from. */
export interface Results {
  result(): unknown;
}

export interface WindowEmitter {
  emit(window: TimeWindow): void;
  /** The window is over. */
  clear(window: TimeWindow): void;
}

export function emitterOf(host: KeyedOperatorHost, spec: WindowSpec, contents: Results): WindowEmitter {
  return spec.result.kind === "process"
    ? new FunctionEmitter(host, spec, spec.result.fn, contents)
    : new ValueEmitter(host, spec, spec.result, contents);
}

type ValueResult = Exclude<WindowResult, { kind: "process" }>;

class ValueEmitter implements WindowEmitter {
  private readonly host: KeyedOperatorHost;
  private readonly keyed: boolean;
  private readonly contents: Results;
  private readonly resultOf: ValueResult;

  constructor(host: KeyedOperatorHost, { keyed }: WindowSpec, resultOf: ValueResult, contents: Results) {
    this.host = host;
    this.keyed = keyed;
    this.resultOf = resultOf;
    this.contents = contents;
  }

  emit(window: TimeWindow): void {
    const { resultOf, contents, host } = this;
    const key = this.keyed ? host.access.row.key : null;
    const value = synchronous(contents.result());
    if (value === nothingLeft) return;
    if (resultOf.kind === "value") host.output.emit(value, window.maxTimestamp);
    else if (resultOf.kind === "result") host.output.emit(synchronous(resultOf.result(key, window, value)), window.maxTimestamp);
    else
      for (const result of iterable(resultOf.apply(key, window, [...(value as readonly unknown[])])))
        host.output.emit(result, window.maxTimestamp);
  }

  clear(): void {}
}

class FunctionEmitter implements WindowEmitter {
  private readonly fn: AnyWindowFunction;
  private readonly contents: Results;
  private readonly collected: boolean;
  private readonly context: WindowHandlerContext;

  constructor(host: KeyedOperatorHost, spec: WindowSpec, fn: AnyWindowFunction, contents: Results) {
    this.fn = fn;
    this.contents = contents;
    this.collected = spec.contents.kind === "list";
    this.context = new WindowHandlerContext(host, spec.keyed, fn);
  }

  emit(window: TimeWindow): void {
    this.context.enter(window);
    const result = this.contents.result();
    if (result === nothingLeft) return;
    const values = this.collected ? [...(result as readonly unknown[])] : [result];
    synchronous(this.fn.onWindow(window, values, this.context as never));
  }

  clear(window: TimeWindow): void {
    this.context.enter(window);
    synchronous(this.fn.onClear?.(window, this.context as never));
    for (const handle of Object.values(this.context.windowState)) handle.clear();
  }
}

class WindowHandlerContext extends HandlerContext {
  readonly at = new CurrentNamespace();
  readonly state: Record<string, StateHandle>;
  readonly windowState: Record<string, StateHandle>;
  private readonly keyedHost: KeyedOperatorHost;
  private readonly keyed: boolean;

  constructor(host: KeyedOperatorHost, keyed: boolean, fn: AnyWindowFunction) {
    super(host, fn.sideOutputs);
    this.keyedHost = host;
    this.keyed = keyed;
    this.state = stateHandles(host.access, new CurrentNamespace(), windowStates.keyPrefix);
    this.windowState = stateHandles(host.access, this.at, windowStates.windowPrefix);
  }

  enter(window: TimeWindow): void {
    this.moveTo(window.maxTimestamp);
    this.at.namespace = window;
  }

  get key(): Key | null {
    return this.keyed ? this.keyedHost.access.row.key : null;
  }
}
