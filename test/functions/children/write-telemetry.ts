/** Three invocations of a function, as far as they are telemetry. */
import { FunctionTelemetry } from "../../../functions/function-telemetry.ts";
import { fieldsOf } from "../../../functions/handler-error.ts";
import { MillraceError } from "../../../runtime/base/errors.ts";

const telemetry = new FunctionTelemetry({ job: "pageviews", stage: "views", cell: 2 });
telemetry.add("turn.records", 3);
telemetry.add("turn.records", 4);
telemetry.add("turn.commits", 1);
telemetry.add("turn.lateDropped", 0);
telemetry.add("dynamodb.wru", 2, { part: "journal" });
telemetry.add("dynamodb.wru", 5, { part: "pages" });
telemetry.add("kinesis.putUnits", 1, { stream: "a" });
telemetry.add("kinesis.putUnits", 1, { stream: "b" });
telemetry.add("sourceGap", 1, { source: "views", shard: "shard-0" });
telemetry.gauge("turn.watermarkLagMs", 10);
telemetry.gauge("turn.watermarkLagMs", 20);
telemetry.gauge("coordinator.generation", 3);
telemetry.log("warn", "checkpoint abandoned", { checkpoint: 4 });
const thrown = new MillraceError("user", "unexpected token in secret record", { context: { operator: "parse" } });
telemetry.log("error", "the invocation failed", fieldsOf(thrown));
telemetry.flush();
telemetry.flush();
telemetry.add("turn.records", 0);
telemetry.add("turn.commits", 0);
telemetry.flush();
telemetry.add("dynamodb.rru", 3, { part: "journal" });
telemetry.flush();
