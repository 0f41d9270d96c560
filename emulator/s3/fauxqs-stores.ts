/**
 * The stores of fauxqs, which its package does not export: a store of our own can be handed to it only among all three. Held by the
 * exact version in package.json.
 */
import type { BuildAppOptions } from "fauxqs";

export type Stores = NonNullable<BuildAppOptions["stores"]>;
export type ObjectStore = Stores["s3Store"];
type Listing = Parameters<ObjectStore["listObjects"]>[1];

/** What is looked at of a request. */
export interface S3Request {
  readonly method: string;
  readonly headers: Record<string, string | string[] | undefined> & { range?: string | undefined };
  readonly params: unknown;
}

async function load<T, A extends unknown[] = []>(path: string, name: string): Promise<new (...args: A) => T> {
  const module = (await import(new URL(path, import.meta.resolve("fauxqs")).href)) as Record<string, new (...args: A) => T>;
  return module[name]!;
}

/** What keeps buckets and objects in a folder, in an embedded database: keys of any form, each write whole. */
interface Persistence {
  loadS3(store: ObjectStore): void;
  close(): void;
}

/** Has the store keep what it holds in a folder, beginning with what is there. Returns how that ends. */
export async function keepIn(directory: string, store: ObjectStore): Promise<() => void> {
  const PersistenceManager = await load<Persistence, [string]>("./persistence.js", "PersistenceManager");
  const persistence = new PersistenceManager(directory);
  persistence.loadS3(store);
  Object.assign(store, { persistence });
  return () => persistence.close();
}

/** Fresh and empty stores, the one of objects with listings in S3's order. */
export async function newStores(): Promise<Stores> {
  const [S3Store, SqsStore, SnsStore] = await Promise.all([
    load<ObjectStore>("./s3/s3Store.js", "S3Store"),
    load<Stores["sqsStore"]>("./sqs/sqsStore.js", "SqsStore"),
    load<Stores["snsStore"]>("./sns/snsStore.js", "SnsStore"),
  ]);
  const s3Store = new S3Store();
  const objectsOf = s3Store.listObjects.bind(s3Store);
  s3Store.listObjects = (bucket, options) =>
    inOrder(objectsOf(bucket, { maxKeys: Infinity, ...prefixOf(options) }).objects, options);
  return { s3Store, sqsStore: new SqsStore(), snsStore: new SnsStore() };
}

/** Undefined when there is no such object, or no such bucket. */
export function findObject(
  store: ObjectStore,
  bucket: string,
  key: string,
): { readonly etag: string; readonly contentLength: number } | undefined {
  try {
    return store.headObject(bucket, key);
  } catch {
    return undefined;
  }
}

function prefixOf(options: Listing): { prefix?: string } {
  return options?.prefix === undefined ? {} : { prefix: options.prefix };
}

/** A page of a listing in order of UTF-8 bytes; fauxqs has the order of a language, in which a page is not continued where it ended. */
function inOrder(
  found: ReturnType<ObjectStore["listObjects"]>["objects"],
  options: Listing,
): ReturnType<ObjectStore["listObjects"]> {
  const { prefix = "", delimiter = "", maxKeys = 1000 } = options ?? {};
  const after = options?.startAfter || options?.marker || "";
  const entries = new Map<string, (typeof found)[number] | undefined>();
  for (const object of found.toSorted((a, b) => compareUtf8(a.key, b.key))) {
    const end = delimiter === "" ? -1 : object.key.indexOf(delimiter, prefix.length);
    const name = end === -1 ? object.key : object.key.slice(0, end + delimiter.length);
    if (after === "" || compareUtf8(name, after) > 0) entries.set(name, end === -1 ? object : undefined);
  }
  const page = [...entries].slice(0, maxKeys);
  return {
    objects: page.flatMap(([, object]) => object ?? []),
    commonPrefixes: page.filter(([, object]) => object === undefined).map(([name]) => name),
    isTruncated: entries.size > page.length,
  };
}

function compareUtf8(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}
