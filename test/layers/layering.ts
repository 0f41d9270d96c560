/** Holds imports to layers. Pure: what it finds is returned as text, one line for each. */
import type { Import } from "./imports.ts";
import type { Layer } from "./layers.ts";

/** The layer that a file belongs to: the one with the longest matching path. */
export function layerOf(file: string, layers: readonly Layer[]): Layer | undefined {
  const matching = layers.filter(({ path }) => file === path || file.startsWith(`${path}/`));
  return matching.toSorted((a, b) => b.path.length - a.path.length)[0];
}

/** Imports that their layer does not allow, and files that belong to none. */
export function forbiddenImports(imports: readonly Import[], layers: readonly Layer[]): readonly string[] {
  return imports.filter((found) => !isAllowed(found, layers)).map(({ from, to }) => `${from} imports ${to}`);
}

function isAllowed({ from, to, kind }: Import, layers: readonly Layer[]): boolean {
  const layer = layerOf(from, layers);
  if (!layer) return false;
  switch (kind) {
    case "file": {
      const target = layerOf(to, layers);
      return target !== undefined && (target === layer || layer.imports.includes(target.path));
    }
    case "builtin":
      return layer.builtins === "any" || layer.builtins.includes(to);
    case "package":
      return layer.packages.some((name) => (name.endsWith("/") ? to.startsWith(name) : to === name));
    case "unresolved":
      return false;
  }
}

/** What is loaded, in the end, by whoever loads `entry`: files and modules of Node, types apart. */
export function loadedBy(entry: string, imports: readonly Import[]): readonly Import[] {
  const loading = imports.filter(({ typeOnly }) => !typeOnly);
  const files = reachableFrom(entry, edgesOf(loading));
  return loading.filter(({ from }) => files.has(from));
}

/** Imports as edges. */
export function edgesOf(imports: readonly Import[]): readonly Edge[] {
  return imports.map(({ from, to }) => [from, to]);
}

type Edge = readonly [from: string, to: string];

/** A cycle among `edges` as the nodes along it, the first also last; undefined when there is none. */
export function findCycle(edges: readonly Edge[]): readonly string[] | undefined {
  const next = successors(edges);
  const done = new Set<string>();
  const walk = (node: string, path: readonly string[]): readonly string[] | undefined => {
    if (path.includes(node)) return [...path.slice(path.indexOf(node)), node];
    if (done.has(node)) return undefined;
    for (const to of next.get(node) ?? []) {
      const cycle = walk(to, [...path, node]);
      if (cycle) return cycle;
    }
    done.add(node);
    return undefined;
  };
  for (const node of next.keys()) {
    const cycle = walk(node, []);
    if (cycle) return cycle;
  }
  return undefined;
}

function reachableFrom(entry: string, edges: readonly Edge[]): ReadonlySet<string> {
  const next = successors(edges);
  const reached = new Set([entry]);
  for (const node of reached) for (const to of next.get(node) ?? []) reached.add(to); // a set is walked as it grows
  return reached;
}

function successors(edges: readonly Edge[]): ReadonlyMap<string, ReadonlySet<string>> {
  const next = new Map<string, Set<string>>();
  for (const [from, to] of edges) next.set(from, (next.get(from) ?? new Set()).add(to));
  return next;
}
