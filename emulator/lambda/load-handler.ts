/**
 * Finds a function's handler, as Lambda's runtime for Node does: "folder/file.name" under the function's folder.
 *
 * Source: https://docs.aws.amazon.com/lambda/latest/dg/nodejs-handler.html
 */
import { existsSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { pathToFileURL } from "node:url";

export type Handler = (event: unknown, context: object) => unknown;

/** An error whose name is what Lambda reports as its type. */
export class RuntimeError extends Error {
  constructor(name: string, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = name;
  }
}

const extensions = [".mjs", ".js", ".cjs"];

/** Throws `RuntimeError`, or what the module itself throws while it loads. */
export async function loadHandler(folder: string, handler: string): Promise<Handler> {
  const [file, ...path] = basename(handler).split(".");
  if (!file || path.length === 0 || path.includes("")) {
    throw new RuntimeError("Runtime.MalformedHandlerName", `a handler is named file.export: ${handler}`);
  }
  const stem = join(folder, dirname(handler), file);
  const found = extensions.map((extension) => stem + extension).find((name) => existsSync(name));
  if (found === undefined) {
    throw new RuntimeError("Runtime.ImportModuleError", `Cannot find module '${file}' in ${dirname(stem)}`);
  }
  const value = pick(await importModule(found), path);
  if (typeof value !== "function") {
    throw new RuntimeError("Runtime.HandlerNotFound", `${handler} is undefined or not exported, or no function`);
  }
  if (value.length > 2) {
    const advice = "handlers with a callback are of older runtimes: make it async";
    throw new RuntimeError("Runtime.CallbackHandlerDeprecated", `${advice}: ${handler}`);
  }
  return value as Handler;
}

async function importModule(path: string): Promise<unknown> {
  try {
    return await import(pathToFileURL(path).href);
  } catch (error) {
    const { code, message } = error as { code?: unknown; message?: string };
    if (code === "ERR_MODULE_NOT_FOUND" || code === "MODULE_NOT_FOUND") {
      throw new RuntimeError("Runtime.ImportModuleError", `Error: ${message}`, { cause: error });
    }
    if (error instanceof SyntaxError) {
      throw new RuntimeError("Runtime.UserCodeSyntaxError", `SyntaxError: ${message}`, { cause: error });
    }
    throw error;
  }
}

/** CommonJS' exports are not all seen by name: then they are looked for in the default. */
function pick(module: unknown, path: readonly string[]): unknown {
  const at = (from: unknown) =>
    path.reduce<unknown>((value, name) => (value as Record<string, unknown> | undefined)?.[name], from);
  return at(module) ?? at((module as { default?: unknown }).default);
}
