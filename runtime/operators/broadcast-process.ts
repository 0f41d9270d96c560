/** process of records without keys beside a stream that every task sees the whole of (Flink's BroadcastProcessFunction). */
import type { BroadcastProcessFunction } from "../api/co-functions.ts";
import type { OperatorSpec } from "../api/graph.ts";
import { broadcastStates } from "./broadcast-states.ts";
import { HandlerContext } from "./context.ts";
import type { Operator, OperatorHost } from "./operator.ts";
import { synchronous } from "./synchronous.ts";

type Fn = BroadcastProcessFunction<any, any, any, any>;

export class BroadcastProcessOperator implements Operator {
  private readonly fn: Fn;
  private readonly reading: HandlerContext & { readonly broadcast: object };
  private readonly writing: HandlerContext & { readonly broadcast: object };

  constructor(host: OperatorHost, spec: OperatorSpec & { kind: "broadcastProcess" }) {
    this.fn = spec.fn;
    const { written, read } = broadcastStates(host, spec);
    const { sideOutputs } = spec.fn;
    this.reading = Object.assign(new HandlerContext(host, sideOutputs), { broadcast: read });
    this.writing = Object.assign(new HandlerContext(host, sideOutputs), { broadcast: written });
  }

  onRecord(value: any, timestamp: number, input: number): void {
    if (input === 0) {
      this.reading.moveTo(timestamp);
      synchronous(this.fn.onRecord(value, this.reading as unknown as Parameters<Fn["onRecord"]>[1]));
    } else {
      this.writing.moveTo(timestamp);
      synchronous(this.fn.onBroadcast(value, this.writing as unknown as Parameters<Fn["onBroadcast"]>[1]));
    }
  }
}
