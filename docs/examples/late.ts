import { boundedOutOfOrderness, count, seconds, tumbling } from "../../runtime/index.ts";
import type { MarbleTest } from "../../runtime/testing/index.ts";
import { example } from "./example.ts";

export default example(
  (events) =>
    events
      .keyBy(({ key }) => key)
      .window(tumbling(seconds(10)))
      .aggregate("count", count(), (key, { start, end }, n) => [key, start, end, n]),
  { watermarks: boundedOutOfOrderness(seconds(1)) },
);

export const how: MarbleTest = { order: "anyBetweenWatermarks" };
