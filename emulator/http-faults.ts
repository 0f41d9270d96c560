/** What a test can make go wrong with a call to a stand-in that has no such setting itself: decided by a function of the call. */
import type { IncomingMessage, Server, ServerResponse } from "node:http";
import { beforeRequests } from "./before-requests.ts";

/** `throttle`, `unavailable`: refused as the service does. `dropBefore`, `dropAfter`: cut before the call took effect, and after. */
export type HttpFault = "throttle" | "unavailable" | "dropBefore" | "dropAfter";

/** `operation`: as the service calls it; of S3 the method. Undefined: the call goes well. */
export type HttpFaults = (operation: string) => HttpFault | undefined;

/** How one service names its calls and refuses them. */
export interface ServiceWords {
  operationOf(request: IncomingMessage): string;
  refuse(response: ServerResponse, fault: "throttle" | "unavailable"): void;
}

/** Puts the faults before what a server does with its requests. */
export function installFaults(server: Server, faults: HttpFaults, words: ServiceWords): void {
  beforeRequests(server, (serve) => (request, response) => {
    const fault = faults(words.operationOf(request));
    if (fault === "dropBefore") return void request.socket.destroy();
    if (fault === "throttle" || fault === "unavailable") {
      // The caller hears the answer once it has written all it has to say.
      request.resume().once("end", () => words.refuse(response, fault));
      return;
    }
    if (fault === "dropAfter") dropAnswer(response);
    serve(request, response);
  });
}

function dropAnswer(response: ServerResponse): void {
  const drop = () => void response.socket?.destroy();
  Object.assign(response, {
    write: () => (drop(), true),
    end: () => (drop(), response),
  });
}
