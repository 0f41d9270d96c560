/** Millrace as infrastructure: `millrace/cdk`. */
export { deploymentContext } from "./deployment-ordinal.ts";
export type { EventSelection } from "./job-events.ts";
export { jobTag } from "./job-tag.ts";
export { justifiedSuppressions } from "./justified-suppressions.ts";
export type { KafkaTopic, MskTopic, SelfManagedTopic } from "./kafka-topic.ts";
export { type PlanRecord, recordPlansContext } from "./plan-record.ts";
export { StreamJob } from "./stream-job.ts";
export type { StreamJobProps } from "./stream-job-props.ts";
