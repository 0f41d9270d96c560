/** Waits for calls of ports that run side by side. */
export { together } from "../ports/together.ts";
