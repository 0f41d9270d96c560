/**
 * An application that puts page views into a stream, many in one record.
 *
 *     node examples/producing/main.ts <stream> [<how many>]
 *
 * The stream is of the account and region of the environment, or of an emulated cloud: AWS_ENDPOINT_URL_KINESIS says where.
 */
import { isKind, openProducer } from "../../producer/index.ts";

interface PageView {
  readonly user: string;
  readonly page: string;
  readonly at: number;
}

const [stream = "page-views", count = "10000"] = process.argv.slice(2);

await using producer = openProducer<PageView>({ stream });
for (let n = 0; n < Number(count); n++) {
  // Room for another: the loop is as fast as the stream.
  await producer.ready();
  const view = { user: `user-${n % 1_000}`, page: `/shop/${n % 77}`, at: Date.now() };
  // Views of one user stay in their order. Nobody waits for a single one; what fails is told for that one.
  producer.put({ key: view.user, value: view }).catch((error: unknown) => {
    console.error(isKind(error, "unavailable") ? "to be put again:" : "lost:", view, String(error));
    process.exitCode = 1;
  });
}
await producer.flush();

const { events, records, putUnits, throttled } = producer.counts;
console.log(`${events} events in ${records} records, ${putUnits} put units; ${throttled} times throttled`);
