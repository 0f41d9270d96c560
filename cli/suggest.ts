/** Commands that are suggested, to be copied into a shell. */

/** What was said of a job that is run here: whoever goes on with it says the same again. */
export interface SaidOfRun {
  readonly state?: string | undefined;
  readonly output?: string | undefined;
  readonly bind?: readonly string[] | undefined;
  readonly param?: readonly string[] | undefined;
  readonly batch?: boolean | undefined;
}

/** A word as a POSIX shell takes it for one. */
export function quoted(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}

/** The job on this machine as a command names it: by its module, with all that was said of it. */
export function jobHere(path: string, { state, output = ".", bind = [], param = [], batch = false }: SaidOfRun): string {
  const words = [path, ...placeWords(state, output)];
  for (const one of param) words.push("--param", one);
  for (const one of bind) words.push("--bind", one);
  if (batch) words.push("--batch");
  return words.map(quoted).join(" ");
}

/** A job on this machine by its state directory, and where its sinks write. */
export function placeHere(state: string, output: string): string {
  return placeWords(state, output).map(quoted).join(" ");
}

function placeWords(state: string | undefined, output: string): readonly string[] {
  return [...(state === undefined ? [] : ["--state", state]), ...(output === "." ? [] : ["--output", output])];
}
