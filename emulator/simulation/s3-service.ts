/** S3 in memory, as far as the adapters use it. */
import { createHash } from "node:crypto";
import type { Clock } from "../clock.ts";
import { type Input, ServiceError, type SimulatedService } from "./sdk-clients.ts";
import type { ServiceCalls } from "./service-calls.ts";

interface StoredObject {
  readonly bytes: Uint8Array;
  readonly writtenAt: Date;
  readonly metadata: Input;
}

export class S3Service implements SimulatedService {
  readonly ms = 40;
  readonly throttling = "SlowDown";
  readonly #clock: Clock;
  readonly #calls: ServiceCalls;
  readonly #objects = new Map<string, StoredObject>();

  constructor(clock: Clock, calls: ServiceCalls) {
    this.#clock = clock;
    this.#calls = calls;
  }

  /** What lies there, past all faults. */
  peek(bucket: string, key: string): Uint8Array | undefined {
    return this.#objects.get(`${bucket}/${key}`)?.bytes;
  }

  /** Puts an object there, past all faults. */
  place(bucket: string, key: string, bytes: Uint8Array): void {
    this.#objects.set(`${bucket}/${key}`, { bytes, writtenAt: new Date(this.#clock.now()), metadata: {} });
  }

  keys(bucket: string): string[] {
    const prefix = `${bucket}/`;
    return [...this.#objects.keys()].filter((name) => name.startsWith(prefix)).map((name) => name.slice(prefix.length));
  }

  describe(command: string, input: Input): string {
    const keys = input.Key ?? input.Prefix ?? input.Delete?.Objects.map(({ Key }: Input) => Key).join(" ") ?? "";
    return `${command} ${keys}`;
  }

  async carryOut(command: string, input: Input): Promise<object> {
    switch (command) {
      case "PutObject":
        return this.#put(input);
      case "GetObject":
        return this.#get(input);
      case "HeadObject": {
        const { bytes, metadata } = this.#object(input);
        return { ContentLength: bytes.length, Metadata: metadata };
      }
      case "ListObjectsV2":
        return this.#list(input);
      case "CopyObject": {
        const source = this.#objects.get(decodeURIComponent(input.CopySource));
        if (source === undefined) throw new ServiceError("NoSuchKey");
        this.#objects.set(`${input.Bucket}/${input.Key}`, { ...source, writtenAt: new Date(this.#clock.now()) });
        return {};
      }
      case "DeleteObjects":
        this.#calls.saw("objectsCollected", input.Delete.Objects.length);
        for (const { Key } of input.Delete.Objects) this.#objects.delete(`${input.Bucket}/${Key}`);
        return {};
      // Begun and given up, as a proof that it may be.
      case "CreateMultipartUpload":
        return { UploadId: "upload" };
      case "AbortMultipartUpload":
      case "HeadBucket":
        return {};
      default:
        throw new Error(`S3 is not simulated so far: ${command}`);
    }
  }

  #put({ Bucket, Key, Body, IfNoneMatch, Metadata = {} }: Input): object {
    const name = `${Bucket}/${Key}`;
    if (IfNoneMatch !== undefined && this.#calls.happens("conflict")) throw new ServiceError("ConditionalRequestConflict");
    if (IfNoneMatch !== undefined && this.#objects.has(name)) throw new ServiceError("PreconditionFailed");
    this.#objects.set(name, { bytes: Body.slice(), writtenAt: new Date(this.#clock.now()), metadata: Metadata });
    return {};
  }

  #get(input: Input): object {
    const { bytes } = this.#object(input);
    const [, from, to] = /^bytes=(\d*)-(\d*)$/.exec(input.Range ?? "bytes=0-")!;
    if (from !== "" && Number(from) >= bytes.length && input.Range !== undefined) throw new ServiceError("InvalidRange");
    const ETag = etagOf(bytes);
    if (input.IfMatch !== undefined && input.IfMatch !== ETag) throw new ServiceError("PreconditionFailed");
    const part =
      from === ""
        ? bytes.slice(Math.max(0, bytes.length - Number(to)))
        : bytes.slice(Number(from), to === "" ? bytes.length : Number(to) + 1);
    return { ETag, Body: { transformToByteArray: async () => part } };
  }

  #list({ Bucket, Prefix, StartAfter = "", MaxKeys = 1_000 }: Input): object {
    const keys = this.keys(Bucket).filter((key) => key.startsWith(Prefix) && key > StartAfter);
    keys.sort();
    const Contents = keys.slice(0, MaxKeys).map((Key) => {
      const { bytes, writtenAt } = this.#objects.get(`${Bucket}/${Key}`)!;
      return { Key, Size: bytes.length, LastModified: writtenAt, ETag: etagOf(bytes) };
    });
    return { Contents, IsTruncated: keys.length > MaxKeys };
  }

  #object({ Bucket, Key }: Input): StoredObject {
    const object = this.#objects.get(`${Bucket}/${Key}`);
    if (object === undefined) throw new ServiceError("NoSuchKey");
    return object;
  }
}

function etagOf(bytes: Uint8Array): string {
  return `"${createHash("md5").update(bytes).digest("hex")}"`;
}
