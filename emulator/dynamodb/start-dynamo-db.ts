/**
 * DynamoDB on loopback, in this process: dynalite, and the streams of tables before it (serve-streams.ts). It has conditional writes, batches
 * and the 400 KB limit; it has no transactions and no throttling, and does not return the item that a condition failed on.
 */
import type { IncomingMessage, Server, ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import dynalite from "dynalite";
import { type HttpFaults, installFaults } from "../http-faults.ts";
import { keepConnections } from "../keep-connections.ts";
import type { StandIn } from "../stand-in.ts";
import { serveStreams } from "./serve-streams.ts";
import { TableStreams } from "./table-streams.ts";
import { UnderWay } from "./under-way.ts";

export interface DynamoDbOptions {
  /** 0, the default, takes a free one. */
  readonly port?: number;
  /** A folder for the tables; without it they live in memory. */
  readonly directory?: string;
  /** Another, for the streams of tables. */
  readonly streamsDirectory?: string;
  /** Default "us-east-1". */
  readonly region?: string;
  /** Default "000000000000". */
  readonly account?: string;
  readonly faults?: HttpFaults;
}

export interface DynamoDb extends StandIn {
  readonly streams: TableStreams;
}

/** Starts it; tables are created at once. */
export async function startDynamoDb(options: DynamoDbOptions = {}): Promise<DynamoDb> {
  const path = options.directory === undefined ? {} : { path: options.directory };
  const server = dynalite({ createTableMs: 0, deleteTableMs: 0, updateTableMs: 0, ...path });
  keepConnections(server);
  const underWay = new UnderWay(server);
  const { region = "us-east-1", account = "000000000000" } = options;
  const streams = new TableStreams(options.streamsDirectory);
  serveStreams(server, streams, { region, account });
  if (options.faults !== undefined) installFaults(server, options.faults, { operationOf, refuse });
  await listen(server, options.port ?? 0);
  return {
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    stop: async () => {
      await underWay.close();
      await close(server);
    },
    streams,
  };
}

/** DynamoDB_20120810.PutItem. */
function operationOf({ headers }: IncomingMessage): string {
  return String(headers["x-amz-target"]).split(".").at(-1)!;
}

function refuse(response: ServerResponse, fault: "throttle" | "unavailable"): void {
  const [status, type] =
    fault === "throttle"
      ? [400, "com.amazonaws.dynamodb.v20120810#ProvisionedThroughputExceededException"]
      : [500, "com.amazonaws.dynamodb.v20120810#InternalServerError"];
  response.writeHead(Number(status), { "content-type": "application/x-amz-json-1.0" });
  response.end(JSON.stringify({ __type: type, message: "Refused by the test." }));
}

function listen(server: Server, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, "127.0.0.1", resolve);
  });
}

function close(server: Server): Promise<void> {
  return new Promise((resolve, reject) => {
    // It passes null when nothing is wrong.
    server.close((error?: Error | null) => (error ? reject(error) : resolve()));
    server.closeAllConnections();
  });
}
