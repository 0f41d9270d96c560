/**
 * Makes a failing run smaller: fewer kinds of faults, a smaller world, fewer records, fewer faults, as long as it fails in the same way.
 *
 * Each try is a run of its own, and with anything taken away another one: what stays is what was seen to fail. Within the given time,
 * and so not always the smallest there is; the result replays, whatever the clock said.
 */
import { faultNames, mixOf } from "./fault-mix.ts";
import type { SeedResult, SimulateOptions } from "./simulate.ts";
import type { Sizes } from "./settings.ts";

/** What a run was reduced to. `S`: how large its world is. */
export interface Reduction<S = Sizes> extends Pick<SimulateOptions, "only" | "variant" | "events"> {
  /** The kinds of faults that there are; default: all of the run's. */
  readonly faults?: readonly string[] | undefined;
  /** Settings to take instead of the seed's. */
  readonly settings?: Partial<S> | undefined;
}

/** What is looked at of a run, in whichever world. */
export interface MinimisedRun<S = Sizes> extends Pick<SeedResult, "failure" | "happened"> {
  readonly faults: Readonly<Record<string, number>>;
  readonly sizes: S;
}

export interface Minimised<R = SeedResult, S = Sizes> {
  readonly reduction: Reduction<S>;
  readonly result: R;
  readonly tries: number;
}

export interface MinimiseOptions<R = SeedResult, S = Sizes> {
  run(reduction: Reduction<S>): Promise<R>;
  /** The kinds of faults that there are; default: all. */
  readonly faults?: readonly string[] | undefined;
  /** Of a world that has others than the engine's: its faults, each by its name, without those that never happen. */
  readonly faultNames?: readonly string[] | undefined;
  /** Smaller worlds, each to be tried on top of those that failed before; default: the engine's. */
  readonly smaller?: readonly Partial<S>[] | undefined;
  /** The numbers of all records. */
  readonly events: readonly number[];
  /** How long it may take, ms. */
  readonly timeMs: number;
  /** Monotonous, ms. */
  readonly now: () => number;
}

const smallerOfEngine: readonly Partial<Sizes>[] = [
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
export async function minimise<R extends MinimisedRun<any>>(
  failed: R,
  options: MinimiseOptions<R, R["sizes"]>,
): Promise<Minimised<R, R["sizes"]>> {
  const search = new Search<R, R["sizes"]>(failed, options);
  await search.shrinkKinds();
  await search.shrinkWorld();
  await search.shrinkEvents();
  await search.shrinkFaults();
  const { faults, happened } = search.result;
  // What was drawn and left out need not be named, nor what never was.
  const kinds = search.names.filter((kind) => search.reduction.faults?.includes(kind) ?? faults[kind]! > 0);
  return { reduction: { ...search.reduction, faults: kinds, only: happened }, result: search.result, tries: search.tries };
}

class Search<R extends MinimisedRun<S>, S extends object> {
  result: R;
  reduction: Reduction<S> = {};
  tries = 0;
  readonly names: readonly string[];
  private readonly options: MinimiseOptions<R, S>;
  private readonly kinds: readonly string[];
  private readonly until: number;

  constructor(failed: R, options: MinimiseOptions<R, S>) {
    this.result = failed;
    this.options = options;
    this.names = options.faultNames ?? faultNames;
    this.kinds = options.faultNames ?? kindsOfEngine(options.faults);
    this.until = options.now() + options.timeMs;
  }

  async shrinkKinds(): Promise<void> {
    if (await this.fails({ faults: [] })) return;
    for (const kind of this.names) {
      const { faults = this.kinds } = this.reduction;
      if (this.result.faults[kind]! > 0) await this.fails({ faults: faults.filter((other) => other !== kind) });
    }
  }

  async shrinkWorld(): Promise<void> {
    for (const sizes of this.options.smaller ?? (smallerOfEngine as readonly Partial<S>[])) {
      if (!differs(this.result.sizes, sizes)) continue;
      await this.fails({ ...this.reduction, settings: { ...this.reduction.settings, ...sizes } as Partial<S> });
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

  private async fails(reduction: Reduction<S>): Promise<boolean> {
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

function kindsOfEngine(faults: readonly string[] = faultNames): readonly string[] {
  const mix = mixOf(faults);
  return faultNames.filter((kind) => mix[kind] > 0);
}

function differs<S extends object>(sizes: S, part: Partial<S>): boolean {
  return Object.entries(part).some(([name, value]) => sizes[name as keyof S] !== value);
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
