/** A job of which two numbers kill the process that takes them: one never returns, one takes all memory that there is. */
import { defineJob, dynamodb, json, kinesis, type, seconds } from "../../../runtime/index.ts";

export const endless = 1;
export const greedy = 2;

/** What is printed where a record is taken that nothing but the end of its time ends. */
export const endlessly = "goes on for ever";
/** All that a function of this test has, and more. */
const hoardMb = 400;

function take(n: number): { n: number } {
  if (n === endless) console.log(endlessly);
  const hoard: Uint8Array[] = [];
  if (n === greedy) for (let mb = 0; mb < hoardMb; mb += 8) hoard.push(Buffer.alloc(8 << 20, 1));
  // Something that changes, so that no compiler takes it for nothing.
  while (n === endless || hoard.length > 0) process.hrtime();
  return { n };
}

export default defineJob(
  "deadly",
  (job) => {
    job
      .source("numbers", kinesis({ stream: "numbers", format: json(type<number>()) }))
      .map("take", take)
      .sinkTo("rows", dynamodb({ table: "rows", key: ["n"] }));
  },
  { checkpoints: { interval: seconds(60) } },
);
