/** Faults of a simulated deployment as data: how likely each is where it can happen, and how often each did. */
import { MillraceError } from "../../runtime/base/errors.ts";

/** Probabilities, each per occasion. */
export interface DeploymentFaults {
  // Per request to a service.
  /** The environment dies; the request had no effect. */
  readonly crashBefore: number;
  /** The environment dies; the request had its effect. */
  readonly crashAfter: number;
  /** The service asks to slow down, without effect: the SDK repeats the request by itself. */
  readonly throttled: number;
  /** No answer and no effect: the SDK repeats the request. */
  readonly lostRequest: number;
  /** No answer, although the effect took place: the SDK repeats the request. */
  readonly lostResponse: number;
  /** No answer, and the effect takes place long after the request was given up. */
  readonly lateEffect: number;
  /** The environment stands still before the request: it may outlive its time-out, and goes on as a zombie. */
  readonly frozenBefore: number;
  /** The same behind the effect. */
  readonly frozenAfter: number;
  /** The answer takes its time. */
  readonly slow: number;
  /** Of a query: part of it is read before, part after what happens meanwhile. */
  readonly tornRead: number;
  /** Of a read of a table's stream: it comes back empty, although more is there. */
  readonly emptyRead: number;
  /** The same: what it reads by has expired. */
  readonly expiredIterator: number;
  /** Per record of PutRecords, and per message of a batch: refused, while others are taken. */
  readonly partialPut: number;
  /** Per PutRecords: there is no order among its records. */
  readonly reorderedPut: number;
  /** Of a conditional write to S3: another is said to be under way. */
  readonly conflict: number;
  /** Of a write to the outside: it takes place again, long after others. */
  readonly echo: number;
  /** Of a poke that was taken: it is brought twice, or not at all. */
  readonly repeatedPoke: number;
  readonly lostPoke: number;
  // Per record.
  /** Whoever takes it in dies, until it is put aside. */
  readonly poison: number;
  /** It takes so much time to process that the budget is in danger. */
  readonly slowRecord: number;
  // Per batch.
  /** The mapping invokes twice, at once or one after the other. */
  readonly duplicate: number;
  /** The mapping goes back: what was delivered comes again. */
  readonly wentBack: number;
  /** Of a message that was received: it stays visible, and is received by another at once. */
  readonly receivedTwice: number;
  /** A message is received that was received before, for whatever reason. Follows from others. */
  readonly redelivered: number;
  /** A cold environment answers although a warm one is free. */
  readonly coldStart: number;
  /** An environment ends after its invocation. */
  readonly recycled: number;
  // Per minute.
  /** A coordinator is rung beside the one that works. */
  readonly secondCoordinator: number;
}

export type DeploymentFault = keyof DeploymentFaults;
export type DeploymentFaultCounts = Record<DeploymentFault, number>;

/** The one mix in which every fault happens often. */
export const commonDeploymentFaults: DeploymentFaults = {
  crashBefore: 0.003,
  crashAfter: 0.004,
  throttled: 0.006,
  lostRequest: 0.004,
  lostResponse: 0.01,
  lateEffect: 0.003,
  frozenBefore: 0.003,
  frozenAfter: 0.002,
  slow: 0.05,
  tornRead: 0.08,
  emptyRead: 0.2,
  expiredIterator: 0.03,
  partialPut: 0.05,
  reorderedPut: 0.5,
  conflict: 0.2,
  echo: 0.08,
  repeatedPoke: 0.1,
  lostPoke: 0.05,
  poison: 0.004,
  slowRecord: 0.02,
  duplicate: 0.12,
  wentBack: 0.1,
  receivedTwice: 0.1,
  redelivered: 0,
  coldStart: 0.05,
  recycled: 0.05,
  secondCoordinator: 0.5,
};

export const deploymentFaultNames = Object.keys(commonDeploymentFaults) as readonly DeploymentFault[];

export function noDeploymentFaultCounts(): DeploymentFaultCounts {
  return Object.fromEntries(deploymentFaultNames.map((fault) => [fault, 0])) as DeploymentFaultCounts;
}

export const noDeploymentFaults: DeploymentFaults = noDeploymentFaultCounts();

/** The common mix without any faults but those named. Throws `invalid` for a name that there is not. */
export function deploymentMixOf(names: readonly string[]): DeploymentFaults {
  const unknown = names.find((name) => !(deploymentFaultNames as readonly string[]).includes(name));
  if (unknown !== undefined)
    throw new MillraceError("invalid", `there is no such fault: ${unknown}: choose of ${deploymentFaultNames.join(", ")}`);
  const chosen = Object.entries(commonDeploymentFaults).filter(([name]) => names.includes(name));
  return { ...noDeploymentFaults, ...Object.fromEntries(chosen) };
}
