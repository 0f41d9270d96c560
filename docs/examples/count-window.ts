import { countWindow } from "../../runtime/index.ts";
import { example } from "./example.ts";

export default example((events) =>
  events
    .keyBy(({ key }) => key)
    .window(countWindow(3))
    .apply("three", (key, _window, values) => [[key, values.map(({ n }) => n)]]),
);
