/** Reads records whose schemas are in Glue's registry. */
import { glueRegistry } from "../../../runtime/adapters/aws/glue.ts";
import { avro } from "../../../runtime/connectors/formats/avro.ts";
import { consoleSink, defineJob, kinesis } from "../../../runtime/index.ts";

export default defineJob(
  "glue-source",
  (job) => {
    job
      .source("clicks", kinesis({ stream: "clicks", format: avro({ registry: glueRegistry() }) }))
      .rebalance()
      .filter("all", () => true)
      .with({ parallelism: 2 })
      .sinkTo("shown", consoleSink());
  },
  { parallelism: 2 },
);
