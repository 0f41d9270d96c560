/** A job of which two numbers kill the process that takes them: one never returns, one takes all memory that there is. */
import { defineJob, dynamodb, json, kinesis, type, seconds } from "../../../runtime/index.ts";

export const endless = 1;
export const greedy = 2;

function take(n: number): { n: number } {
  // Something that changes, so that no compiler takes it for nothing.
  while (n === endless) process.hrtime();
  const hoard: Uint8Array[] = [];
  while (n === greedy) hoard.push(Buffer.alloc(8 << 20, 1));
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
