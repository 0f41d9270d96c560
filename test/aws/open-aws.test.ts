/** Opening the ports of a job: the SDK's own settings, the job's identity, and what failures of AWS are called. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { PutItemCommand } from "@aws-sdk/client-dynamodb";
import { createTable } from "../../emulator/cloud/create-table.ts";
import { awsClients } from "../../runtime/adapters/aws/aws-clients.ts";
import { awsError } from "../../runtime/adapters/aws/aws-error.ts";
import { openAws } from "../../runtime/adapters/aws/open-aws.ts";
import { createStateTable } from "../../runtime/adapters/aws/state-table.ts";
import { MemoryTelemetry } from "../../runtime/adapters/memory/memory-telemetry.ts";
import { type ErrorKind, isKind, messageOf } from "../../runtime/base/errors.ts";
import { type AttemptId, id, type TaskId } from "../../runtime/base/ids.ts";
import { HastyClock, newJob, patientHandler, tableName, withDynamoDb } from "./stand-ins.ts";

const dynamodb = withDynamoDb();
const failsAs = (kind: ErrorKind, message: RegExp) => (error: unknown) => isKind(error, kind) && message.test(messageOf(error));

async function open(options: { readonly job?: string; readonly ringSize?: number; readonly table?: string } = {}) {
  const settings = { region: "us-east-1", credentials: { accessKeyId: "local", secretAccessKey: "local" } };
  const requestHandler = patientHandler();
  const clients = awsClients({ endpoint: await dynamodb.endpoint(), maxAttempts: 1, requestHandler, ...settings });
  const parts = { clients, clock: new HastyClock(), telemetry: new MemoryTelemetry(), bucket: "state" };
  return openAws({ job: options.job ?? newJob(), table: tableName, ...parts, ...options });
}

/** Runs with settings of the environment, and puts back what was there. */
async function withSettings<T>(settings: Readonly<Record<string, string>>, run: () => Promise<T>): Promise<T> {
  const before = { ...process.env };
  Object.assign(process.env, settings);
  try {
    return await run();
  } finally {
    for (const name of Object.keys(settings)) delete process.env[name];
    Object.assign(process.env, before);
  }
}

describe("aws: opening", () => {
  it("takes endpoint, region and credentials from the SDK's own settings", async () => {
    const endpoint = await dynamodb.endpoint();
    const settings = { AWS_ENDPOINT_URL: endpoint, AWS_REGION: "eu-west-1", AWS_ACCESS_KEY_ID: "x", AWS_SECRET_ACCESS_KEY: "y" };
    await withSettings(settings, async () => {
      const clock = new HastyClock();
      const client = awsClients().dynamodb;
      assert.equal(await createStateTable(client, "of-settings", clock), "created");
      const ports = await openAws({
        job: newJob(),
        table: "of-settings",
        bucket: "state",
        clock,
        telemetry: new MemoryTelemetry(),
      });
      const entry = { seq: 1, attempt: id<AttemptId>("a"), bytes: new Uint8Array(1) };
      assert.deepEqual(await ports.journal.write(id<TaskId>("g1.all~0"), entry), { outcome: "written" });
    });
  });

  it("remembers the size of a job's rings, for each job of the table", async () => {
    const job = newJob();
    assert.equal((await open({ job, ringSize: 16 })).journal.ringSize, 16);
    await open({ job, ringSize: 16 });
    await assert.rejects(open({ job, ringSize: 32 }), failsAs("invalid", new RegExp(`fixed.*${job}, 16, asked for 32`)));
    await open({ ringSize: 32 });
  });

  it("refuses state of another format", async () => {
    const job = newJob();
    const Item = { p: { S: job }, s: { S: "identity" }, n: { N: "2" }, r: { N: "128" } };
    await (await dynamodb.client()).send(new PutItemCommand({ TableName: tableName, Item }));
    await assert.rejects(open({ job }), failsAs("invalid", /another version.*format 2, known 1/));
  });

  it("refuses a table that is not there, and one with other keys", async () => {
    await assert.rejects(open({ table: "not-there" }), failsAs("invalid", /no such table.*not-there/));
    await createTable(await dynamodb.client(), "of-others", { partitionKey: { name: "id", type: "S" } });
    await assert.rejects(open({ table: "of-others" }), failsAs("invalid", /of-others/));
  });

  it("is unavailable when nobody answers", async () => {
    const clients = awsClients({
      endpoint: "http://127.0.0.1:1",
      region: "us-east-1",
      credentials: { accessKeyId: "x", secretAccessKey: "y" },
      maxAttempts: 1,
    });
    const parts = { clients, clock: new HastyClock(), telemetry: new MemoryTelemetry() };
    const opening = openAws({ job: newJob(), table: tableName, bucket: "state", ...parts });
    await assert.rejects(opening, failsAs("unavailable", /ECONNREFUSED/));
  });
});

describe("aws: a failure", () => {
  const sdk = (name: string, httpStatusCode: number, message = "said AWS") =>
    Object.assign(new Error(message), { name, $metadata: { httpStatusCode } });
  const cases: readonly (readonly [what: string, error: unknown, kind: ErrorKind, message: RegExp])[] = [
    ["a missing permission", sdk("AccessDeniedException", 400), "invalid", /no permission/],
    ["a missing permission on S3", sdk("Forbidden", 403), "invalid", /no permission/],
    ["a missing table", sdk("ResourceNotFoundException", 400), "invalid", /create it/],
    ["a bucket elsewhere", sdk("PermanentRedirect", 301), "invalid", /another region/],
    ["wrong credentials", sdk("UnrecognizedClientException", 400), "invalid", /does not know these credentials/],
    ["no credentials", sdk("CredentialsProviderError", 0), "invalid", /no credentials/],
    ["credentials that have expired", sdk("ExpiredTokenException", 400), "unavailable", /refreshed/],
    ["a clock that is wrong", sdk("RequestTimeTooSkewed", 403), "unavailable", /clock/],
    [
      "a signature from another time",
      sdk("InvalidSignatureException", 400, "Signature expired: 1 is now earlier than 2"),
      "unavailable",
      /clock/,
    ],
    ["a wrong key", sdk("InvalidSignatureException", 403, "does not match"), "invalid", /no permission/],
    ["no region", new Error("Region is missing"), "invalid", /AWS_REGION/],
    ["throttling", sdk("ThrottlingException", 400), "unavailable", /throttled/],
    ["throttling by status", sdk("Whatever", 429), "unavailable", /throttled/],
    ["a failing service", sdk("Whatever", 500), "unavailable", /did not answer/],
    ["a cut connection", Object.assign(new Error("socket hang up"), { code: "ECONNRESET" }), "unavailable", /did not answer/],
    ["a time-out", Object.assign(new Error("late"), { name: "TimeoutError" }), "unavailable", /did not answer/],
    ["a refused request", sdk("ValidationException", 400), "invalid", /refuses/],
    ["a mistake of ours", new TypeError("x is not a function"), "internal", /not known/],
  ];
  for (const [what, error, kind, message] of cases)
    it(`that is ${what} is ${kind}`, () => {
      const failed = awsError(error, "write of table state, job/ring/task");
      assert.equal(failed.kind, kind);
      assert.match(failed.message, message);
      assert.match(failed.message, /write of table state, job\/ring\/task \(/);
      assert.equal(failed.cause, error);
    });
});
