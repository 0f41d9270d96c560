/**
 * Which objects an S3 source reads: listed once, when the job begins, and kept with the job's state, so that a position, which names an object
 * by its number, means the same for ever.
 *
 * O1 Whoever lists first settles it: the listing is written once, and all others read what was written.
 */
import { createHash } from "node:crypto";
import { gunzipSync, gzipSync } from "node:zlib";
import { corrupt } from "../../base/byte-reader.ts";
import { messageOf, MillraceError } from "../../base/errors.ts";
import { type BlobName, id } from "../../base/ids.ts";
import * as is from "../../base/shape.ts";
import { settledPrefix } from "../../connectors/source-reader.ts";
import type { Blobs } from "../../ports/blobs.ts";
import type { S3Bucket } from "./s3-bucket.ts";

export interface ListedObject {
  readonly key: string;
  readonly sizeBytes: number;
  /** Changes with the object's content. */
  readonly etag: string;
  /** Epoch ms. */
  readonly writtenAt: number;
}

export interface ObjectListing {
  readonly objects: readonly ListedObject[];
  /** Of all that it says: another listing has another. */
  readonly hash: string;
}

/** A listing of so many bytes is of millions of objects. */
const listingBytesMax = 1 << 29;

/** As it is stored: JSON, compressed. */
export interface StoredListing {
  readonly version: 1;
  readonly bucket: string;
  readonly prefix: string;
  readonly objects: readonly (readonly [key: string, sizeBytes: number, etag: string, writtenAt: number])[];
}

/** Throws `invalid` where the source reads from elsewhere now than when the job began. */
export async function settleListing(uid: string, prefix: string, bucket: S3Bucket, blobs: Blobs): Promise<ObjectListing> {
  const name = id<BlobName>(`${settledPrefix}${uid}/objects`);
  const settled = await blobs.get(name);
  if (settled !== undefined) return decodeListing(name, settled, bucket.name, prefix);
  const bytes = encodeListing({ version: 1, bucket: bucket.name, prefix, objects: await list(bucket, prefix) });
  const outcome = await blobs.put(name, bytes, { ifAbsent: true });
  return decodeListing(name, outcome === "put" ? bytes : (await blobs.get(name))!, bucket.name, prefix);
}

async function list(bucket: S3Bucket, prefix: string): Promise<StoredListing["objects"]> {
  const objects: StoredListing["objects"][number][] = [];
  for (const { key, sizeBytes, etag, writtenAt } of await bucket.listAll(prefix))
    if (sizeBytes > 0 && !isHidden(key.slice(prefix.length))) objects.push([key, sizeBytes, etag, writtenAt]);
  // S3 lists by the bytes of keys; so does this, whatever lists.
  return objects.sort(([a], [b]) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
}

/** What programs that write files keep beside them: unfinished parts, marks of success. */
function isHidden(name: string): boolean {
  return /(?:^|\/)[._]/.test(name) || name.endsWith("/");
}

/** As it is stored. */
export function encodeListing(listing: StoredListing): Uint8Array {
  return gzipSync(JSON.stringify(listing));
}

const listingShape = is.object({
  version: is.oneOf(1),
  bucket: is.text,
  prefix: is.text,
  objects: is.listOf(is.tuple(is.text, is.count, is.text, is.time)),
});

/** What was settled. Throws `corrupt`, and `invalid` as `settleListing`. */
export function decodeListing(name: string, bytes: Uint8Array, bucket: string, prefix: string): ObjectListing {
  let stored: StoredListing;
  try {
    stored = JSON.parse(gunzipSync(bytes, { maxOutputLength: listingBytesMax }).toString()) as StoredListing;
  } catch (error) {
    throw corrupt(`the listing of an S3 source cannot be read: ${name}, ${messageOf(error)}`);
  }
  is.checkShape("the listing of an S3 source", stored, listingShape);
  if (stored.bucket !== bucket || stored.prefix !== prefix) {
    const advice = "an S3 source goes on with the objects it began with: give it another uid to read others";
    throw new MillraceError("invalid", `${advice}: it began with ${stored.bucket}/${stored.prefix}, not ${bucket}/${prefix}`);
  }
  const hash = createHash("sha256").update(JSON.stringify(stored.objects)).digest("hex").slice(0, 8);
  const objects = stored.objects.map(([key, sizeBytes, etag, writtenAt]) => ({ key, sizeBytes, etag, writtenAt }));
  return { objects, hash };
}
