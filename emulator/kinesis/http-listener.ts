/**
 * HTTP/1.1 and HTTP/2 on one port of the loopback interface. HTTP/2 is recognised by the preface that its clients send first ("with
 * prior knowledge"), as AWS's SDK for JavaScript does to an http:// endpoint.
 */
import { createServer as createHttp1, type IncomingMessage, type ServerResponse } from "node:http";
import { createServer as createHttp2, type ServerHttp2Session } from "node:http2";
import { type AddressInfo, createServer, type Socket } from "node:net";
import { keepConnections } from "../keep-connections.ts";

/** One request, in either version: HTTP/2's have all of HTTP/1.1's calls that are used here. */
export interface Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  /** False when the caller is gone: nothing can be answered. */
  isOpen(): boolean;
  /** Cuts the connection, with all that is under way on it. */
  drop(): void;
}

export interface Listener {
  readonly port: number;
  /** Stops listening and cuts all connections. */
  close(): Promise<void>;
}

const host = "127.0.0.1";
/** The first three bytes of HTTP/2's preface; no method of HTTP/1.1 begins so. */
const preface = Buffer.from("PRI");
/** Large puts would otherwise wait for the default window of 64 KB again and again. */
const windowBytes = 16 * 1024 * 1024;

/** Port 0: a free one. */
export async function listen(port: number, onExchange: (exchange: Exchange) => void): Promise<Listener> {
  const sockets = new Set<Socket>();
  const sessions = new Set<ServerHttp2Session>();
  const http1 = createHttp1((request, response) => {
    const { socket } = request;
    onExchange({ request, response, isOpen: () => !socket.destroyed, drop: () => socket.destroy() });
  });
  keepConnections(http1);
  const http2 = createHttp2({ settings: { initialWindowSize: windowBytes } }, (request, response) => {
    const { stream } = request;
    const { session } = stream;
    onExchange({
      request: request as unknown as IncomingMessage,
      response: response as unknown as ServerResponse,
      isOpen: () => !stream.destroyed,
      drop: () => session?.destroy(),
    });
  });
  http2.on("session", (session) => {
    sessions.add(session);
    session.setLocalWindowSize(windowBytes);
    session.on("close", () => sessions.delete(session));
    session.on("error", () => undefined);
  });
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
    socket.on("error", () => socket.destroy());
    socket.setNoDelay(true);
    readPreface(socket, (isHttp2) => (isHttp2 ? http2 : http1).emit("connection", socket));
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, host, () => resolve());
  });
  return {
    port: (server.address() as AddressInfo).port,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const session of sessions) session.destroy();
        for (const socket of sockets) socket.destroy();
      }),
  };
}

/** Looks at the first bytes of a connection and leaves them where the HTTP server finds them. */
function readPreface(socket: Socket, decide: (isHttp2: boolean) => void): void {
  let seen = Buffer.alloc(0);
  const onReadable = () => {
    const chunk = socket.read() as Buffer | null;
    if (chunk === null) return;
    seen = Buffer.concat([seen, chunk]);
    const isHttp2 = seen.subarray(0, preface.length).equals(preface.subarray(0, seen.length));
    if (isHttp2 && seen.length < preface.length) return;
    socket.off("readable", onReadable);
    socket.unshift(seen);
    decide(isHttp2);
  };
  socket.on("readable", onReadable);
}
