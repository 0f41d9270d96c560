/** What a failure of an AWS call means to whoever runs the job: which kind, and what to do. */
import { type ErrorKind, messageOf, MillraceError } from "../../base/errors.ts";

type Meaning = readonly [kind: ErrorKind, advice: string];

const throttled: Meaning = ["unavailable", "throttled by AWS, it is tried again: raise the capacity if this goes on"];
const unanswered: Meaning = ["unavailable", "AWS did not answer, it is tried again"];
const unreached: Meaning = [
  "unavailable",
  "AWS did not answer, it is tried again: if this goes on, AWS_REGION or AWS_ENDPOINT_URL is wrong, or the network is closed",
];
// Of a shard's iterator: who stood still for minutes after asking for it, and once more after asking again, begins anew.
const iteratorExpired: Meaning = ["unavailable", "the place in the shard was used too late, it is asked for again"];
const expired: Meaning = ["unavailable", "the credentials have expired: they must be refreshed"];
const skewed: Meaning = ["unavailable", "this machine's clock differs from AWS's by minutes: set it"];
const forbidden: Meaning = ["invalid", "no permission, add it to the role that the job runs as"];
const elsewhere: Meaning = ["invalid", "it lies in another region, set AWS_REGION to that one"];
const otherKeys: Meaning = ["invalid", "the table has other keys than the job needs: name another, or create it as the job says"];
const noKey: Meaning = [
  "invalid",
  "the key that it is encrypted with cannot be used: look at the job's role and the key's state",
];
const noQueue: Meaning = ["invalid", "there is no such queue in this account and region: create it, or set AWS_REGION"];
const noCredentials: Meaning = ["invalid", "no credentials are found: set a profile, a role or AWS_ACCESS_KEY_ID"];

/** By the name of the SDK's error. */
const meanings: Readonly<Record<string, Meaning>> = {
  ProvisionedThroughputExceededException: throttled,
  ThrottlingException: throttled,
  Throttling: throttled,
  RequestLimitExceeded: throttled,
  LimitExceededException: throttled,
  KMSThrottlingException: throttled,
  KmsThrottled: throttled,
  KMSThrottling: throttled,
  RequestThrottled: throttled,
  Throttled: throttled,
  ThrottledException: throttled,
  LimitExceeded: throttled,
  SlowDown: throttled,
  TooManyRequestsException: throttled,
  InternalServerError: unanswered,
  InternalFailure: unanswered,
  InternalException: unanswered,
  ServiceException: unanswered,
  ServiceUnavailableException: unanswered,
  InternalError: unanswered,
  ServiceUnavailable: unanswered,
  TimeoutError: unanswered,
  RequestTimeout: unanswered,
  AbortError: unanswered,
  ConditionalRequestConflict: unanswered,
  OperationAborted: unanswered,
  ResourceInUseException: unanswered,
  NoSuchUpload: unanswered,
  // Of a function that is being changed.
  ResourceConflictException: unanswered,
  ExpiredIteratorException: iteratorExpired,
  ExpiredToken: expired,
  ExpiredTokenException: expired,
  RequestTimeTooSkewed: skewed,
  RequestExpired: skewed,
  ResourceNotFoundException: [
    "invalid",
    "there is no such table, stream, bus or function in this account and region: create it, or set AWS_REGION",
  ],
  QueueDoesNotExist: noQueue,
  "AWS.SimpleQueueService.NonExistentQueue": noQueue,
  NotFoundException: ["invalid", "there is no such topic in this account and region: create it, or set AWS_REGION"],
  NoSuchBucket: ["invalid", "there is no such bucket: create it"],
  AccessDenied: forbidden,
  AccessDeniedException: forbidden,
  Forbidden: forbidden,
  NotAuthorized: forbidden,
  AuthorizationErrorException: forbidden,
  AuthorizationError: forbidden,
  KMSAccessDenied: noKey,
  KmsAccessDenied: noKey,
  KmsDisabled: noKey,
  KmsNotFound: noKey,
  KmsInvalidState: noKey,
  KmsInvalidKeyUsage: noKey,
  KMSAccessDeniedException: ["invalid", "no permission to use the key that it is encrypted with, add it to the job's role"],
  KMSDisabledException: ["invalid", "the key that it is encrypted with is disabled: enable it"],
  KMSInvalidStateException: ["invalid", "the key that it is encrypted with cannot be used: look at its state"],
  UnrecognizedClientException: ["invalid", "AWS does not know these credentials: check them, and AWS_REGION"],
  InvalidAccessKeyId: ["invalid", "AWS does not know these credentials: check them"],
  MissingAuthenticationTokenException: noCredentials,
  CredentialsProviderError: noCredentials,
  PermanentRedirect: elsewhere,
  AuthorizationHeaderMalformed: elsewhere,
  IllegalLocationConstraintException: elsewhere,
};

