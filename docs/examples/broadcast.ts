import { map, type } from "../../runtime/index.ts";
import { type Event, exampleOfTwo } from "./example.ts";

export default exampleOfTwo((events, limits) =>
  events
    .keyBy(({ key }) => key)
    .connect(limits.broadcast("limits", { of: map<string, number>() }))
    .process("over", {
      output: type<Event>(),
      onBroadcast: ({ key, n = 0 }, ctx) => ctx.broadcast.of.set(key, n),
      onRecord(event, ctx) {
        if ((event.n ?? 0) > (ctx.broadcast.of.get("all") ?? Infinity)) ctx.emit(event);
      },
    }),
);
