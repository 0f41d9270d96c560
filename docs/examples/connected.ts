import { type, value } from "../../runtime/index.ts";
import { exampleOfTwo } from "./example.ts";

export default exampleOfTwo((prices, orders) =>
  prices
    .keyBy(({ key }) => key)
    .connect(orders.keyBy(({ key }) => key))
    .process("bill", {
      output: type<readonly unknown[]>(),
      state: { price: value<number>() },
      onLeft: ({ n = 0 }, ctx) => ctx.state.price.set(n),
      onRight: ({ n = 0 }, ctx) => ctx.emit([ctx.key, n * (ctx.state.price.get() ?? 0)]),
    }),
);
