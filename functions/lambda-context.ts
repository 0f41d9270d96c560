/** What the handlers use of the second argument that Lambda calls them with. */
export interface LambdaContext {
  readonly awsRequestId: string;
  /** Milliseconds until the invocation is ended. */
  getRemainingTimeInMillis(): number;
}
