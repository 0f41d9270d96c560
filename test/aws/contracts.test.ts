/** The contract suites on the AWS adapters, over the stand-ins. */
import { blobsContract } from "../ports/blobs-contract.ts";
import { contractRingSize, journalContract } from "../ports/journal-contract.ts";
import { contractMaxRecordBytes, logContract } from "../ports/log-contract.ts";
import { pagesContract } from "../ports/pages-contract.ts";
import { withDynamoDb, withKinesis, withS3 } from "./stand-ins.ts";

const dynamodb = withDynamoDb();
const s3 = withS3();
const kinesis = withKinesis();
/** Kinesis counts the key of a record, here its hash key in decimal. */
const keyBytes = 1;

journalContract("aws", () => dynamodb.journal(contractRingSize));
pagesContract("aws", () => dynamodb.pages());
blobsContract("aws", () => s3.blobs());
logContract("aws", async () => (await kinesis.log({ maxRecordBytes: contractMaxRecordBytes + keyBytes })).log, {
  trimPointIsKnown: false,
});
