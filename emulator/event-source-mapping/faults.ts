/** What AWS leaves open and a function must bear: at least once is all that is promised. Each is off by default. */
export interface DeliveryFaults {
  /** That a batch is invoked twice, at once or right after, whatever comes of the second. */
  readonly duplicateChance?: number;
  /** That after a batch the mapping goes back: the last records of its lane come again, in other batches. */
  readonly goBackChance?: number;
  /** How many records it goes back at most; default 10. */
  readonly goBackRecordsMax?: number;
  /** Whether neighbours of one batch that are discarded for one reason share an invocation record, as they may; default false. */
  readonly joinsDiscards?: boolean;
}
