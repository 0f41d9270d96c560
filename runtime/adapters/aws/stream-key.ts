/** Which key a stream's records are encrypted with, where it is one of the customer's. */
import { DescribeStreamSummaryCommand, type KinesisClient } from "@aws-sdk/client-kinesis";
import { awsError } from "./aws-error.ts";

const ofAws = /(^|:)alias\/aws\//;

/** As the stream names it: an ARN, an id or an alias. Undefined: none, or a key that AWS manages, which whoever may use the stream may use. */
export async function customerKeyOf(client: KinesisClient, stream: string): Promise<string | undefined> {
  try {
    const { StreamDescriptionSummary } = await client.send(new DescribeStreamSummaryCommand({ StreamName: stream }));
    const { EncryptionType, KeyId } = StreamDescriptionSummary ?? {};
    return EncryptionType !== "KMS" || KeyId === undefined || ofAws.test(KeyId) ? undefined : KeyId;
  } catch (error) {
    throw awsError(error, `looking at stream ${stream}`);
  }
}

/** Whether one of the known keys, by their ARNs, is the one that is named. An alias names any of them. */
export function isKnownKey(named: string, known: readonly string[]): boolean {
  const isAlias = (key: string) => /(^|:)alias\//.test(key);
  if (isAlias(named) || known.some(isAlias)) return known.length > 0;
  const idOf = (key: string) => key.slice(key.lastIndexOf("/") + 1);
  return known.some((key) => idOf(key) === idOf(named));
}
