/** A finished file that can be read at any place: of this machine, or an object elsewhere. */
import { type FileHandle, open } from "node:fs/promises";
import { fileError } from "./file-errors.ts";

export interface ByteFile {
  /** For messages: where it lies. */
  readonly name: string;
  /** Reads into `into` from `at` on what stands at `offset`; returns how many bytes, 0 behind the end. Throws what says what to do. */
  readInto(into: Buffer, at: number, offset: number): Promise<number>;
  close(): Promise<void>;
}

/** Throws as `fileError`. */
export async function openByteFile(path: string): Promise<ByteFile> {
  let handle: FileHandle;
  try {
    handle = await open(path);
  } catch (error) {
    throw fileError(error, path, "read");
  }
  return {
    name: path,
    readInto: async (into, at, offset) => {
      try {
        return (await handle.read(into, at, into.length - at, offset)).bytesRead;
      } catch (error) {
        throw fileError(error, path, "read");
      }
    },
    close: () => handle.close(),
  };
}
