/** Files that are there whole or not at all, also after a power failure. */
import { constants } from "node:fs";
import { link, mkdir, open, readFile, rename, rm, stat } from "node:fs/promises";
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
    await makeDirectory(dirname(path));
    await writeAt(part, 0, bytes, { length: bytes.length, durable: true });
    await rename(part, path);
    await syncDirectory(dirname(path));
  } catch (error) {
    // Another has written the same, and given the part its name.
    if (errorCode(error) === "ENOENT" && (await exists(path))) return;
    throw fileError(error, path, "write");
  }
}

/**
 * Makes a directory and those above it that are not there; one that is there stays. Step by step: Node's own recursion never ends where a
 * file system takes no new names (`/proc`) and says that the parent, which is there, is not.
 */
export async function makeDirectory(path: string): Promise<void> {
  try {
    await mkdir(path);
  } catch (error) {
    if (errorCode(error) === "EEXIST" && (await stat(path)).isDirectory()) return;
    if (errorCode(error) !== "ENOENT" || dirname(path) === path || (await exists(dirname(path)))) throw error;
    await makeDirectory(dirname(path));
    await makeDirectory(path);
  }
}

/** Writes bytes into a file at an offset, making the file if need be; what lies beyond `length` is cut off. */
export async function writeAt(
  path: string,
  offset: number,
  bytes: Uint8Array,
  options: { readonly length?: number; readonly durable: boolean },
): Promise<void> {
  // Made if need be, but never emptied: another may be writing the same.
  const file = await open(path, constants.O_RDWR | constants.O_CREAT);
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
  return (await sizeOf(path)) !== undefined;
}

/** In bytes; undefined when there is no such file. */
export async function sizeOf(path: string): Promise<number | undefined> {
  try {
    return (await stat(path)).size;
  } catch (error) {
    if (errorCode(error) === "ENOENT") return undefined;
    throw error;
  }
}

/**
 * Gives a finished part its name; a file that has the name already stays as it is, and so does the part. A second name is made,
 * which unlike a renaming never replaces a file; where the file system has no second names, it is renamed.
 */
export async function giveName(part: string, path: string): Promise<void> {
  try {
    await link(part, path);
  } catch (error) {
    const code = errorCode(error) ?? "";
    if (code === "EEXIST" || (code === "ENOENT" && (await exists(path)))) return;
    if (!["EPERM", "ENOTSUP", "EOPNOTSUPP", "ENOSYS", "EMLINK"].includes(code) || (await exists(path))) throw error;
    await rename(part, path);
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
