/**
 * Port: pages, one item per writer task, operator and key group (the state table).
 *
 * Consistency needed: strongly consistent reads; each put on its own; a put is refused unless its version is higher than the
 * stored one, so a zombie cannot overwrite.
 */
import type { KeyGroup, OperatorUid, Seq, TaskId } from "../base/ids.ts";

export interface PageId {
  readonly writer: TaskId;
  readonly operator: OperatorUid;
  readonly keyGroup: KeyGroup;
}
export interface StoredPage {
  readonly version: Seq;
  readonly bytes: Uint8Array;
}
export interface Pages {
  /** In the order of `ids`; undefined where there is none. */
  get(ids: readonly PageId[]): Promise<readonly (StoredPage | undefined)[]>;
  put(page: PageId & StoredPage): Promise<"put" | "superseded">;
  /** The pages of a writer, at most 1,000 at once. */
  list(writer: TaskId): Promise<readonly PageId[]>;
  delete(ids: readonly PageId[]): Promise<void>;
}
