/** A function that takes long to initialise: MILLISECONDS. */
await new Promise((resolve) => setTimeout(resolve, Number(process.env.MILLISECONDS)));
export const handler = () => "ready";
