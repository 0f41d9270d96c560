/**
 * The process in which a mutant is hunted: seeds of the simulation until one fails. It runs in a copy of the tree, of which it imports the
 * engine: `node test/mutants/hunt.ts FROM TO`. Prints each seed before it is run, and at the end whether the mutated place was come by.
 */
import { simulateSeed } from "../../runtime/testing/simulation/simulate.ts";

const [from, to] = process.argv.slice(2).map(Number) as [number, number];

function finish(failure: string | undefined): never {
  // Set by the mutant itself.
  const reached = (globalThis as { mutantReached?: boolean }).mutantReached === true;
  console.log(JSON.stringify({ done: true, failure, reached }));
  process.exit(0);
}

for (let seed = from; seed <= to; seed++) {
  console.log(JSON.stringify({ seed }));
  const failure = await simulateSeed(seed).then(
    (result) => result.failure?.message,
    (error: unknown) => String(error),
  );
  if (failure !== undefined) finish(failure);
}
finish(undefined);
