/**
 * The conformance suite on our server, over memory and over a directory, and on a server that somebody else started when its
 * endpoint is given:
 *
 *     MILLRACE_KINESIS_ENDPOINT=http://localhost:4567 node --test test/emulator/kinesis/conformance.test.ts
 */
import { kinesisConformance } from "./conformance.ts";
import { outsideSubject, startLocalSubject, startSubject } from "./subject.ts";

kinesisConformance("memory", () => startSubject({ limits: "off" }));
kinesisConformance("local", () => startLocalSubject({ limits: "off" }));

const endpoint = process.env["MILLRACE_KINESIS_ENDPOINT"];
if (endpoint !== undefined) kinesisConformance(endpoint, () => outsideSubject(endpoint));
