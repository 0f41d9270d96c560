/** What a job has written, as lines to be compared: rows of tables, lines of objects, dead letters. */
import { type AttributeValue, ScanCommand } from "@aws-sdk/client-dynamodb";
import { GetObjectCommand, ListObjectsV2Command } from "@aws-sdk/client-s3";
import type { EmulatedCloud } from "../../emulator/cloud/index.ts";
import type { Place, Results } from "./scenario.ts";

type Clients = EmulatedCloud["clients"];

/** Every output sorted, "deadLetters" beside those that are named. */
export async function readResults(
  clients: Clients,
  places: Readonly<Record<string, Place>>,
  deadLetters: { readonly bucket: string; readonly prefix: string },
): Promise<Results> {
  const read = Object.entries(places).map(async ([name, place]) => {
    const lines = place.kind === "table" ? await rowsOf(clients, place.table) : await linesOf(clients, place);
    return [name, lines.map(sortedMembers).sort()] as const;
  });
  const [letters, ...found] = await Promise.all([linesOf(clients, deadLetters), ...read]);
  const bytes = letters.map((line) => (JSON.parse(line) as { bytes: string }).bytes);
  return { ...Object.fromEntries(found), deadLetters: bytes.sort() };
}

/** Rows without what the sink keeps beside them; those that are deleted are none. */
async function rowsOf({ dynamodb }: Clients, table: string): Promise<readonly string[]> {
  const rows: string[] = [];
  for (let start: Record<string, AttributeValue> | undefined, first = true; first || start !== undefined; first = false) {
    const page = await dynamodb.send(new ScanCommand({ TableName: table, ConsistentRead: true, ExclusiveStartKey: start }));
    for (const { _millrace: version, ...row } of page.Items ?? []) {
      if (version?.M?.d !== undefined) continue;
      rows.push(JSON.stringify(Object.fromEntries(Object.entries(row).map(([name, value]) => [name, plainOf(value)]))));
    }
    start = page.LastEvaluatedKey;
  }
  return rows;
}

function plainOf({ S, N }: AttributeValue): unknown {
  if (S === undefined && N === undefined) throw new Error("an attribute that no row of these jobs has");
  return S ?? Number(N);
}

/** Of the objects that are to be read: docs/connectors.md says which. */
async function linesOf({ s3 }: Clients, { bucket, prefix }: { readonly bucket: string; readonly prefix: string }) {
  const keys: string[] = [];
  for (let token: string | undefined, first = true; first || token !== undefined; first = false) {
    const page = await s3.send(new ListObjectsV2Command({ Bucket: bucket, Prefix: prefix, ContinuationToken: token }));
    for (const { Key, Size } of page.Contents ?? []) if (Size !== 0 && isFinished(Key!.slice(prefix.length))) keys.push(Key!);
    token = page.NextContinuationToken;
  }
  const texts = await Promise.all(
    keys.map(async (Key) => (await s3.send(new GetObjectCommand({ Bucket: bucket, Key }))).Body!.transformToString()),
  );
  return texts.flatMap((text) => text.split("\n").filter((line) => line !== ""));
}

/** Whether an object is to be read, by its name behind the prefix. */
export function isFinished(name: string): boolean {
  return !/^\.(parts|quarantine)\/|\.part$|^restored\//.test(name);
}

/** A line of JSON with its members in order. */
export function sortedMembers(line: string): string {
  const members = Object.entries(JSON.parse(line) as object).sort(([a], [b]) => (a < b ? -1 : 1));
  return JSON.stringify(Object.fromEntries(members));
}
