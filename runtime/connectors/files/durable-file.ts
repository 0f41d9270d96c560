/** Files that are there whole or not at all, also after a power failure. */
import { mkdir, open, readFile, rename, rm } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { errorCode, fileError } from "./file-errors.ts";
import { openPartName } from "./part-name.ts";

/**
 * Writes a file under another name, and gives it its own when it is complete. Two who write the same at once do not disturb
 * each other: both write the same bytes to the same places. Throws as `fileError`.
 */
export async function writeWhole(path: string, bytes: Uint8Array): Promise<void> {
  const part = join(dirname(path), openPartName(basename(path)));
  try {
    await mkdir(dirname(path), { recursive: true });
    await writeAt(part, 0, bytes, { length: bytes.length, durable: true });
    await rename(part, path);
    await syncDirectory(dirname(path));
  } catch (error) {
    // Another has written the same, and given the part its name.
    if (errorCode(error) === "ENOENT" && (await exists(path))) return;
    throw fileError(error, path, "write");
  }
}

/** Writes bytes into a file at an offset, making the file if need be; what lies beyond `length` is cut off. */
export async function writeAt(
  path: string,
  offset: number,
  bytes: Uint8Array,
  options: { readonly length?: number; readonly durable: boolean },
): Promise<void> {
  const file = await openToChange(path);
  try {
    let written = 0;
    while (written < bytes.length) {
      const { bytesWritten } = await file.write(bytes, written, bytes.length - written, offset + written);
      written += bytesWritten;
    }
    if (options.length !== undefined) await file.truncate(options.length);
    if (options.durable) await file.datasync();
  } finally {
    await file.close();
  }
}

async function openToChange(path: string) {
  try {
    return await open(path, "r+");
  } catch (error) {
    if (errorCode(error) !== "ENOENT") throw error;
  }
  // "a" makes the file without emptying one that another has just made.
  await (await open(path, "a")).close();
  return open(path, "r+");
}

/** Makes the names in a directory durable. */
export async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, "r");
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}

export async function exists(path: string): Promise<boolean> {
  try {
    await (await open(path, "r")).close();
    return true;
  } catch (error) {
    if (errorCode(error) === "ENOENT") return false;
    throw error;
  }
}

/** Undefined when there is no such file. */
export async function readIfThere(path: string): Promise<Buffer | undefined> {
  try {
    return await readFile(path);
  } catch (error) {
    if (errorCode(error) === "ENOENT") return undefined;
    throw error;
  }
}

/** Removes a file if it is there. */
export async function remove(path: string): Promise<void> {
  await rm(path, { force: true });
}
