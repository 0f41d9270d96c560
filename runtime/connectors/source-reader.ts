import type { LogReader } from "../ports/log.ts";

/** What reads a source at run time, and can be closed: afterwards it must not be read. */
export interface SourceReader extends LogReader {
  close(): Promise<void>;
}
