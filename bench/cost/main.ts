/**
 * What a month of the count costs by what the ports and functions count, at list prices (bench/prices.ts): simulated for some hours.
 *
 *     npm run bench -- --only cost
 *     node bench/cost/main.ts [--rates 10,1000] [--hours 1] [--window 20] [--idleness] [--verbose]
 *
 * Counted: requests and units of DynamoDB and S3, put units and the hours of one shard, invocations, GB-seconds: of waiting by the times
 * in simulated-services.ts, of computing by CPU time measured here, at the share of a processor that the memory gives. Not counted: logs and
 * metrics, cold starts, data that leaves the region.
 */
import { parseArgs } from "node:util";
import { loadavg } from "node:os";
import { hoursPerMonth, mbPerProcessor, monthlyAims, prices } from "../prices.ts";
import { countJob } from "./count-job.ts";
import { packedFrom, Producer } from "./producer.ts";
import { requestCpuMs } from "./simulated-services.ts";
import { type FunctionName, memoryMb, VirtualFunctions } from "./virtual-functions.ts";

/** Before the counting begins: a generation that is younger looks for batches in the stream as well. */
const warmUpMinutes = 25;

const { values } = parseArgs({
  options: {
    rates: { type: "string", default: "10,1000" },
    hours: { type: "string", default: "1" },
    window: { type: "string", default: "20" },
    idleness: { type: "boolean", default: false },
    verbose: { type: "boolean", default: false },
  },
});

type Units = Record<string, number>;

async function simulate(eventsPerSecond: number, hours: number, windowSeconds: number) {
  const functions = new VirtualFunctions(countJob(values.idleness));
  const producer = new Producer(eventsPerSecond, functions.services);
  const start = functions.world.now();
  const seconds = (minutes: number) => minutes * 60;
  let before: Units = {};
  const end = seconds(warmUpMinutes + hours * 60);
  for (let second = 0; second < end; second++) {
    if (second === seconds(warmUpMinutes)) before = counted(functions, producer);
    const now = start + second * 1_000;
    functions.apart(() => producer.produce(now));
    if (second % 60 === 0) functions.look();
    if (second % windowSeconds === windowSeconds - 1) functions.deliver();
    await functions.run(now + 1_000);
  }
  if (functions.failures.length > 0) throw functions.failures[0];
  checkCounts(functions, eventsPerSecond * 60);
  const after = counted(functions, producer);
  const units = Object.fromEntries(
    Object.entries(after).map(([unit, n]) => [unit, ((n - (before[unit] ?? 0)) * hoursPerMonth) / hours]),
  );
  units["kinesis.shardHours"] = hoursPerMonth;
  units["s3.gbMonths"] = functions.services.objectBytes / 2 ** 30;
  units["dynamodb.gbMonths"] = functions.services.tableBytes / 2 ** 30;
  return units;
}

/** What is counted must have been done: every event of each minute that is written stands in it once. */
function checkCounts({ services, world }: VirtualFunctions, eventsPerMinute: number): void {
  const minutes = new Map<number, number>();
  for (const text of services.objectsIn("counts"))
    for (const line of text.split("\n").filter((line) => line !== "")) {
      const { start, n } = JSON.parse(line) as { readonly start: number; readonly n: number };
      minutes.set(start, (minutes.get(start) ?? 0) + n);
    }
  const last = Math.max(...minutes.keys());
  const wrong = [...minutes].find(([, n]) => n !== eventsPerMinute);
  if (wrong !== undefined)
    throw new Error(`minute ${new Date(wrong[0]).toISOString()} has ${wrong[1]} events: ${eventsPerMinute}`);
  if (world.now() - last > 4 * 60_000)
    throw new Error(`the last minute that is written is long over: ${new Date(last).toISOString()}`);
}

function counted({ telemetry, cpuMs, services }: VirtualFunctions, { putUnits, events }: Producer): Units {
  const units: Units = { "source events": events, "kinesis.putUnits of the source": putUnits, requests: services.requests };
  for (const name of ["task", "coordinator"] as const) {
    const { gbSeconds, rest } = apartFrom(telemetry[name].labelledTotals(), telemetry[name].totals());
    units[`lambda.gbSeconds waiting, ${name}`] = gbSeconds;
    units[`lambda.gbSeconds computing, ${name}`] = computing(name, cpuMs[name]);
    for (const [unit, n] of Object.entries(rest)) units[`${unit}, ${name}`] = n;
  }
  units["lambda.gbSeconds computing, SDK"] = computing("task", services.requests * requestCpuMs);
  return units;
}

/** Tables by the part that uses them. */
function apartFrom(labelled: Readonly<Units>, totals: Readonly<Units>): { readonly gbSeconds: number; readonly rest: Units } {
  const { "lambda.gbSeconds": gbSeconds = 0, ...others } = totals;
  const rest: Units = {};
  for (const [unit, n] of Object.entries(others)) if (!unit.startsWith("dynamodb.")) rest[unit] = n;
  for (const [unit, n] of Object.entries(labelled))
    if (unit.startsWith("dynamodb.")) rest[unit.replace(/\{part=(\w+)\}/, " $1")] = n;
  return { gbSeconds, rest };
}

/** With less memory it takes as much longer. */
function computing(name: FunctionName, cpuMs: number): number {
  const slower = Math.max(1, mbPerProcessor / memoryMb[name]);
  return ((cpuMs * slower) / 1_000) * (memoryMb[name] / 1_024);
}

function priceOf(unit: string): number | undefined {
  return (prices as Readonly<Record<string, number>>)[/^[\w.]+/.exec(unit)?.[0] ?? ""];
}

function report(eventsPerSecond: number, units: Units): void {
  const rows = Object.entries(units).flatMap(([unit, n]) => {
    const price = priceOf(unit);
    return price === undefined ? [] : [{ unit, n, usd: n * price }];
  });
  const total = rows.reduce((sum, { usd }) => sum + usd, 0);
  const aim = monthlyAims[eventsPerSecond];
  const how = eventsPerSecond < packedFrom ? "a record each" : "packed into records of 25 KB";
  console.log(
    `${eventsPerSecond} events/s, ${how}: ${total.toFixed(2)} USD a month${aim === undefined ? "" : ` (aim ≤ ${aim})`}, load ${loadavg()[0]!.toFixed(1)}`,
  );
  for (const { unit, n, usd } of rows.toSorted((a, b) => b.usd - a.usd))
    if (usd >= 0.005 || values.verbose)
      console.log(`  ${usd.toFixed(2).padStart(7)}  ${unit.padEnd(44)}${Math.round(n).toLocaleString("en").padStart(16)}`);
  if (!values.verbose) return;
  for (const [unit, n] of Object.entries(units))
    if (priceOf(unit) === undefined)
      console.log(`           ${unit.padEnd(44)}${Math.round(n).toLocaleString("en").padStart(16)}`);
}

console.log(
  `USD a month by counted units: a count per key and minute over 100,000 keys, 200-byte events, one task (${memoryMb.task} MB; coordinator ${memoryMb.coordinator} MB), ` +
    `one shard, batches of ${values.window} s, ${values.hours} hours simulated`,
);
for (const rate of values.rates.split(",").map(Number)) {
  const units = await simulate(rate, Number(values.hours), Number(values.window));
  report(rate, units);
}
