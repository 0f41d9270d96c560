/** Lambda's limits that bind a function here. https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html */
export const lambdaLimits = {
  /** Payload of a synchronous invocation, as Lambda counts it: 6 MB and 100 bytes. */
  requestBytesMax: 6_291_556,
  responseBytesMax: 6_291_556,
  /** Payload of an asynchronous invocation. */
  eventBytesMax: 1024 * 1024,
  initMsMax: 10_000,
  timeoutSecondsMax: 900,
  memoryMbMin: 128,
  memoryMbMax: 10_240,
  /** Names and values of all environment variables of the author's. */
  environmentBytesMax: 4096,
  /** Executions at once that an account has at first, of all its functions. */
  accountConcurrency: 1000,
} as const;
