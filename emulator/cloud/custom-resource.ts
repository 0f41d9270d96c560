/**
 * Custom resources, as CloudFormation makes them: the function behind one is told what is to be made and answers by a PUT to an address of
 * its own, which here is one on loopback.
 *
 * Source: https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/crpg-ref-requesttypes.html
 */
import { randomUUID } from "node:crypto";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { MillraceError } from "../../runtime/base/errors.ts";
import type { FunctionInvoker } from "../lambda/execution-environment.ts";
import { readBody } from "../lambda/read-body.ts";
import type { CustomResource } from "./topology.ts";

export interface CustomResourceCall {
  readonly id: string;
  readonly resource: CustomResource;
  /** Of the same resource in the deployment before; undefined: it is made. */
  readonly former: CustomResource | undefined;
  readonly place: { readonly region: string; readonly account: string };
}

/** CloudFormation's own limit of an answer. */
const answerBytesMax = 4096;

/** Throws `invalid`, with the function's reason, when it fails; and when the function ends without an answer. */
export async function makeCustomResource(
  invoker: FunctionInvoker,
  { id, resource, former, place }: CustomResourceCall,
): Promise<void> {
  const answered: Record<string, unknown>[] = [];
  const server = createServer((request, response) => {
    void readBody(request, answerBytesMax).then((body) => {
      if (body !== undefined) answered.push(JSON.parse(body.toString()) as Record<string, unknown>);
      response.writeHead(body === undefined ? 400 : 200).end();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  try {
    const request = {
      RequestType: former === undefined ? "Create" : "Update",
      ResponseURL: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
      StackId: `arn:aws:cloudformation:${place.region}:${place.account}:stack/emulated/${randomUUID()}`,
      RequestId: randomUUID(),
      LogicalResourceId: id,
      ResourceType: resource.type,
      ResourceProperties: resource.properties,
      ...(former !== undefined && { PhysicalResourceId: id, OldResourceProperties: former.properties }),
    };
    const result = await invoker.invoke(Buffer.from(JSON.stringify(request)));
    const { Status, Reason } = answered.at(-1) ?? { Status: undefined, Reason: describe(result) };
    if (Status === "SUCCESS") return;
    throw new MillraceError("invalid", `the deployment fails: ${id}: ${String(Reason)}`);
  } finally {
    server.closeAllConnections();
    server.close();
  }
}

function describe(result: Awaited<ReturnType<FunctionInvoker["invoke"]>>): string {
  if (result.outcome === "throttled") return "its function is throttled";
  return `its function has not answered: ${Buffer.from(result.payload).toString()}`;
}
