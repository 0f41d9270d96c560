/** What the kill test tells its children, and what they tell it. */

/** Where a child ends itself. "anywhere": it does not; its parent kills it when its time has come. */
export const places = [
  "anywhere",
  "beforeEffects",
  "amongEffects",
  "beforeSegment",
  "afterSegment",
  "afterAcknowledgement",
  "beforeManifest",
  "afterManifest",
  "afterJobRecord",
] as const;
export type Place = (typeof places)[number];

/** Places that only a checkpoint comes by. */
export const checkpointPlaces: readonly Place[] = [
  "beforeSegment",
  "afterSegment",
  "afterAcknowledgement",
  "beforeManifest",
  "afterManifest",
  "afterJobRecord",
];

export interface ChildOrder {
  /** The file that gets the child's lines. */
  readonly trace: string;
  readonly place: Place;
  /** Not before it has read so often. */
  readonly afterReads: number;
  /** What it reads at once, at most. */
  readonly recordsPerRead: number;
  /** False: what journal entries changed of the state is not laid over it at a start. Only to see the test fail. */
  readonly replay: boolean;
}

/** What it prints when it has read so often, and, where it has not come by its place, so many reads later. */
export const readEnough = "it has read enough";

export type TraceLine =
  /** So many records were read, up to this position. */
  { readonly read: number; readonly records: number } | { readonly died: Place };
