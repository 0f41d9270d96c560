/** What a job author imports in tests (`millrace/testing`): a job on memory ports with the clock in hand. */
export { harness, type HarnessOptions, type JobHarness } from "./harness.ts";
export type { HarnessSnapshot } from "./harness-snapshot.ts";
export type { Pushed, PushedRecord, PushedWatermark } from "./harness-source.ts";
export type { WrittenRow } from "./harness-sink.ts";
export { type OperatorTest, type OutputOrder, verifyOperator } from "./verify-operator.ts";
export type { OperatorStep } from "./operator-steps.ts";
export type { DeadLetter } from "../ports/sink-driver.ts";
export { type GivenBySink, type MarbleOptions, type Marbles, marbles } from "./marbles.ts";
export { printMarbles } from "./print-marbles.ts";
export { type MarbleTest, verifyMarbles } from "./verify-marbles.ts";
export {
  type EventOf,
  type JobSimulationOptions,
  type Replay,
  simulate,
  type SimulatedJob,
  type SimulatedLetter,
  type SimulatedRun,
  SimulationError,
  type SimulationReport,
} from "./simulate.ts";
