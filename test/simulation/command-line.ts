/** What `npm run simulate` is told, and how a failing run is told again. */
import { parseArgs } from "node:util";
import { MillraceError } from "../../runtime/base/errors.ts";
import { type FaultMix, faultKinds, mixOf } from "../../runtime/testing/simulation/fault-mix.ts";
import type { Reduction } from "../../runtime/testing/simulation/minimise.ts";
import { type Rule, rules } from "../../runtime/testing/simulation/rules.ts";
import type { Sizes } from "../../runtime/testing/simulation/settings.ts";
import type { SimulateOptions } from "../../runtime/testing/simulation/simulate.ts";
import { exampleScenario } from "./example-topologies.ts";

/** Which simulated world: test/simulation/main.ts. */
export type WorldName = "engine" | "deployment";

export interface Command {
  readonly world: WorldName;
  readonly from: number;
  readonly to: number;
  readonly topology: string | undefined;
  readonly without: Rule | undefined;
  /** Of the command, which a reduction takes from. */
  readonly reduction: Reduction;
  /** How long a failing run may be made smaller, ms. */
  readonly minimiseMs: number;
  /** All events that are kept, not the last alone. */
  readonly trace: boolean;
}

const options = {
  seeds: { type: "string", default: "1..100" },
  topology: { type: "string" },
  without: { type: "string" },
  faults: { type: "string" },
  events: { type: "string" },
  only: { type: "string" },
  variant: { type: "string" },
  sizes: { type: "string" },
  "turn-ms": { type: "string" },
  "minimise-ms": { type: "string", default: "20000" },
  calm: { type: "boolean", default: false },
  trace: { type: "boolean", default: false },
} as const;

export const usage = `usage: npm run simulate -- --seeds A..B [--topology NAME] [--faults ${faultKinds.join("|")},…] [--calm]
  [--without ${rules.join("|")}] [--turn-ms N] [--minimise-ms N] [--trace]
  of one seed: [--events N | A..B,…] [--only A..B,…] [--variant N] [--sizes NAME=VALUE,…]`;

/** Throws `invalid` for what cannot be meant. `checkFaults` throws it for kinds of faults that the world does not have. */
export function parseCommand(
  args: readonly string[],
  topologies: readonly string[],
  {
    world = "engine",
    checkFaults = mixOf,
  }: { readonly world?: WorldName; readonly checkFaults?: (kinds: string[]) => unknown } = {},
): Command {
  const { values } = parse(args);
  const range = /^(\d+)(?:\.\.(\d+))?$/.exec(values.seeds) ?? refuse(`--seeds must be A..B: ${values.seeds}`);
  const { topology } = values;
  if (topology !== undefined && !topologies.includes(topology))
    refuse(`no such topology: ${topology}: there are ${topologies.join(", ")}`);
  const without = values.without as Rule | undefined;
  if (without !== undefined && !rules.includes(without)) refuse(`no such rule: ${without}`);
  const faults = values.calm ? [] : values.faults?.split(",").filter((kind) => kind !== "");
  if (faults !== undefined) checkFaults(faults);
  const sizes = {
    ...parseSizes(values.sizes),
    ...(values["turn-ms"] === undefined ? {} : { turnMs: Number(values["turn-ms"]) }),
  };
  return {
    world,
    from: Number(range[1]),
    to: Number(range[2] ?? range[1]),
    topology,
    without,
    minimiseMs: Number(values["minimise-ms"]),
    trace: values.trace,
    reduction: {
      ...(faults && { faults }),
      ...(values.events !== undefined && { events: parseEvents(values.events) }),
      ...(values.only !== undefined && { only: parseNumbers(values.only) }),
      ...(values.variant !== undefined && { variant: Number(values.variant) }),
      ...(Object.keys(sizes).length > 0 && { settings: sizes }),
    },
  };
}

function parse(args: readonly string[]) {
  try {
    return parseArgs({ args: [...args], options });
  } catch (error) {
    return refuse((error as Error).message);
  }
}

function refuse(problem: string): never {
  throw new MillraceError("invalid", problem);
}

/** So many from the first on, or numbers. */
function parseEvents(text: string): readonly number[] {
  return /^\d+$/.test(text) ? Array.from({ length: Number(text) }, (_, n) => n) : parseNumbers(text);
}

function parseNumbers(text: string): readonly number[] {
  return text.split(",").flatMap((part) => {
    if (part === "") return [];
    const [, from, to] = /^(\d+)(?:\.\.(\d+))?$/.exec(part) ?? refuse(`numbers are written as 3,7..9: ${text}`);
    return Array.from({ length: Number(to ?? from) - Number(from) + 1 }, (_, n) => Number(from) + n);
  });
}

function parseSizes(text = ""): Partial<Sizes> {
  const pairs = text.split(",").filter((pair) => pair !== "");
  return Object.fromEntries(
    pairs.map((pair) => {
      const [, name, value] = /^(\w+)=(.+)$/.exec(pair) ?? refuse(`sizes are written as NAME=VALUE: ${pair}`);
      return [
        name,
        /^[\d.]+$|^Infinity$/.test(value!) ? Number(value) : value === "true" || value === "false" ? value === "true" : value,
      ];
    }),
  ) as Partial<Sizes>;
}

/** What runs a seed. */
export function optionsOf({ topology, without }: Command, { faults, ...rest }: Reduction): SimulateOptions {
  const mix: FaultMix | undefined = faults && mixOf(faults);
  return { ...rest, topology, without, faults: mix, scenario: exampleScenario(topology, rest.events) };
}

/** What does a reduced run again. */
export function replayOf(
  { world, topology, without }: Pick<Command, "world" | "topology" | "without">,
  seed: number,
  reduction: Reduction<object>,
): string {
  const { faults, events, only, variant = 0, settings = {} } = reduction;
  const sizes = Object.entries(settings).map(([name, value]) => `${name}=${String(value)}`);
  return [
    `npm run simulate -- ${world === "engine" ? "" : `--world ${world} `}--seeds ${seed}..${seed}`,
    ...(topology === undefined ? [] : [`--topology ${topology}`]),
    ...(without === undefined ? [] : [`--without ${without}`]),
    ...(faults === undefined ? [] : faults.length === 0 ? ["--calm"] : [`--faults ${faults.join(",")}`]),
    ...(events === undefined ? [] : [`--events ${showEvents(events) || "''"}`]),
    ...(only === undefined || faults?.length === 0 ? [] : [`--only ${showNumbers(only) || "''"}`]),
    ...(variant === 0 ? [] : [`--variant ${variant}`]),
    ...(sizes.length === 0 ? [] : [`--sizes ${sizes.join(",")}`]),
  ].join(" ");
}

function showEvents(events: readonly number[]): string {
  return events.length > 0 && events.every((number, n) => number === n) ? String(events.length) : showNumbers(events, true);
}

/** `apart`: one number alone is written as a range. */
function showNumbers(numbers: readonly number[], apart = false): string {
  const ranges: [from: number, to: number][] = [];
  for (const number of [...numbers].sort((a, b) => a - b)) {
    const last = ranges.at(-1);
    if (last !== undefined && last[1] === number - 1) last[1] = number;
    else ranges.push([number, number]);
  }
  return ranges.map(([from, to]) => (from === to && !apart ? String(from) : `${from}..${to}`)).join(",");
}
