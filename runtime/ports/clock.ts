/** Port: time. The engine takes `now` from here once per turn and hands it to the task as an input. */
export interface Clock {
  /** Epoch ms. */
  now(): number;
  /** Returns early when the signal is aborted. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
  /** What is left of the invocation; infinite when nothing ends it. */
  remainingMs(): number;
}
