import { count, minutes, monotonous, seconds, tumbling } from "../../runtime/index.ts";
import { exampleOfTwo } from "./example.ts";

export default exampleOfTwo(
  (a, b) =>
    a
      .union(b)
      .keyBy(({ key }) => key)
      .window(tumbling(seconds(10)))
      .aggregate("count", count(), (key, { start, end }, n) => [key, start, end, n]),
  { watermarks: monotonous().withIdleness(minutes(1)) },
);
