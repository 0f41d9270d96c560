import { calendarDays, count } from "../../runtime/index.ts";
import { example } from "./example.ts";

export default example((events) =>
  events
    .keyBy(({ key }) => key)
    .window(calendarDays({ timeZone: "Europe/Berlin" }))
    .aggregate("count", count(), (key, { start, end }, n) => [key, start, end, n]),
);
