/** A client of the SDK that lets through some entries of a batch, or loses answers: what no stand-in of queues and topics does by itself. */
import type { Fates } from "./service-fakes.ts";

interface Entry {
  readonly Id?: string;
  readonly MessageBody?: string;
  readonly Message?: string;
}

interface Client {
  send(command: any, options?: any): Promise<any>;
}

/** Names of the lists of entries, in commands. */
const lists = ["Entries", "PublishBatchRequestEntries"];

/** `fates` is looked at with each call. `onRequest` is told of each batch that is sent. */
export function faultyClient<C extends Client>(client: C, fates: () => Fates, onRequest: () => void): C {
  const send = async (command: { input: Record<string, any> }, options: unknown) => {
    const list = lists.find((name) => command.input[name] !== undefined);
    const fate = fates().request();
    if (fate === "throttle") throw named("ThrottlingException", 400);
    if (fate === "deny") throw named("AccessDenied", 403);
    if (list === undefined) return client.send(command, options);
    onRequest();
    const entries = command.input[list] as Entry[];
    const fateOf = new Map(entries.map((entry) => [entry.Id, fates().entry(JSON.parse((entry.MessageBody ?? entry.Message)!))]));
    command.input[list] = entries.filter(({ Id }) => fateOf.get(Id) === "take");
    const answer = command.input[list].length === 0 ? {} : await client.send(command, options);
    if (fate === "lose") throw Object.assign(new Error("socket hang up"), { code: "ECONNRESET" });
    const Failed = [...fateOf].flatMap(([Id, each]) => {
      if (each === "take") return [];
      return each === "again"
        ? [{ Id, Code: "InternalError", SenderFault: false, Message: "later" }]
        : [{ Id, Code: "InvalidMessageContents", SenderFault: true, Message: "never" }];
    });
    return { ...answer, Failed: [...(answer.Failed ?? []), ...Failed] };
  };
  return new Proxy(client, { get: (target, name) => (name === "send" ? send : Reflect.get(target, name)) });
}

function named(name: string, status: number): Error {
  return Object.assign(new Error(name), { name, $metadata: { httpStatusCode: status } });
}
