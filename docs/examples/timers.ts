import { seconds, type, value } from "../../runtime/index.ts";
import { example } from "./example.ts";

export default example((events) =>
  events
    .keyBy(({ key }) => key)
    .process("quiet", {
      output: type<readonly unknown[]>(),
      state: { latest: value<number>() },
      onRecord({ at }, ctx) {
        const latest = ctx.state.latest.get();
        if (latest !== undefined) ctx.timers.cancelEventTime(latest + seconds(5));
        ctx.state.latest.set(Math.max(latest ?? at, at));
        ctx.timers.eventTime(Math.max(latest ?? at, at) + seconds(5));
      },
      onTimer(at, ctx) {
        ctx.emit([ctx.key, at]);
        ctx.state.latest.clear();
      },
    }),
);
