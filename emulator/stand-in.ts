/** A part of the emulated cloud that runs: where it is reached, and how it ends. */
export interface StandIn {
  /** What AWS_ENDPOINT_URL_<SERVICE> is set to. */
  readonly endpoint: string;
  /** Open connections are cut. */
  stop(): Promise<void>;
}
