import { type, value } from "../../runtime/index.ts";
import { example } from "./example.ts";

interface Total {
  readonly cents: number;
}

export default example((events) =>
  events
    .keyBy(({ key }) => key)
    .process("total", {
      output: type<readonly unknown[]>(),
      state: {
        total: value<Total>({
          version: 1,
          migrate: (old) => ({ cents: 100 * (old as number) }),
        }),
      },
      onRecord({ n = 0 }, ctx) {
        const { cents } = ctx.state.total.get() ?? { cents: 0 };
        ctx.state.total.set({ cents: cents + n });
        ctx.emit([ctx.key, cents + n]);
      },
    }),
);
