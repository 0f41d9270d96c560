import { count, seconds, sliding } from "../../runtime/index.ts";
import { example } from "./example.ts";

export default example((events) =>
  events
    .keyBy(({ key }) => key)
    .window(sliding(seconds(10), seconds(5)))
    .aggregate("count", count(), (key, { start, end }, n) => [key, start, end, n]),
);
