/** A step that ends the environment in which it runs. */
import { keyedProcess, type, value } from "../../runtime/index.ts";
import type { Event } from "../operators/pipeline.ts";
import type { Mortals } from "./mortal.ts";

export const deadly = 6_666;

/** Emits every n it is given; the deadly one ends the environment. */
export function counting(mortals: Mortals) {
  return keyedProcess({
    key: type<string>(),
    state: { seen: value<number>() },
    output: type<number>(),
    onRecord({ n = 0 }: Event, ctx) {
      ctx.state.seen.set((ctx.state.seen.get() ?? 0) + 1);
      if (n === deadly) mortals.die();
      ctx.emit(n);
    },
  });
}
