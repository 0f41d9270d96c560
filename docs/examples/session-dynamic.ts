import { count, seconds, session } from "../../runtime/index.ts";
import { type Event, example } from "./example.ts";

export default example((events) =>
  events
    .keyBy(({ key }) => key)
    .window(session(({ n = 5 }: Event) => seconds(n)))
    .aggregate("count", count(), (key, { start, end }, n) => [key, start, end, n]),
);
