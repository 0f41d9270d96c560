/** Where in an author's file an error comes from. */

/**
 * `path:line:column` of the innermost frame of the error's stack that lies in this file; the path alone when none does. Type stripping keeps
 * lines and columns, so they are the author's own.
 */
export function placeOf(error: unknown, path: string): string {
  const stack = error instanceof Error ? (error.stack ?? "") : "";
  for (const line of stack.split("\n")) {
    const at = line.lastIndexOf(`${path}:`);
    const place = at < 0 ? null : /^:\d+:\d+/.exec(line.slice(at + path.length));
    if (place !== null) return `${path}${place[0]}`;
  }
  return path;
}
