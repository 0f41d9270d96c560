/**
 * Reference lanes: what our emulators are held to, run against servers of others.
 *
 *     npm run conformance -- --kinesis http://127.0.0.1:4567 --dynamodb http://127.0.0.1:8000 --s3 http://127.0.0.1:5000
 *
 * An option may be repeated, for several servers of a service. A lane whose endpoint is not given (or set as MILLRACE_<SERVICE>_ENDPOINT) does
 * not run, and says so. At the end there is a line for each lane. The exit status is 1 when a test of a lane fails: docs/emulators.md
 * lists those that are known to, and why.
 *
 * A lane ends by itself: each test has a time, and so has the lane.
 */
import { spawn } from "node:child_process";
import { parseArgs } from "node:util";

interface Lane {
  readonly service: "kinesis" | "dynamodb" | "s3";
  readonly files: readonly string[];
  /** Of the files, the tests that concern the service. */
  readonly pattern: string;
}

const lanes: readonly Lane[] = [
  { service: "kinesis", files: ["test/emulator/kinesis/conformance.test.ts"], pattern: "/https?:.*Kinesis conformance/" },
  {
    service: "dynamodb",
    files: ["test/aws/contracts.test.ts", "test/emulator/dynamodb-streams.test.ts"],
    pattern: "/journal contract|pages contract|table streams contract: http/",
  },
  { service: "s3", files: ["test/aws/contracts.test.ts"], pattern: "/blobs contract/" },
];

const { values } = parseArgs({
  options: {
    kinesis: { type: "string", multiple: true },
    dynamodb: { type: "string", multiple: true },
    s3: { type: "string", multiple: true },
    "test-seconds": { type: "string", default: "45" },
    "lane-seconds": { type: "string", default: "300" },
  },
});
const testMs = Number(values["test-seconds"]) * 1_000;
const laneMs = Number(values["lane-seconds"]) * 1_000;

/** Prints what the lane's tests say as they end. Returns its line. */
async function runLane({ service, files, pattern }: Lane, endpoint: string): Promise<{ line: string; passed: boolean }> {
  const own = [`--test-name-pattern=${pattern}`, `--test-timeout=${testMs}`, "--test-force-exit"];
  const variable = variableOf(service);
  const child = spawn(process.execPath, ["--test", "--test-reporter=spec", ...own, ...files], {
    stdio: ["ignore", "pipe", "inherit"],
    env: { ...process.env, [variable]: endpoint },
    // What the runner starts ends with it.
    detached: true,
  });
  let output = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    output += text;
    process.stdout.write(text);
  });
  let late = false;
  const timer = setTimeout(() => {
    late = true;
    process.kill(-child.pid!, "SIGKILL");
  }, laneMs);
  const status = await new Promise<number | null>((resolve) => child.once("close", resolve));
  clearTimeout(timer);
  const { passed, failed } = countOf(output);
  const end = late ? `, cut off after ${laneMs / 1_000} s` : "";
  return { line: `${service} at ${endpoint}: ${passed} of ${passed + failed} pass${end}`, passed: status === 0 && !late };
}

/** Of tests alone, in what the `spec` reporter prints before its summary. */
function countOf(output: string): { readonly passed: number; readonly failed: number } {
  const [listed = ""] = output.split("\nℹ tests ");
  const marked = (mark: string) => listed.split("\n").filter((line) => new RegExp(`^\\s+${mark} `).test(line)).length;
  return { passed: marked("✔"), failed: marked("✖") };
}

function variableOf(service: Lane["service"]): string {
  return `MILLRACE_${service.toUpperCase()}_ENDPOINT`;
}

function endpointsOf({ service }: Lane): readonly string[] {
  const set = process.env[variableOf(service)];
  return values[service] ?? (set === undefined ? [] : [set]);
}

const lines: string[] = [];
for (const lane of lanes) {
  const endpoints = endpointsOf(lane);
  if (endpoints.length === 0) {
    lines.push(`${lane.service}: did not run, no endpoint is given (--${lane.service} URL, or ${variableOf(lane.service)})`);
    continue;
  }
  for (const endpoint of endpoints) {
    console.log(`${lane.service}: ${endpoint}`);
    const { line, passed } = await runLane(lane, endpoint);
    lines.push(line);
    if (!passed) process.exitCode = 1;
  }
}
console.log(lines.join("\n"));
