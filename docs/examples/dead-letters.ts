import type { MarbleTest } from "../../runtime/testing/index.ts";
import { example } from "./example.ts";

export default example((events) =>
  events
    .keyBy(({ key }) => key)
    .reduce("sum", (a, b) => ({ ...b, n: (a.n ?? 0) + (b.n ?? 0) }))
    .map("check", (sum) => {
      if ((sum.n ?? 0) > 10) throw new Error("more than 10");
      return [sum.key, sum.n];
    }),
);

export const how: MarbleTest = { deadLetters: ["check"] };
