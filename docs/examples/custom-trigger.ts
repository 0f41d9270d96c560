import { reducing, seconds, triggers, tumbling } from "../../runtime/index.ts";
import { type Event, example } from "./example.ts";

export default example((events) =>
  events
    .keyBy(({ key }) => key)
    .window(tumbling(seconds(10)))
    .trigger(
      triggers.custom({
        state: { total: reducing<number>((a, b) => a + b) },
        onElement({ n = 0 }: Event, _timestamp, window, ctx) {
          ctx.timers.eventTime(window.maxTimestamp);
          ctx.state.total.add(n);
          if ((ctx.state.total.get() ?? 0) < 10) return "continue";
          ctx.state.total.clear();
          return "fireAndPurge";
        },
        onEventTime: (at, window) => (at === window.maxTimestamp ? "fire" : "continue"),
        onClear: (window, ctx) => ctx.timers.cancelEventTime(window.maxTimestamp),
      }),
    )
    .apply("batches", (key, _window, values) => [[key, values.map(({ n }) => n)]]),
);
