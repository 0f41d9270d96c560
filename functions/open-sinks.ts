/** The sinks of a job on AWS. */
import { MillraceError } from "../runtime/base/errors.ts";
import type { OpenSinks } from "./open-ports.ts";

export const openSinks: OpenSinks = () => {
  throw new MillraceError("invalid", "no sinks are known on AWS yet");
};
