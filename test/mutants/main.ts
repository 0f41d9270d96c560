/**
 * `npm run mutants`: mistakes chosen at random in the code of the engine, or of what a deployment has beside it, each made in a copy of the tree, and whether the simulation notices.
 *
 *   npm run mutants -- --count 10 --seed 1                 ten of all mutants
 *   npm run mutants -- --in runtime/state/commit.ts        of files whose path begins so
 *   npm run mutants -- --seeds 200                         seeds of the simulation for each, until the first that fails
 *   npm run mutants -- --world deployment                  of functions, the driver, mappings and commands, by the simulated deployment
 *   npm run mutants -- --tests                             what survives is shown to the tests of its layer too
 *   npm run mutants -- --only FILE:LINE                    the mutants of one line
 *
 * Of a survivor it says whether its place was come by at all, and whether the compiler refuses it. Ends with 1 when one has survived.
 */
import { globSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { SeededRandom } from "../../runtime/base/seeded-random.ts";
import type { WorldName } from "../simulation/command-line.ts";
import { mutate, type Mutation, mutationsOf } from "./mutations.ts";
import { type Hunted, probe, Workshop } from "./workshop.ts";

/** What each world is to prove. */
const mutated: Readonly<Record<WorldName, readonly string[]>> = {
  engine: ["runtime/driver/*.ts", "runtime/snapshots/*.ts", "runtime/state/*.ts", "runtime/streaming/*.ts"],
  deployment: [
    ...["functions/*.ts", "runtime/driver/*.ts", "emulator/event-source-mapping/{event,lane,shard,batch,attempt,function}*.ts"],
    "emulator/messaging/queue-mapping.ts",
    ...["cli/commands/{copy-state,fork,redrive,orders}.ts", "cli/dead-letters.ts", "cli/target/aws-target.ts"],
    ...["runtime/connectors/redriven-source.ts", "runtime/adapters/aws/*-{sink,channel,letters,reader}.ts"],
  ],
};

const { values } = parseArgs({
  options: {
    count: { type: "string", default: "10" },
    seed: { type: "string", default: "1" },
    world: { type: "string", default: "engine" },
    seeds: { type: "string", default: "200" },
    in: { type: "string", default: "" },
    only: { type: "string" },
    tests: { type: "boolean", default: false },
    "seed-ms-max": { type: "string", default: "120000" },
  },
});

interface Mutant {
  readonly file: string;
  readonly text: string;
  readonly mutation: Mutation;
}

const world = values.world as WorldName;
const repository = resolve(import.meta.dirname, "../..");

function candidates(): Mutant[] {
  const files = mutated[world].flatMap((pattern) => globSync(pattern, { cwd: repository }).sort());
  return files
    .filter((file) => file.startsWith(values.in))
    .flatMap((file) => {
      const text = readFileSync(join(repository, file), "utf8");
      return mutationsOf(text).map((mutation) => ({ file, text, mutation }));
    });
}

function chosen(all: readonly Mutant[]): Mutant[] {
  if (values.only !== undefined) return all.filter(({ file, mutation }) => `${file}:${mutation.line}` === values.only);
  return new SeededRandom(Number(values.seed)).shuffled(all).slice(0, Number(values.count));
}

/** The tests of a layer lie in the folder of its name, those of commands in that of the command line. */
function testsOf(file: string): string {
  const folder = file.startsWith("cli/") ? "cli" : file.split("/").at(-2)!;
  return file.startsWith("emulator/") ? `emulator/${folder}` : folder;
}

async function noticedByTests(workshop: Workshop, { file, text, mutation }: Mutant): Promise<boolean> {
  const tests = globSync(`test/${testsOf(file)}/*.test.ts`, { cwd: workshop.root }).sort();
  const args = ["--test", "--test-concurrency=1", ...tests];
  return workshop.with(file, mutate(text, mutation), async () => !(await workshop.succeeds(args, 600_000)));
}

async function refusedByCompiler(workshop: Workshop, { file, text, mutation }: Mutant): Promise<boolean> {
  const compile = ["node_modules/typescript/bin/tsc", "-p", "."];
  return workshop.with(file, mutate(text, mutation), async () => !(await workshop.succeeds(compile, 600_000)));
}

async function aboutSurvivor(workshop: Workshop, mutant: Mutant, { reached }: Hunted): Promise<string> {
  const remarks = [reached ? "its place was come by" : "its place was never come by"];
  if (await refusedByCompiler(workshop, mutant)) remarks.push("the compiler refuses it");
  else if (values.tests)
    remarks.push((await noticedByTests(workshop, mutant)) ? "tests of its layer notice" : "no test of its layer notices");
  return remarks.join(", ");
}

const all = candidates();
console.log(`${all.length} mutants in ${new Set(all.map(({ file }) => file)).size} files`);
const workshop = await Workshop.open(repository);
let survived = 0;
try {
  for (const mutant of chosen(all)) {
    const { file, text, mutation } = mutant;
    const startedAt = performance.now();
    const hunted = await workshop.with(file, mutate(text, mutation, probe), () =>
      workshop.hunt(world, Number(values.seeds), Number(values["seed-ms-max"])),
    );
    const { outcome, seed, reason } = hunted;
    const took = `${((performance.now() - startedAt) / 1_000).toFixed(0)} s`;
    const said = outcome === "survived" ? await aboutSurvivor(workshop, mutant, hunted) : `seed ${seed}: ${reason}`;
    if (outcome === "survived") survived++;
    console.log(`${outcome} ${file}:${mutation.line} ${mutation.what}\n    ${said} (${took})`);
  }
} finally {
  await workshop.close();
}
console.log(`${survived} survived`);
process.exitCode = survived === 0 ? 0 : 1;
