/**
 * Ctrl-C and `kill`: the first asks for a stop with a checkpoint, the second ends the process at once, which costs nothing but time. Where
 * another process of ours has started this one (`dev`), its end asks for a stop as well: nobody else would.
 */
import { exitCodes } from "./report-error.ts";

/** npm hands a terminal's Ctrl-C on to a child that has had it already: two within this time are one. */
const sameSignalMs = 300;

/** Calls `stop` at the first signal. Returns how to take the handlers off. */
export function onStopSignals(stop: () => void): () => void {
  let firstAt: number | undefined;
  const onSignal = () => {
    const now = performance.now();
    if (firstAt !== undefined && now - firstAt > sameSignalMs) process.exit(exitCodes.interrupted);
    if (firstAt !== undefined) return;
    firstAt = now;
    stop();
  };
  process.on("SIGINT", onSignal);
  process.on("SIGTERM", onSignal);
  if (process.send !== undefined) {
    process.on("disconnect", stop);
    // Who listens there would live as long as the other.
    process.channel?.unref();
    if (!process.connected) stop();
  }
  return () => {
    process.off("disconnect", stop);
    process.off("SIGINT", onSignal);
    process.off("SIGTERM", onSignal);
  };
}
