import { seconds, tumbling, type, value } from "../../runtime/index.ts";
import { example } from "./example.ts";

export default example((events) =>
  events
    .keyBy(({ key }) => key)
    .window(tumbling(seconds(10)))
    .allowedLateness(seconds(5))
    .process("numbered", {
      output: type<readonly unknown[]>(),
      state: { windows: value<number>() },
      windowState: { firings: value<number>() },
      onWindow(_window, values, ctx) {
        const firing = (ctx.windowState.firings.get() ?? 0) + 1;
        ctx.windowState.firings.set(firing);
        if (firing === 1) ctx.state.windows.set((ctx.state.windows.get() ?? 0) + 1);
        ctx.emit([ctx.key, { window: ctx.state.windows.get(), firing, records: [...values].length }]);
      },
    }),
);
