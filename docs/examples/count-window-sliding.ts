import { countWindow } from "../../runtime/index.ts";
import { example } from "./example.ts";

export default example((events) =>
  events
    .keyBy(({ key }) => key)
    .window(countWindow(4, 2))
    .apply("last-four", (key, _window, values) => [[key, values.map(({ n }) => n)]]),
);
