/**
 * What CloudFormation asks of a function behind a custom resource, and how it is answered: by a PUT to an address that the request names.
 *
 * Source: https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/crpg-ref-requesttypes.html
 */
import { messageOf, MillraceError } from "../runtime/base/errors.ts";

type Properties = Readonly<Record<string, unknown>>;

export interface CustomResourceRequest {
  readonly type: "Create" | "Update" | "Delete";
  readonly responseUrl: string;
  /** Names the request in the answer. */
  readonly identity: { readonly StackId: string; readonly RequestId: string; readonly LogicalResourceId: string };
  /** The resource's own name, where it has one already. */
  readonly physicalId: string | undefined;
  readonly properties: Properties;
  /** Of an update: those before. */
  readonly oldProperties: Properties;
}

/** "failed" ends the deployment, with the reason in its events. */
export type CustomResourceOutcome = { readonly outcome: "passed" } | { readonly outcome: "failed"; readonly reason: string };

/** An answer has 4,096 bytes at most; this leaves room for its other fields. */
const reasonLengthMax = 2_500;
const attemptsMax = 4;

/** Throws `invalid` for what is no such request. */
export function decodeCustomResource(event: unknown): CustomResourceRequest {
  const { RequestType, ResponseURL, ResourceProperties, OldResourceProperties, ...rest } = (event ?? {}) as Properties;
  if (RequestType !== "Create" && RequestType !== "Update" && RequestType !== "Delete")
    throw new MillraceError(
      "invalid",
      "the event is no request of CloudFormation's: this function is called by a deployment alone",
    );
  const { StackId, RequestId, LogicalResourceId, PhysicalResourceId } = rest;
  return {
    type: RequestType,
    responseUrl: String(ResponseURL),
    identity: { StackId: String(StackId), RequestId: String(RequestId), LogicalResourceId: String(LogicalResourceId) },
    physicalId: typeof PhysicalResourceId === "string" ? PhysicalResourceId : undefined,
    properties: (ResourceProperties ?? {}) as Properties,
    oldProperties: (OldResourceProperties ?? {}) as Properties,
  };
}

/** Throws `unavailable` when the answer does not arrive: CloudFormation then waits until the resource's time is over. */
export async function answerCustomResource(
  { responseUrl, identity, physicalId }: CustomResourceRequest,
  answer: CustomResourceOutcome,
  newId: string,
): Promise<void> {
  const body = JSON.stringify({
    ...identity,
    PhysicalResourceId: physicalId ?? newId,
    ...(answer.outcome === "passed"
      ? { Status: "SUCCESS" }
      : { Status: "FAILED", Reason: answer.reason.slice(0, reasonLengthMax) }),
  });
  for (let attempt = 1; ; attempt++) {
    try {
      // Bytes, not a text: the address is signed for a request without a content type.
      const { ok, status } = await fetch(responseUrl, { method: "PUT", body: Buffer.from(body) });
      if (ok) return;
      throw new Error(`status ${status}`);
    } catch (error) {
      if (attempt === attemptsMax)
        throw new MillraceError("unavailable", `CloudFormation could not be answered: ${messageOf(error)}`, { cause: error });
    }
  }
}
