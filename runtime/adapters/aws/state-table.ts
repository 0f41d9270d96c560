/** The table of the journal and the pages: its keys, its creation where no deployment does it, and the identity of a job in it. */
import {
  type AttributeDefinition,
  CreateTableCommand,
  DescribeTableCommand,
  type DynamoDBClient,
  type KeySchemaElement,
} from "@aws-sdk/client-dynamodb";
import { MillraceError } from "../../base/errors.ts";
import type { Clock } from "../../ports/clock.ts";
import { awsError, isNamed } from "./aws-error.ts";
import { DynamoTable } from "./dynamo-table.ts";
import { attribute, identityPartition, identitySort } from "./names.ts";

/** What is stored by this version, and by no other. */
export const storedFormat = 1;

/** The keys of the table. */
export const stateTableKeys: {
  readonly KeySchema: KeySchemaElement[];
  readonly AttributeDefinitions: AttributeDefinition[];
} = {
  KeySchema: [
    { AttributeName: attribute.partition, KeyType: "HASH" },
    { AttributeName: attribute.sort, KeyType: "RANGE" },
  ],
  AttributeDefinitions: [
    { AttributeName: attribute.partition, AttributeType: "S" },
    { AttributeName: attribute.sort, AttributeType: "S" },
  ],
};

const pollMs = 200;

/** Creates the table, billed on demand, and waits until it can be used. For stand-ins and tools: on AWS the deployment does it. */
export async function createStateTable(client: DynamoDBClient, table: string, clock: Clock): Promise<"created" | "exists"> {
  try {
    await client.send(new CreateTableCommand({ TableName: table, BillingMode: "PAY_PER_REQUEST", ...stateTableKeys }));
  } catch (error) {
    if (isNamed(error, "ResourceInUseException")) return "exists";
    throw awsError(error, `creation of table ${table}`);
  }
  while ((await client.send(new DescribeTableCommand({ TableName: table }))).Table?.TableStatus !== "ACTIVE") {
    await clock.sleep(pollMs);
  }
  return "created";
}

/** Which job a part of the table belongs to, and how it is written. */
export interface Identity {
  readonly job: string;
  readonly ringSize: number;
}

/**
 * Reads the job's identity in the table, writing it when the job is new there. Throws `invalid` for a table with other keys, a job
 * stored by a newer version, or one with rings of another size: a slot would then mean two entries.
 */
export async function checkIdentity(table: DynamoTable, { job, ringSize }: Identity): Promise<void> {
  const key = { [attribute.partition]: { S: identityPartition(job) }, [attribute.sort]: { S: identitySort } };
  const numbers = { [attribute.number]: { N: String(storedFormat) }, [attribute.ringSize]: { N: String(ringSize) } };
  const found = await readIdentity(table, key, numbers);
  if (found === undefined) return;
  const format = Number(found[attribute.number]?.N);
  const slots = Number(found[attribute.ringSize]?.N);
  if (format !== storedFormat) {
    const advice = "this job's state was written by another version: run that version, or give the job a table of its own";
    throw new MillraceError("invalid", `${advice}: ${table.name}, job ${job}, format ${format}, known ${storedFormat}`);
  }
  if (slots !== ringSize) {
    const advice = "the ring size is fixed when the job is first run";
    throw new MillraceError("invalid", `${advice}: ${table.name}, job ${job}, ${slots}, asked for ${ringSize}`);
  }
}

type Items = Parameters<DynamoTable["put"]>[0];

/** What stands there already; undefined when it was written just now. */
async function readIdentity(table: DynamoTable, key: Items, numbers: Items): Promise<Items | undefined> {
  const found = await table.get(key);
  if (found !== undefined) return found;
  const written = await table.put({ ...key, ...numbers }, { expression: `attribute_not_exists(${attribute.sort})` });
  return written.outcome === "put" ? undefined : written.stored;
}
