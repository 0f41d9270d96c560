/**
 * Parameters of a job from environment variables: `MILLRACE_PARAM_`, and the name in capitals with `_` for what is no letter or digit.
 *
 * E1 What is said by name (`--param`) goes before the environment, the environment before what was built into the job (a construct's
 *    `parameters`), that before the job's own fallback.
 * E2 A variable that no parameter has is refused: it would otherwise be passed over in silence.
 */
import { invalid } from "./invalid.ts";
import type { Job } from "./job.ts";
import type { KeyPart } from "./key.ts";
import type { ParameterValues } from "./parameters.ts";

const prefix = "MILLRACE_PARAM_";

/** What the variable of a parameter is called. */
export function variableOf(parameter: string): string {
  return prefix + parameter.toUpperCase().replaceAll(/[^A-Z0-9]/g, "_");
}

/**
 * The job with the parameters of the environment, and those `given` by name. Throws `invalid` for a value that its parameter cannot have,
 * for a variable that the job has no parameter for, and for one that it has two for.
 */
export function withEnvironment(
  job: Job,
  variables: Readonly<Record<string, string | undefined>>,
  given: ParameterValues = {},
): Job {
  const waiting = new Map(Object.entries(given));
  const taken = new Set<string>();
  let current = job;
  // A job may ask for a parameter only where another has a certain value.
  for (;;) {
    const found = new Map<string, KeyPart>();
    for (const name of namesOf(current)) {
      const value = waiting.get(name) ?? variables[variableOf(name)];
      if (!taken.has(name) && value !== undefined) found.set(name, value);
    }
    if (found.size === 0) break;
    for (const name of found.keys()) {
      taken.add(name);
      waiting.delete(name);
    }
    current = current.withParameters(Object.fromEntries(found));
  }
  // The job does not ask for these: it says so itself.
  if (waiting.size > 0) current = current.withParameters(Object.fromEntries(waiting));
  checkVariables(variables, namesOf(current));
  return current;
}

function checkVariables(variables: Readonly<Record<string, string | undefined>>, names: readonly string[]): void {
  for (const [variable, value] of Object.entries(variables)) {
    if (!variable.startsWith(prefix) || value === undefined) continue;
    const parameters = names.filter((name) => variableOf(name) === variable);
    if (parameters.length === 0)
      throw invalid("the job has no parameter for this environment variable: unset it", {
        variable,
        known: names.map(variableOf),
      });
    if (parameters.length > 1)
      throw invalid("two parameters would have the same environment variable: call one otherwise", { variable, parameters });
  }
}

function namesOf(job: Job): readonly string[] {
  return [...(job.graph.parameters?.keys() ?? [])];
}
