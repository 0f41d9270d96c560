import { count, outputTag, seconds, tumbling } from "../../runtime/index.ts";
import type { MarbleTest } from "../../runtime/testing/index.ts";
import { type Event, example } from "./example.ts";

const late = outputTag<Event>("late");

export default example((events) =>
  events
    .keyBy(({ key }) => key)
    .window(tumbling(seconds(10)))
    .allowedLateness(seconds(5))
    .sideOutputLate(late)
    .aggregate("count", count(), (key, { start, end }, n) => [key, start, end, n]),
);

export const how: MarbleTest = { sideOutputs: [late] };
