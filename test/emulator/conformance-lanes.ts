/**
 * Reference lanes: what our emulators are held to, run against servers of others.
 *
 *     npm run conformance -- --kinesis http://127.0.0.1:4567 --dynamodb http://127.0.0.1:8000 --s3 http://127.0.0.1:5000
 *
 * A lane whose endpoint is not given (or set as MILLRACE_<SERVICE>_ENDPOINT) does not run, and says so in a line. The exit status is 1 when a
 * test of a lane fails: docs/emulators.md lists those that are known to, and why.
 */
import { spawnSync } from "node:child_process";
import { parseArgs } from "node:util";

interface Lane {
  readonly service: "kinesis" | "dynamodb" | "s3";
  readonly files: readonly string[];
  /** Of the files, the tests that concern the service. */
  readonly pattern?: string;
}

const lanes: readonly Lane[] = [
  { service: "kinesis", files: ["test/emulator/kinesis/conformance.test.ts"], pattern: "/https?:.*Kinesis conformance/" },
  { service: "dynamodb", files: ["test/aws/contracts.test.ts"], pattern: "/journal contract|pages contract/" },
  { service: "s3", files: ["test/aws/contracts.test.ts"], pattern: "/blobs contract/" },
];

const { values } = parseArgs({ options: { kinesis: { type: "string" }, dynamodb: { type: "string" }, s3: { type: "string" } } });

let failed = false;
for (const { service, files, pattern } of lanes) {
  const variable = `MILLRACE_${service.toUpperCase()}_ENDPOINT`;
  const endpoint = values[service] ?? process.env[variable];
  if (endpoint === undefined) {
    console.log(`${service}: did not run, no endpoint is given (--${service} URL, or ${variable})`);
    continue;
  }
  console.log(`${service}: ${endpoint}`);
  const chosen = pattern === undefined ? [] : [`--test-name-pattern=${pattern}`];
  const run = spawnSync(process.execPath, ["--test", "--test-reporter=spec", ...chosen, ...files], {
    stdio: "inherit",
    env: { ...process.env, [variable]: endpoint },
  });
  failed ||= run.status !== 0;
}
process.exitCode = failed ? 1 : 0;
