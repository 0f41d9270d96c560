/** What is used of dynalite, which brings no declarations. */
declare module "dynalite" {
  import type { Server } from "node:http";
  interface DynaliteOptions {
    /** How long a table stays in each of these states. */
    readonly createTableMs?: number;
    readonly deleteTableMs?: number;
    readonly updateTableMs?: number;
    readonly maxItemSizeKb?: number;
    /** A folder for the tables; without it they live in memory. */
    readonly path?: string;
  }
  export default function dynalite(options?: DynaliteOptions): Server;
}
