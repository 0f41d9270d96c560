/** The imports of the code as data, read by dependency-cruiser. */
import { existsSync } from "node:fs";
import { cruise, type ICruiseResult, type IDependency } from "dependency-cruiser";

export interface Import {
  readonly from: string;
  /** A file's path, a module of Node without "node:", or a package's name. */
  readonly to: string;
  readonly kind: "file" | "builtin" | "package" | "unresolved";
  /** Gone when the code runs. */
  readonly typeOnly: boolean;
}

/** Every import in these folders, those that exist; paths are from the root of the repository. */
export async function readImports(folders: readonly string[]): Promise<readonly Import[]> {
  const present = folders.filter((folder) => existsSync(folder));
  const { output } = await cruise(present, { tsPreCompilationDeps: true, doNotFollow: { path: "node_modules" } });
  const { modules } = output as ICruiseResult;
  return modules
    .filter(({ source }) => present.some((folder) => source === folder || source.startsWith(`${folder}/`)))
    .flatMap(({ source, dependencies }) => dependencies.map((dependency) => importOf(source, dependency)));
}

function importOf(from: string, { module, resolved, coreModule, couldNotResolve, dependencyTypes }: IDependency): Import {
  const typeOnly = dependencyTypes.includes("type-only");
  if (coreModule) return { from, to: module.replace(/^node:/, ""), kind: "builtin", typeOnly };
  // The package itself, as apps of authors have it: found once it is built.
  if (packageOf(module) === "millrace") return { from, to: "millrace", kind: "package", typeOnly };
  if (couldNotResolve) return { from, to: module, kind: "unresolved", typeOnly };
  if (!module.startsWith(".")) return { from, to: packageOf(module), kind: "package", typeOnly };
  return { from, to: resolved, kind: "file", typeOnly };
}

/** "@scope/name/deep" is of the package "@scope/name". */
function packageOf(module: string): string {
  return module
    .split("/")
    .slice(0, module.startsWith("@") ? 2 : 1)
    .join("/");
}
