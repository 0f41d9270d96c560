import { count, seconds, session } from "../../runtime/index.ts";
import { example } from "./example.ts";

export default example((events) =>
  events
    .keyBy(({ key }) => key)
    .window(session(seconds(5)))
    .aggregate("count", count(), (key, { start, end }, n) => [key, start, end, n]),
);
