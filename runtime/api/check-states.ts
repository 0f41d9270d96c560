/** What can be said of an operator's declared states, at the line of the author's that adds it. */
import type { OperatorSpec } from "./graph.ts";
import { invalid } from "./invalid.ts";
import { isOperatorScoped } from "./operator-scoped-state.ts";
import { operatorStatesOf, statesOf } from "./operator-states.ts";
import type { StateDeclaration } from "./state.ts";

/** A state's name is stored beside its contents. The window operator's own stand before a dot. */
const pattern = /^[A-Za-z0-9_$.-]{1,80}$/;
/** A state's place is stored as one byte. */
const statesMax = 255;

/** Throws `invalid` for names that cannot be stored, too many states, and state of a key where a task's belongs, or the other way. */
export function checkStates(operator: string, spec: OperatorSpec): void {
  checkAll(operator, statesOf(spec), false);
  checkAll(operator, operatorStatesOf(spec), true);
}

function checkAll(operator: string, states: ReadonlyMap<string, StateDeclaration>, operatorScoped: boolean): void {
  if (states.size > statesMax) throw invalid(`an operator has at most ${statesMax} states`, { operator, states: states.size });
  for (const [state, { kind, ttl, version }] of states) {
    if (!pattern.test(state)) throw invalid("a state's name must be 1 to 80 letters, digits, _, $, . or -", { operator, state });
    if (!Number.isSafeInteger(version) || version < 0)
      throw invalid("a state's version must be a whole number, not negative", { operator, state, version });
    if (isOperatorScoped(kind) !== operatorScoped)
      throw invalid(
        operatorScoped
          ? "operatorState is declared by evenSplitList() and unionList(): state of keys belongs behind keyBy()"
          : "state of keys is declared by value(), list(), map(), reducing() and aggregating()",
        { operator, state, kind },
      );
    if (operatorScoped && ttl !== undefined)
      throw invalid("state outside keys does not expire: take its ttl away", { operator, state });
  }
}
