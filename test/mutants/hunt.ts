/**
 * The process in which a mutant is hunted: seeds of a simulated world until one fails. It runs in a copy of the tree, of which it imports the
 * code: `node test/mutants/hunt.ts engine|deployment FROM TO`. Prints each seed before it is run, and at the end whether the mutated place was come by.
 */
const [world, ...range] = process.argv.slice(2);
const [from, to] = range.map(Number) as [number, number];

type Run = (seed: number) => Promise<{ readonly failure: Error | undefined }>;

/** That world alone is loaded: it is the one whose code may be broken. */
async function runOf(): Promise<Run> {
  if (world !== "deployment") return (await import("../../runtime/testing/simulation/simulate.ts")).simulateSeed;
  const { simulateDeployment } = await import("../../emulator/simulation/simulate-deployment.ts");
  // What few seeds run of themselves: letters that are given back, and queues.
  const topologyOf = (seed: number) => (seed % 4 === 3 ? "redriven" : seed % 8 === 4 ? "queued" : undefined);
  return (seed) => simulateDeployment(seed, { topology: topologyOf(seed) });
}

function finish(failure: string | undefined): never {
  // Set by the mutant itself.
  const reached = (globalThis as { mutantReached?: boolean }).mutantReached === true;
  console.log(JSON.stringify({ done: true, failure, reached }));
  process.exit(0);
}

const run = await runOf();
for (let seed = from; seed <= to; seed++) {
  console.log(JSON.stringify({ seed }));
  const failure = await run(seed).then(
    (result) => result.failure?.message,
    (error: unknown) => String(error),
  );
  if (failure !== undefined) finish(failure);
}
finish(undefined);
