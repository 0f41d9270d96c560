/** The operator of a spec. Sources are no operators: the task feeds their records in. Sinks are made by the task. */
import type { OperatorSpec } from "../api/graph.ts";
import { sharesSlices } from "../api/shared-slices.ts";
import { MillraceError } from "../base/errors.ts";
import { AggregateOperator } from "./aggregate.ts";
import { BroadcastProcessOperator } from "./broadcast-process.ts";
import { CoProcessOperator } from "./co-process.ts";
import { CoFlatMapOperator, CoMapOperator } from "./co-stateless.ts";
import { KeyedBroadcastProcessOperator } from "./keyed-broadcast-process.ts";
import { KeyedCoProcessOperator } from "./keyed-co-process.ts";
import { KeyedProcessOperator } from "./keyed-process.ts";
import type { KeyedOperatorHost, Operator } from "./operator.ts";
import { ProcessOperator } from "./process.ts";
import { ReduceOperator } from "./reduce.ts";
import { FilterOperator, FlatMapOperator, MapOperator } from "./stateless.ts";
import { SlicedWindowOperator } from "./window/sliced-window-operator.ts";
import { WindowOperator } from "./window/window-operator.ts";

/** `batch`: each key's records come together, so that what rolls on gives only its last result. */
export function createOperator(spec: OperatorSpec, host: KeyedOperatorHost, batch = false): Operator {
  switch (spec.kind) {
    case "map":
      return new MapOperator(host, spec.fn);
    case "filter":
      return new FilterOperator(host, spec.keep);
    case "flatMap":
      return new FlatMapOperator(host, spec.fn);
    case "process":
      return new ProcessOperator(host, spec.fn);
    case "keyedProcess":
      return new KeyedProcessOperator(host, spec.fn);
    case "coMap":
      return new CoMapOperator(host, spec.left, spec.right);
    case "coFlatMap":
      return new CoFlatMapOperator(host, spec.left, spec.right);
    case "coProcess":
      return new CoProcessOperator(host, spec.fn);
    case "keyedCoProcess":
      return new KeyedCoProcessOperator(host, spec.fn);
    case "broadcastProcess":
      return new BroadcastProcessOperator(host, spec);
    case "keyedBroadcastProcess":
      return new KeyedBroadcastProcessOperator(host, spec);
    case "reduce":
      return new ReduceOperator(host, spec.reduce, batch);
    case "aggregate":
      return new AggregateOperator(host, spec.aggregator, spec.result, batch);
    case "window":
      return sharesSlices(spec) ? new SlicedWindowOperator(host, spec) : new WindowOperator(host, spec);
    default:
      throw new MillraceError("internal", `no operator for a ${spec.kind}: ${host.uid}`);
  }
}
