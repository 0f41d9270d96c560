/** A function that does what its event asks for. */
let invocations = 0;

export async function handler(event, context) {
  invocations++;
  return acts[event.act](event, context);
}

const acts = {
  echo: ({ value }) => ({ value, invocations, pid: process.pid }),
  context: (_, context) => ({ ...context, remainingMs: context.getRemainingTimeInMillis() }),
  variables: ({ names }) => Object.fromEntries(names.map((name) => [name, process.env[name]])),
  print: ({ lines }) => lines.forEach((line) => console.log(line)),
  nothing: () => undefined,
  throw: ({ message }) => {
    throw new RangeError(message);
  },
  throwText: ({ message }) => {
    throw message;
  },
  cycle: () => {
    const cycle = {};
    cycle.cycle = cycle;
    return cycle;
  },
  /** Nobody waits for it: the process cannot go on. */
  rejectUnseen: () => {
    void Promise.reject(new Error("unseen"));
    return new Promise((resolve) => setTimeout(resolve, 60_000));
  },
  throwOutside: () => {
    setTimeout(() => {
      throw new Error("outside");
    });
    return new Promise((resolve) => setTimeout(resolve, 60_000));
  },
  exit: ({ code }) => process.exit(code),
  neverSettle: () => new Promise(() => {}),
  sleep: ({ ms }) => new Promise((resolve) => setTimeout(resolve, ms)),
  /** The event loop never turns: no signal but KILL ends it. */
  spin: () => {
    for (;;);
  },
  /** Memory outside of JavaScript's heap: `mb`, which it then keeps. */
  eatBuffers: async ({ mb }) => {
    const eaten = [];
    for (let left = mb; left > 0; left -= 8) {
      eaten.push(Buffer.alloc(8 * 1024 * 1024, 1));
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    await new Promise((resolve) => setTimeout(resolve, 600_000));
    return eaten.length;
  },
  eatHeap: () => {
    const eaten = [];
    for (;;) eaten.push(new Array(100_000).fill(eaten.length + 0.5));
  },
  answerOf: ({ bytes }) => "x".repeat(bytes - 2),
  /** Calls `url` every 20 ms until it is answered "enough". */
  beat: async ({ url }) => {
    while ((await (await fetch(url)).text()) !== "enough") await new Promise((resolve) => setTimeout(resolve, 20));
  },
  /** Answers at once, and goes on calling `url`. */
  beatOn: ({ url }) => {
    setInterval(() => fetch(url).catch(() => {}), 20);
  },
};
