/**
 * Bundles a function as it is deployed: one file of an entry and all that it imports, by esbuild. The emulator and the deployment
 * bundle by this alone, so that what is emulated is what is deployed.
 *
 * U1 The same sources give the same bytes and the same hash, on every machine and in every folder.
 */
import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, join, resolve } from "node:path";
import type { BuildOptions, Metafile, OutputFile } from "esbuild";
import { MillraceError } from "../runtime/base/errors.ts";
import { optionalClients, neededClients } from "./optional-clients.ts";

/** Where a bundle begins: a module, or the text of one and the folder that its imports are relative to. */
export type BundleEntry = string | { readonly contents: string; readonly directory: string };

export interface BundleOptions {
  readonly entry: BundleEntry;
  /** Names that modules import, and the modules that they stand for: how a handler gets the author's job. */
  readonly alias?: Readonly<Record<string, string>>;
  /** Packages that are there at run time. */
  readonly external?: readonly string[];
  /** Where stacks show the sources to be: a folder of this machine, for what is not deployed. Default: relative to the bundle. */
  readonly sourceRoot?: string;
}

export interface Bundle {
  /** `index.mjs`, and its source map. */
  readonly files: ReadonlyMap<string, Uint8Array>;
  /** Of the code, not of the map: hexadecimal. */
  readonly hash: string;
  /** Bytes of the code. */
  readonly bytes: number;
}

/** See there. */
const http = join(import.meta.dirname, "builtins", "http.cjs");

/** What CommonJS packages ask for inside an ECMAScript module. */
const banner = `import{createRequire as $millraceRequire}from"node:module";const require=$millraceRequire(import.meta.url);`;

/** Throws `invalid` when the entry is not there or does not compile; says where. */
export async function bundleFunction(options: BundleOptions): Promise<Bundle> {
  const { build } = loadBundler();
  const lean = await build(buildOptions(options)).catch(refuse);
  const withheld = withheldFrom(lean);
  return bundleOf(withheld === optionalClients ? lean : await build(buildOptions(options, withheld)).catch(refuse));
}

/** The same, at once: constructs are made without waiting. */
export function bundleFunctionSync(options: BundleOptions): Bundle {
  const { buildSync } = loadBundler();
  const settings = buildOptions(options);
  try {
    const lean = buildSync(settings);
    const withheld = withheldFrom(lean);
    return bundleOf(withheld === optionalClients ? lean : buildSync(buildOptions(options, withheld)));
  } catch (error) {
    return refuse(error);
  }
}

/** `withheld`: clients that are left out. */
function buildOptions({ entry, alias = {}, external = [], sourceRoot }: BundleOptions, withheld = optionalClients) {
  if (typeof entry === "string" && !existsSync(entry)) {
    throw new MillraceError("invalid", `the function's entry is not there: ${entry}`);
  }
  const directory = directoryOf(entry);
  return {
    ...(typeof entry === "string"
      ? { entryPoints: [resolve(entry)] }
      : { stdin: { contents: entry.contents, resolveDir: directory, sourcefile: "entry.ts", loader: "ts" as const } }),
    absWorkingDir: directory,
    outfile: join(directory, "index.mjs"),
    write: false,
    bundle: true,
    minify: true,
    sourcemap: "linked",
    sourcesContent: false,
    // What reads a map puts the two together as they are.
    ...(sourceRoot === undefined ? {} : { sourceRoot: sourceRoot.replace(/\/*$/, "/") }),
    platform: "node",
    target: "node22",
    format: "esm",
    mainFields: ["module", "main"],
    banner: { js: banner },
    legalComments: "none",
    charset: "utf8",
    logLevel: "silent",
    alias: {
      "node:http": http,
      http,
      ...Object.fromEntries(Object.entries(alias).map(([name, path]) => [name, resolve(path)])),
    },
    external: [...external, ...withheld],
    metafile: true,
  } satisfies BuildOptions;
}

/** The optional clients that nothing in a bundle without any of them asks for; the list itself where nothing asks for any. */
function withheldFrom({ metafile }: { readonly metafile: Metafile }): readonly string[] {
  const needed = neededClients(metafile);
  return needed.length === 0 ? optionalClients : optionalClients.filter((client) => !needed.includes(client));
}

function bundleOf({ outputFiles }: { readonly outputFiles: readonly OutputFile[] }): Bundle {
  const code = outputFiles.find(({ path }) => path.endsWith(".mjs"))!.contents;
  const map = outputFiles.find(({ path }) => path.endsWith(".map"))!.contents;
  return {
    files: new Map([
      ["index.mjs", code],
      ["index.mjs.map", map],
    ]),
    hash: createHash("sha256").update(code).digest("hex"),
    bytes: code.byteLength,
  };
}

function refuse(error: unknown): never {
  throw new MillraceError("invalid", `the function cannot be bundled: ${firstError(error)}`, { cause: error });
}

/** The folder that an entry's imports are relative to. */
export function directoryOf(entry: BundleEntry): string {
  return typeof entry === "string" ? dirname(resolve(entry)) : resolve(entry.directory);
}

/** Writes it to a folder named by its hash, unless it is there. Returns the folder. */
export async function writeBundle(bundle: Bundle, parent: string): Promise<string> {
  const directory = join(parent, bundle.hash.slice(0, 16));
  await mkdir(directory, { recursive: true });
  for (const [name, contents] of bundle.files) await writeFile(join(directory, name), contents);
  return directory;
}

function loadBundler(): typeof import("esbuild") {
  try {
    return createRequire(import.meta.url)("esbuild") as typeof import("esbuild");
  } catch (error) {
    throw new MillraceError("invalid", "functions are bundled by esbuild, which is not installed: npm install esbuild", {
      cause: error,
    });
  }
}

function firstError(error: unknown): string {
  const [first] = (error as { errors?: { text: string; location?: { file: string; line: number } | null }[] }).errors ?? [];
  if (first === undefined) return String(error);
  const { text, location } = first;
  return location ? `${text}: ${location.file}:${location.line}` : text;
}
