/**
 * The pure layers, and what must not appear in them: each ban names what to use instead.
 * Read by the linter and by the test that proves that the linter holds it.
 *
 * What a pure function gives may depend on its arguments alone: not on a clock, chance, the machine, its locale or time zone, the
 * garbage collector, or the order in which promises settle.
 */
export const pureFolders = ["base", "api", "plan", "streaming", "state", "time", "snapshots", "operators", "task"].map(
  (layer) => `runtime/${layer}`,
);

const clock = "the pure layers have no clock: take `now` from the turn's input (ports/clock.ts outside them)";
const random = "the pure layers have no randomness: derive from the input, or pass a seeded generator in";
const timers = "the pure layers do not wait: register a timer with the operator's timer service";
const world = "the pure layers do no I/O: add a port under runtime/ports and let the driver call it";
const promises = "only the driver makes promises: return what is needed as data";
const locale = "the same on every machine: name the locale's rule yourself, or compare code units with < and >";
const zone = "the same in every time zone: use the UTC method, or Intl.DateTimeFormat with a `timeZone`";
const collector = "when the garbage collector runs must change nothing: hold what is needed, and let go of it explicitly";
const threads = "the pure layers share no memory: one task is one thread's";
const hidden = "name the global itself, so that it can be seen what is used";

/** @param {string[]} names @param {string} message */
const all = (names, message) => names.map((name) => ({ name, message }));

/** @type {{ name: string, message: string }[]} */
export const bannedGlobals = [
  ...all(["setTimeout", "setInterval", "setImmediate", "queueMicrotask", "scheduler"], timers),
  ...all(["performance", "Temporal"], clock),
  ...all(["crypto"], random),
  ...all(
    ["process", "console", "fetch", "require", "navigator", "WebSocket", "EventSource", "localStorage", "sessionStorage"],
    world,
  ),
  ...all(["WeakRef", "FinalizationRegistry"], collector),
  ...all(["Atomics", "SharedArrayBuffer", "Worker", "MessageChannel", "BroadcastChannel"], threads),
  ...all(["globalThis", "global", "self", "window"], hidden),
];

/** @type {{ object: string, property: string, message: string }[]} */
export const bannedProperties = [
  { object: "Date", property: "now", message: clock },
  { object: "Math", property: "random", message: random },
  { object: "AbortSignal", property: "timeout", message: timers },
];

const builtins = [
  ...["fs", "net", "http", "https", "http2", "tls", "dns", "dgram", "child_process", "cluster", "worker_threads", "os", "timers"],
  ...[
    "process",
    "console",
    "readline",
    "repl",
    "inspector",
    "perf_hooks",
    "async_hooks",
    "v8",
    "vm",
    "sqlite",
    "stream",
    "events",
  ],
].join("|");
const outside = `[source.value=/^(?:node:)?(?:${builtins})(?!\\w)/]`;
const chance = "random\\w*|getRandomValues|webcrypto|generate\\w+|default";

/** @type {{ selector: string, message: string }[]} */
export const bannedSyntax = [
  { selector: "NewExpression[callee.name='Date'][arguments.length=0]", message: clock },
  { selector: "CallExpression[callee.name='Date']", message: clock },
  { selector: "NewExpression[callee.name='Date'][arguments.length>1]", message: zone },
  { selector: "AwaitExpression", message: "only the driver awaits: return what is needed as data" },
  { selector: "ForOfStatement[await=true]", message: "only the driver awaits: return what is needed as data" },
  { selector: "NewExpression[callee.name='Promise']", message: promises },
  { selector: "MemberExpression[object.name='Promise']", message: promises },
  { selector: ":function[async=true]", message: "only the driver is asynchronous: return what is needed as data" },
  { selector: `:matches(ImportDeclaration, ExportNamedDeclaration, ExportAllDeclaration)${outside}`, message: world },
  { selector: "ImportExpression", message: promises },
  { selector: "MetaProperty[meta.name='import']", message: world },
  {
    selector: `ImportDeclaration[source.value=/^(?:node:)?crypto$/] > ImportSpecifier[imported.name=/^(?:${chance})$/]`,
    message: random,
  },
  {
    selector: "ImportDeclaration[source.value=/^(?:node:)?crypto$/] > :matches(ImportDefaultSpecifier, ImportNamespaceSpecifier)",
    message: random,
  },
  { selector: "CallExpression[callee.property.name=/^(?:toLocale\\w*|localeCompare)$/]", message: locale },
  { selector: "MemberExpression[object.name='Intl'][property.name!='DateTimeFormat']", message: locale },
  {
    selector:
      ":matches(NewExpression, CallExpression)[callee.object.name='Intl'][callee.property.name='DateTimeFormat']" +
      ":not(:has(Property[key.name='timeZone']))",
    message: zone,
  },
  {
    selector:
      "CallExpression[callee.property.name=" +
      "/^(?:[gs]et(?:FullYear|Month|Date|Day|Hours|Minutes|Seconds|Milliseconds)|getTimezoneOffset|to(?:Date|Time)String)$/]",
    message: zone,
  },
];
