/** A Kinesis-compatible server over one of our logs. */
export type { Fault, Faults, FaultyCall } from "./faults.ts";
export { type KinesisLimits, kinesisLimits, noLimits } from "./limits.ts";
export { type Kinesis, type KinesisOptions, startKinesis } from "./start-kinesis.ts";
