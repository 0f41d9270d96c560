import { count, cumulating, seconds } from "../../runtime/index.ts";
import { example } from "./example.ts";

export default example((events) =>
  events
    .keyBy(({ key }) => key)
    .window(cumulating(seconds(5), seconds(15)))
    .aggregate("count", count(), (key, { start, end }, n) => [key, start, end, n]),
);
