/**
 * process of records by key beside a stream that every task sees the whole of (Flink's KeyedBroadcastProcessFunction,
 * CoBroadcastWithKeyedOperator).
 */
import type { KeyedBroadcastProcessFunction } from "../api/co-functions.ts";
import type { OperatorSpec } from "../api/graph.ts";
import type { Timer } from "../state/timer.ts";
import { broadcastStates } from "./broadcast-states.ts";
import { HandlerContext } from "./context.ts";
import { KeyedHandlerContext } from "./keyed-context.ts";
import type { KeyedOperatorHost, Operator } from "./operator.ts";
import { synchronous } from "./synchronous.ts";

type Fn = KeyedBroadcastProcessFunction<any, any, any, any, any, any>;

export class KeyedBroadcastProcessOperator implements Operator {
  private readonly fn: Fn;
  private readonly keyed: KeyedHandlerContext & { readonly broadcast: object };
  private readonly broadcast: HandlerContext & { readonly broadcast: object };

  constructor(host: KeyedOperatorHost, spec: OperatorSpec & { kind: "keyedBroadcastProcess" }) {
    this.fn = spec.fn;
    const { written, read } = broadcastStates(host, spec);
    const { sideOutputs } = spec.fn;
    this.keyed = Object.assign(new KeyedHandlerContext(host, sideOutputs), { broadcast: read });
    this.broadcast = Object.assign(new HandlerContext(host, sideOutputs), { broadcast: written });
  }

  onRecord(value: any, timestamp: number, input: number): void {
    if (input === 0) {
      this.keyed.moveTo(timestamp);
      synchronous(this.fn.onRecord(value, this.keyed as unknown as Parameters<Fn["onRecord"]>[1]));
    } else {
      this.broadcast.moveTo(timestamp);
      synchronous(this.fn.onBroadcast(value, this.broadcast as unknown as Parameters<Fn["onBroadcast"]>[1]));
    }
  }

  onTimer(timer: Timer): void {
    this.keyed.beginTimer(timer);
    try {
      synchronous(this.fn.onTimer?.(timer.at, this.keyed as unknown as Parameters<NonNullable<Fn["onTimer"]>>[1]));
    } finally {
      this.keyed.endTimer();
    }
  }
}
