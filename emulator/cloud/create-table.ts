/** Creates a table and waits until it can be used: even one that is "created at once" is refused to those that ask in the same moment. */
import { CreateTableCommand, type DynamoDBClient, waitUntilTableExists } from "@aws-sdk/client-dynamodb";
import type { TableResource } from "./topology.ts";

/** Billed on demand. Throws the service's own error. */
export async function createTable(
  client: DynamoDBClient,
  TableName: string,
  { partitionKey, sortKey, streamViewType: StreamViewType }: TableResource,
): Promise<void> {
  const keys = [
    { ...partitionKey, role: "HASH" as const },
    ...(sortKey === undefined ? [] : [{ ...sortKey, role: "RANGE" as const }]),
  ];
  await client.send(
    new CreateTableCommand({
      TableName,
      BillingMode: "PAY_PER_REQUEST",
      AttributeDefinitions: keys.map(({ name, type }) => ({ AttributeName: name, AttributeType: type })),
      KeySchema: keys.map(({ name, role }) => ({ AttributeName: name, KeyType: role })),
      ...(StreamViewType !== undefined && { StreamSpecification: { StreamEnabled: true, StreamViewType } }),
    }),
  );
  await waitUntilTableExists({ client, maxWaitTime: 60, minDelay: 0.02, maxDelay: 1 }, { TableName });
}
