import { makeEvents } from "/work/main/bench/counts/events.ts";
import { runCounts, sessionGapMs } from "/work/main/bench/counts/engine.ts";
import { tumblingCounts, sessionCounts } from "/work/main/bench/counts/baseline.ts";
const kind = (process.argv[2] ?? "tumbling") as any;
const events = makeEvents(1_000_000, 100_000);
for (let i = 0; i < Number(process.argv[3] ?? 3); i++) {
  let t = performance.now();
  const b = kind === "tumbling" ? tumblingCounts(events) : sessionCounts(events, sessionGapMs);
  const tb = performance.now() - t;
  t = performance.now();
  const e = await runCounts(kind, events);
  const te = performance.now() - t;
  console.log(kind, "baseline", Math.round(tb), "engine", Math.round(te), "ratio", (tb / te).toFixed(3), b.text, e.checksum.text, e.checkpoints, Math.round(e.peakRssMb));
}
