/** A function that is never initialised while there is no file READY, and then after MILLISECONDS. */
import { existsSync } from "node:fs";

await new Promise((resolve) => setTimeout(resolve, existsSync(process.env.READY) ? Number(process.env.MILLISECONDS) : 600_000));
export const handler = () => "ready";
