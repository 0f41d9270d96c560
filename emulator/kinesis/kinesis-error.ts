/** How the server refuses a call, under the names that AWS gives to its exceptions. Only callers' SDKs see them. */

/** Exceptions of the Kinesis API and of its protocol that this server answers with. */
export type KinesisErrorType =
  | "AccessDeniedException"
  | "DryRunOperationException"
  | "ExpiredIteratorException"
  | "ExpiredNextTokenException"
  | "InternalFailure"
  | "InvalidArgumentException"
  | "LimitExceededException"
  | "ProvisionedThroughputExceededException"
  | "RequestEntityTooLarge"
  | "ResourceInUseException"
  | "ResourceNotFoundException"
  | "SerializationException"
  | "ServiceUnavailable"
  | "UnknownOperationException"
  | "ValidationException";

/** The HTTP statuses of those that are not answered with 400. */
const statuses: Readonly<Partial<Record<KinesisErrorType, number>>> = {
  InternalFailure: 500,
  RequestEntityTooLarge: 413,
  ServiceUnavailable: 503,
};

export class KinesisError extends Error {
  readonly type: KinesisErrorType;
  /** The HTTP status. */
  readonly status: number;

  constructor(type: KinesisErrorType, message: string) {
    super(message);
    this.name = "KinesisError";
    this.type = type;
    this.status = statuses[type] ?? 400;
  }
}

/** A value that breaks a constraint of the API's model, in the form that AWS words it. `member` as in the API, such as ShardId. */
export function constraintError(member: string, value: unknown, constraint: string): KinesisError {
  const named = member.charAt(0).toLowerCase() + member.slice(1);
  const shown = value === undefined ? "null" : `'${String(value).slice(0, 100)}'`;
  return new KinesisError(
    "ValidationException",
    `1 validation error detected: Value ${shown} at '${named}' failed to satisfy constraint: Member must ${constraint}`,
  );
}
