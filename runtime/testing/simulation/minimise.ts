/**
 * Makes a failing run smaller: fewer kinds of faults, a smaller world, fewer records, fewer faults, as long as it fails in the same way.
 *
 * Each try is a run of its own, and with anything taken away another one: what stays is what was seen to fail. Within the given time,
 * and so not always the smallest there is; the result replays, whatever the clock said.
 */
import { faultNames, mixOf } from "./fault-mix.ts";
import type { SeedResult, SimulateOptions } from "./simulate.ts";
import type { Sizes } from "./settings.ts";

/** What a run was reduced to. */
export interface Reduction extends Pick<SimulateOptions, "only" | "variant" | "events" | "settings"> {
  /** The kinds of faults that there are; default: all of the run's. */
  readonly faults?: readonly string[] | undefined;
}

export interface Minimised {
  readonly reduction: Reduction;
  readonly result: SeedResult;
  readonly tries: number;
}

export interface MinimiseOptions {
  run(reduction: Reduction): Promise<SeedResult>;
  /** The kinds of faults that there are; default: all. */
  readonly faults?: readonly string[] | undefined;
  /** The numbers of all records. */
  readonly events: readonly number[];
  /** How long it may take, ms. */
  readonly timeMs: number;
  /** Monotonous, ms. */
  readonly now: () => number;
}

/** Smaller worlds, each to be tried on top of those that failed before. */
const smaller: readonly Partial<Sizes>[] = [
  { stagesMax: 2 },
  { stagesMax: 1 },
  { restores: 0 },
  { reshardings: 0 },
  { redeployments: 0 },
  { environments: 1 },
  { parallelism: 1 },
  { staysOpen: false },
  { statePlacement: "segments" },
  { cacheBytesMax: 8_000 },
];

/** With fewer records another order of events is as good as the same. */
const variants = 3;

/** `failed` is the whole run's result. */
export async function minimise(failed: SeedResult, options: MinimiseOptions): Promise<Minimised> {
  const search = new Search(failed, options);
  await search.shrinkKinds();
  await search.shrinkWorld();
  await search.shrinkEvents();
  await search.shrinkFaults();
  const { faults, happened } = search.result;
  // What was drawn and left out need not be named, nor what never was.
  const kinds = faultNames.filter((kind) => search.reduction.faults?.includes(kind) ?? faults[kind] > 0);
  return { reduction: { ...search.reduction, faults: kinds, only: happened }, result: search.result, tries: search.tries };
}

class Search {
  result: SeedResult;
  reduction: Reduction = {};
  tries = 0;
  private readonly options: MinimiseOptions;
  private readonly kinds: readonly string[];
  private readonly until: number;

  constructor(failed: SeedResult, options: MinimiseOptions) {
    this.result = failed;
    this.options = options;
    const mix = mixOf(options.faults ?? faultNames);
    this.kinds = faultNames.filter((kind) => mix[kind] > 0);
    this.until = options.now() + options.timeMs;
  }

  async shrinkKinds(): Promise<void> {
    if (await this.fails({ faults: [] })) return;
    for (const kind of faultNames) {
      const { faults = this.kinds } = this.reduction;
      if (this.result.faults[kind] > 0) await this.fails({ faults: faults.filter((other) => other !== kind) });
    }
  }

  async shrinkWorld(): Promise<void> {
    for (const sizes of smaller) {
      if (!differs(this.result.sizes, sizes)) continue;
      await this.fails({ ...this.reduction, settings: { ...this.reduction.settings, ...sizes } });
    }
  }

  async shrinkEvents(): Promise<void> {
    const before = this.reduction.variant ?? 0;
    await shrinkList(this.options.events, async (events) => {
      for (let n = 0; n < variants; n++) if (await this.fails({ ...this.reduction, events, variant: before + n })) return true;
      return false;
    });
  }

  /** First those after the last that it takes, which changes nothing before; then any. */
  async shrinkFaults(): Promise<void> {
    const all = this.result.happened;
    let [least, most] = [0, all.length];
    while (least < most && this.inTime) {
      const middle = (least + most) >> 1;
      if (await this.fails({ ...this.reduction, only: all.slice(0, middle) })) most = middle;
      else least = middle + 1;
    }
    await shrinkList(this.result.happened, (only) => this.fails({ ...this.reduction, only }));
  }

  private get inTime(): boolean {
    return this.options.now() < this.until;
  }

  private async fails(reduction: Reduction): Promise<boolean> {
    if (!this.inTime) return false;
    this.tries++;
    const result = await this.options.run(reduction);
    if (result.failure === undefined || kindOf(result.failure) !== kindOf(this.result.failure)) return false;
    this.result = result;
    this.reduction = reduction;
    return true;
  }
}

/** The checker that has failed; undefined: the job's own. */
function kindOf(failure: Error | undefined): string | undefined {
  return /^C\d+/.exec(failure?.message ?? "")?.[0];
}

function differs(sizes: Sizes, part: Partial<Sizes>): boolean {
  return Object.entries(part).some(([name, value]) => sizes[name as keyof Sizes] !== value);
}

/** Leaves out ever smaller parts of a list, as long as what is left `fails`. */
async function shrinkList(list: readonly number[], fails: (rest: readonly number[]) => Promise<boolean>): Promise<void> {
  let rest = list;
  for (let size = Math.ceil(rest.length / 2); size >= 1; size = size === 1 ? 0 : Math.ceil(size / 2))
    for (let from = rest.length - size; from > -size && rest.length > 0; from -= size) {
      const left = [...rest.slice(0, Math.max(0, from)), ...rest.slice(Math.max(0, from) + Math.min(size, size + from))];
      if (left.length < rest.length && (await fails(left))) rest = left;
    }
}
