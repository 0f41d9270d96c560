import { globalWindow, triggers } from "../../runtime/index.ts";
import { example } from "./example.ts";

export default example((events) =>
  events
    .keyBy(({ key }) => key)
    .window(globalWindow())
    .trigger(triggers.count(2))
    .apply("all", (key, _window, values) => [[key, values.map(({ n }) => n)]]),
);
