/** Limits that the embedded adapters share with the parts they stand for, and the checks that hold callers to them. */
import { MillraceError } from "../base/errors.ts";
import type { KeyedRecordToAppend } from "./log-provisioning.ts";

/** Slots of a task's ring of commits. */
export const defaultRingSize = 128;
/** Kinesis' limit for one record. */
export const defaultMaxRecordBytes = 1024 * 1024;
/** Objects of one page of a listing, as S3 gives them. */
export const blobsPerListing = 1000;

/** Throws `invalid` when one of the records is above the limit. */
export function checkRecordSizes(stream: string, records: readonly KeyedRecordToAppend[], maxRecordBytes: number): void {
  const tooLarge = records.find((record) => record.bytes.length > maxRecordBytes);
  if (tooLarge !== undefined) {
    throw new MillraceError(
      "invalid",
      `record above the limit of ${maxRecordBytes} bytes: ${stream}, ${tooLarge.bytes.length} bytes`,
    );
  }
}
