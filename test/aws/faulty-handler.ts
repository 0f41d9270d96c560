/**
 * A handler of HTTP requests that loses answers after their effect, answers for the service, or lets requests through one at a time.
 * It stands between the SDK and a stand-in: everything above it is what runs on AWS.
 */
import { Readable } from "node:stream";
import { NodeHttpHandler } from "@smithy/node-http-handler";

type Request = Parameters<NodeHttpHandler["handle"]>[0];
type Answer = Awaited<ReturnType<NodeHttpHandler["handle"]>>;

/** What becomes of a request. `lose`: it takes effect, its answer does not arrive. */
export type Fate =
  | { readonly kind: "pass" }
  | { readonly kind: "lose" }
  | { readonly kind: "refuse"; readonly status: number; readonly body: object | string }
  /** The answer's body, changed. */
  | { readonly kind: "change"; readonly change: (body: any) => object };

export const pass: Fate = { kind: "pass" };
export const lose: Fate = { kind: "lose" };

/** As the JSON services say it. */
export function refusal(name: string, message = name, status = 400): Fate {
  return { kind: "refuse", status, body: { __type: `com.amazonaws#${name}`, message } };
}

export class FaultyHandler extends NodeHttpHandler {
  /** Names of operations, in the order in which they were sent. */
  readonly sent: string[] = [];
  /** Decides over each request, by the name of its operation and its body. */
  decide: (operation: string, body: any) => Fate | Promise<Fate> = () => pass;

  override async handle(request: Request, options?: Parameters<NodeHttpHandler["handle"]>[1]): Promise<Answer> {
    const operation = request.headers["x-amz-target"]?.split(".")[1] ?? `${request.method} ${request.path}`;
    this.sent.push(operation);
    const fate = await this.decide(operation, parsed(request.body));
    if (fate.kind === "refuse") return answerOf(fate.status, fate.body);
    const answer = await super.handle(request, options);
    if (fate.kind === "pass") return answer;
    const body = await textOf(answer.response.body as Readable);
    if (fate.kind === "change") return answerOf(answer.response.statusCode, fate.change(JSON.parse(body)));
    throw Object.assign(new Error("socket hang up"), { code: "ECONNRESET", name: "Error" });
  }
}

/** JSON for an object, XML for text. */
function answerOf(statusCode: number, body: object | string): Answer {
  const bytes = Buffer.from(typeof body === "string" ? body : JSON.stringify(body));
  const headers = { "content-type": typeof body === "string" ? "application/xml" : "application/x-amz-json-1.0" };
  return { response: { statusCode, headers, body: Readable.from([bytes]) } } as unknown as Answer;
}

/** Of what is no object, as those of S3 of many megabytes, nothing is read. */
function parsed(body: unknown): unknown {
  try {
    const bytes = Buffer.from(body as Uint8Array);
    return bytes[0] === 0x7b ? JSON.parse(bytes.toString()) : undefined;
  } catch {
    return undefined;
  }
}

async function textOf(body: Readable): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of body) chunks.push(Buffer.from(chunk as Uint8Array));
  return Buffer.concat(chunks).toString();
}
