/**
 * A job where it is: on this machine, in an emulated cloud or on AWS. What commands look at and act on, and nothing that depends on which.
 *
 * G1 Looking changes nothing. What acts does so by an order, which the job record takes once, or by writing objects that nothing refers to yet.
 */
import type { Ports } from "../../runtime/ports/ports.ts";
import type { Order } from "../../runtime/snapshots/decide-order.ts";
import type { JobRecord } from "../../runtime/snapshots/job-record.ts";

/** What is stored of a job. */
export type JobPorts = Pick<Ports, "journal" | "pages" | "blobs" | "clock">;

/** Where dead letters lie. */
export interface LetterStore {
  /** For messages. */
  readonly place: string;
  /** Names of the objects, in their order. */
  list(): Promise<readonly string[]>;
  read(name: string): Promise<string>;
}

export interface Target {
  readonly kind: "local" | "aws";
  readonly job: string;
  /** In words. */
  readonly place: string;
  /** How the target is named on a command line, to be put behind a command that is suggested. */
  readonly words: string;
  readonly ports: JobPorts;
  /** Who runs the job; undefined: nobody does, so an order waits for the next who does. */
  runner(): Promise<string | undefined>;
  /**
   * Gives the order and returns when it is taken; what it asks for follows. Until `ended` somebody is kept at it, where one who follows it may
   * die. Throws `invalid` where it is refused.
   */
  order(order: Order, ended: AbortSignal): Promise<JobRecord>;
  readonly letters: LetterStore;
  close(): Promise<void>;
}
