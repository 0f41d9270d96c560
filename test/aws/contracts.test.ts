/** The contract suites on the AWS adapters, over the stand-ins. */
import { blobsContract } from "../ports/blobs-contract.ts";
import { contractRingSize, journalContract } from "../ports/journal-contract.ts";
import { pagesContract } from "../ports/pages-contract.ts";
import { withDynamoDb, withS3 } from "./stand-ins.ts";

const dynamodb = withDynamoDb();
const s3 = withS3();

journalContract("aws", () => dynamodb.journal(contractRingSize));
pagesContract("aws", () => dynamodb.pages());
blobsContract("aws", () => s3.blobs());
