/** How docs/testing.md puts both sinks to the test. */
import { simulate, type SimulationReport } from "../../runtime/testing/index.ts";
import { addingSink, type Held, pageCounts, replacingSink, type View } from "./page-counts.ts";

const views: View[] = Array.from({ length: 24 }, (_, n) => ({ page: `/${n % 3}`, at: n * 7_000 }));

export function simulateAdding(): Promise<SimulationReport> {
  return simulate(
    () => {
      const totals = new Map<string, number>();
      return { job: pageCounts(addingSink(totals)), contents: { totals: () => totals } };
    },
    { events: { views }, seeds: [1, 20], partitionKey: { views: ({ page }) => page } },
  );
}

export function simulateReplacing(): Promise<SimulationReport> {
  return simulate(
    () => {
      const held = new Map<string, Held>();
      return { job: pageCounts(replacingSink(held)), contents: { totals: () => [...held.values()].map(({ row }) => row) } };
    },
    { events: { views }, seeds: [1, 20], partitionKey: { views: ({ page }) => page } },
  );
}
