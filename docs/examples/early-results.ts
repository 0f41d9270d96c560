import { count, seconds, triggers, tumbling } from "../../runtime/index.ts";
import { example } from "./example.ts";

export default example((events) =>
  events
    .keyBy(({ key }) => key)
    .window(tumbling(seconds(10)))
    .trigger(triggers.continuousEventTime(seconds(4)))
    .aggregate("count", count(), (key, { start, end }, n) => [key, start, end, n]),
);
