import { evictors, seconds, tumbling } from "../../runtime/index.ts";
import { example } from "./example.ts";

export default example((events) =>
  events
    .keyBy(({ key }) => key)
    .window(tumbling(seconds(10)))
    .evictor(evictors.time(seconds(3)))
    .apply("latest", (key, _window, values) => [[key, values.map(({ n }) => n)]]),
);