/** The system's errors that mean that a request got no answer, and those that mean that nobody was there to give one. */
const lostCodes = new Set(["ECONNRESET", "EPIPE", "ETIMEDOUT"]);
const unreachedCodes = new Set(["ECONNREFUSED", "ENOTFOUND", "EAI_AGAIN", "EHOSTUNREACH", "ENETUNREACH"]);

interface SdkError {
  readonly name?: string;
  readonly code?: string;
  readonly $metadata?: { readonly httpStatusCode?: number };
}

/** The MillraceError for anything thrown by a call that did `what` (with the names of what it was done to last); ours pass through. */
export function awsError(error: unknown, what: string): MillraceError {
  if (error instanceof MillraceError) return error;
  const [kind, advice] = meaningOf(error);
  const said = `${nameOf(error)}: ${messageOf(error)}`;
  return new MillraceError(kind, `${advice}: ${what} (${said})`, { cause: error });
}

/** True for an error of the SDK with one of these names. */
export function isNamed(error: unknown, ...names: readonly string[]): boolean {
  return names.includes(nameOf(error));
}

/** True when AWS asks to slow down. */
export function isThrottled(error: unknown): boolean {
  return meaningOf(error) === throttled;
}

/** What an entry's error code in the answer to a batch means; undefined: nothing that is known. */
export function codeError(code: string, message: string, what: string): MillraceError | undefined {
  if (!Object.hasOwn(meanings, code)) return undefined;
  return awsError(Object.assign(new Error(message), { name: code }), what);
}

function meaningOf(error: unknown): Meaning {
  const { code, $metadata } = error as SdkError;
  const name = nameOf(error);
  const message = messageOf(error);
  if (isSkew(name, message)) return skewed;
  if (isOtherKeys(name, message)) return otherKeys;
  const known = meanings[name] ?? (code === undefined ? undefined : meanings[code]);
  if (known !== undefined) return known;
  if (code !== undefined && lostCodes.has(code)) return unanswered;
  if (code !== undefined && unreachedCodes.has(code)) return unreached;
  if (/region is missing/i.test(message)) return ["invalid", "no region is set: set AWS_REGION or a profile that has one"];
  const status = $metadata?.httpStatusCode;
  if (status === 429) return throttled;
  if (status !== undefined && status >= 500) return unanswered;
  if (status === 301 || status === 307) return elsewhere;
  if (status === 401 || status === 403) return forbidden;
  if (status !== undefined) return ["invalid", "AWS refuses the request"];
  return ["internal", "the call failed in a way that is not known"];
}

/** A signature is refused for its time, under a name that also stands for a wrong key. */
function isSkew(name: string, message: string): boolean {
  return name === "InvalidSignatureException" && /expired|not yet current/i.test(message);
}

/** What DynamoDB says of a table whose keys are not those of the request. */
function isOtherKeys(name: string, message: string): boolean {
  return name === "ValidationException" && /key element does not match|missing the key|missed? key schema/i.test(message);
}

function nameOf(error: unknown): string {
  return (error as SdkError | null)?.name ?? "";
}
