/** A job that asks for a parameter. */
import { consoleSink, defineJob, generator } from "../../../runtime/index.ts";

export default defineJob("with-parameter", (job) => {
  const greeting = job.param("greeting", "hello");
  job
    .source("numbers", generator({ seed: 1, count: 3, next: (index) => index }))
    .map("greeted", (n) => `${greeting} ${n}`)
    .sinkTo("shown", consoleSink());
});
