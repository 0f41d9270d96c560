/** Which program runs a handler in a process: our own small one, or AWS's where it is installed. */
import { existsSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, extname, join } from "node:path";

/** "own": bootstrap.ts. Else the path of the program of AWS's aws-lambda-ric. */
export type RuntimeClient = "own" | { readonly ric: string };

/** Arguments of Node that start it. */
export function argumentsOf(client: RuntimeClient, handler: string): readonly string[] {
  if (client !== "own") return [client.ric, handler];
  return [join(import.meta.dirname, `bootstrap${extname(import.meta.filename)}`)];
}

/**
 * AWS's runtime interface client, the package aws-lambda-ric: looked for among the packages of this project and in the folder that
 * MILLRACE_LAMBDA_RIC names. Undefined when it is not there; it is never needed.
 */
export function findReferenceRuntime(): RuntimeClient | undefined {
  const given = process.env.MILLRACE_LAMBDA_RIC;
  const folders = given !== undefined && given !== "" ? [given] : lookUp("aws-lambda-ric");
  const folder = folders.find((path) => existsSync(join(path, "package.json")));
  if (folder === undefined) return undefined;
  const { bin } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8")) as { bin?: string | Record<string, string> };
  const program = typeof bin === "string" ? bin : Object.values(bin ?? {})[0];
  return program === undefined ? undefined : { ric: join(folder, program) };
}

function lookUp(name: string): string[] {
  const folders = createRequire(import.meta.url).resolve.paths(join(name, "x")) ?? [];
  return folders.map((modules) => join(modules, name)).filter((path) => dirname(path) !== path);
}
