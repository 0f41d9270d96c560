import { calendarWeeks, count } from "../../runtime/index.ts";
import { example } from "./example.ts";

export default example((events) =>
  events
    .keyBy(({ key }) => key)
    .window(calendarWeeks({ timeZone: "America/New_York", startsOn: "sunday" }))
    .aggregate("count", count(), (key, { start, end }, n) => [key, start, end, n]),
);
