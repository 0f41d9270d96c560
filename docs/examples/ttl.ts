import { minutes, type, value } from "../../runtime/index.ts";
import { type Event, example } from "./example.ts";

export default example((events) =>
  events
    .keyBy(({ key }) => key)
    .process("first-in-a-minute", {
      output: type<Event>(),
      state: { seen: value<boolean>({ ttl: minutes(1) }) },
      onRecord(event, ctx) {
        if (ctx.state.seen.get()) return;
        ctx.state.seen.set(true);
        ctx.emit(event);
      },
    }),
);
