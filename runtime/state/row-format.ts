/**
 * How rows are written: the operations, and what stands in the byte that opens each.
 *
 * A delta is a list of operations on one row; a page holds whole rows. Both name states by index into the schema beside them. Rows
 * that are written one after the other are a run: a window is told by how it differs from the window before it in its run.
 *
 * B1 Operations of a row are written deletes first, so a state that was cleared and set again ends up set.
 * B2 Whatever the bytes, reading ends with rows or `corrupt`.
 * B3 Every operation on a cell that stays says whether the timer at its window's end is set.
 * B4 The last operation of a row says so, and there is no row without operations.
 */
export const op = {
  put: 1,
  delete: 2,
  append: 3,
  putEntry: 4,
  deleteEntry: 5,
  setEvent: 6,
  setProcessing: 7,
  cancelEvent: 8,
  cancelProcessing: 9,
  replace: 10,
  putMap: 11,
  /** Nothing but what the flags say. */
  keep: 12,
  /** All slices of a state. */
  putSlices: 13,
  /** Those of its slices that have changed; others may have gone. */
  changeSlices: 14,
} as const;

export const opMask = 0x0f;

/** Added to the operation: how its cell stands afterwards, and how to read on. */
export const flag = {
  endTimer: 0x10,
  /** Another namespace follows: the one under which the cell is stored until now. */
  renamed: 0x20,
  /** The namespace is the one before it in the run, and not written again. */
  sameNamespace: 0x40,
  /** Nothing more of this row (B4). */
  last: 0x80,
} as const;

/**
 * The forms of a namespace: none; whole numbers, the start told by its distance to the start before it; an edge that is none; the
 * window for all time.
 */
export const namespaceForm = { none: 0, near: 1, infinite: 2, global: 3 } as const;

/**
 * How a state's slices are written: a number for each begins with what stands here, how many there are, and, where some have gone, the
 * time before which they began. Times are told by their distance to the one before, the first to the window's start; or as they are.
 */
export const sliceForm = { near: 0, gone: 1, far: 2 } as const;

/** The forms of a timer's time: just before its window ends (most are); a whole number; any other. */
export const timeForm = { windowEnd: 0, whole: 1, any: 2 } as const;
