/**
 * The pure layers, and what must not appear in them: each ban names what to use instead.
 * Read by the linter and by the test that proves that the linter holds it.
 */
export const pureFolders = ["base", "api", "plan", "streaming", "state", "time", "snapshots", "operators", "task"].map(
  (layer) => `runtime/${layer}`,
);

const clock = "the pure layers have no clock: take `now` from the turn's input (ports/clock.ts outside them)";
const random = "the pure layers have no randomness: derive from the input, or pass a seeded generator in";
const timers = "the pure layers do not wait: register a timer with the operator's timer service";
const world = "the pure layers do no I/O: add a port under runtime/ports and let the driver call it";

/** @type {{ name: string, message: string }[]} */
export const bannedGlobals = [
  ...["setTimeout", "setInterval", "setImmediate", "queueMicrotask"].map((name) => ({ name, message: timers })),
  ...["performance"].map((name) => ({ name, message: clock })),
  ...["crypto"].map((name) => ({ name, message: random })),
  ...["process", "console", "fetch"].map((name) => ({ name, message: world })),
];

/** @type {{ object: string, property: string, message: string }[]} */
export const bannedProperties = [
  { object: "Date", property: "now", message: clock },
  { object: "Math", property: "random", message: random },
];

/** @type {{ selector: string, message: string }[]} */
export const bannedSyntax = [
  { selector: "NewExpression[callee.name='Date'][arguments.length=0]", message: clock },
  { selector: "AwaitExpression", message: "only the driver awaits: return what is needed as data" },
  { selector: "NewExpression[callee.name='Promise']", message: "only the driver makes promises: return what is needed as data" },
  { selector: ":function[async=true]", message: "only the driver is asynchronous: return what is needed as data" },
  { selector: "ImportDeclaration[source.value=/^(?:node:)?(?:fs|net|http|https|child_process|worker_threads|os|timers)/]", message: world },
];
