/** A function that counts the records of each partition key in a table, and says so in a bucket when it is asked to. */
import { DynamoDBClient, UpdateItemCommand } from "@aws-sdk/client-dynamodb";
import { PutObjectCommand, S3Client } from "@aws-sdk/client-s3";
import type { KinesisStreamEvent } from "aws-lambda";

const dynamodb = new DynamoDBClient({});
const s3 = new S3Client({});

export async function handler(event: KinesisStreamEvent | { readonly report: string }): Promise<unknown> {
  if ("report" in event) {
    await s3.send(new PutObjectCommand({ Bucket: "reports", Key: event.report, Body: "reported" }));
    return { reported: event.report };
  }
  for (const { kinesis, eventID } of event.Records) {
    if (Buffer.from(kinesis.data, "base64").toString() === "poison") throw new Error(`poison: ${eventID}`);
    await dynamodb.send(
      new UpdateItemCommand({
        TableName: "counts",
        Key: { key: { S: kinesis.partitionKey } },
        // Each record counts once, however often it is delivered.
        UpdateExpression: "ADD seen :record",
        ExpressionAttributeValues: { ":record": { SS: [kinesis.sequenceNumber] } },
      }),
    );
  }
  console.log(`counted ${event.Records.length}`);
  return undefined;
}
