/**
 * Asks Confluent's schema registry.
 *
 * Source: https://docs.confluent.io/platform/current/schema-registry/develop/api
 */
import type { WriterSchema } from "../../api/connector.ts";
import { messageOf, MillraceError } from "../../base/errors.ts";
import type { SchemaRegistry } from "../../ports/schema-registry.ts";
import type { ConfluentRegistryOptions } from "./confluent.ts";

/** A request that is not answered in this time has failed. */
const answerMsMax = 10_000;
const referencesMax = 200;

interface Answer {
  readonly schema?: unknown;
  readonly references?: readonly { readonly name?: unknown; readonly subject?: unknown; readonly version?: unknown }[];
}

type Reference = WriterSchema["references"][number];

export class ConfluentSchemas implements SchemaRegistry {
  readonly #url: string;
  readonly #headers: NonNullable<ConfluentRegistryOptions["headers"]>;

  constructor({ url, headers = () => ({}) }: Pick<ConfluentRegistryOptions, "url" | "headers">) {
    this.#url = url.replace(/\/+$/, "");
    this.#headers = headers;
  }

  async schema(id: string): Promise<WriterSchema | undefined> {
    const answer = await this.#get(`schemas/ids/${encodeURIComponent(id)}`);
    if (answer === undefined) return undefined;
    const references: Reference[] = [];
    await this.#collect(answer, references, new Set());
    return { id, definition: definitionOf(answer, id), references };
  }

  /** What is named comes before what names it. */
  async #collect({ references = [] }: Answer, into: Reference[], seen: Set<string>): Promise<void> {
    for (const { name, subject, version } of references) {
      if (seen.has(String(name))) continue;
      seen.add(String(name));
      if (seen.size > referencesMax)
        throw new MillraceError("invalid", `a schema names more than ${referencesMax} others: ${String(name)}`);
      const path = `subjects/${encodeURIComponent(String(subject))}/versions/${encodeURIComponent(String(version))}`;
      const answer = await this.#get(path);
      if (answer === undefined)
        throw new MillraceError("invalid", `a schema names another that its registry does not have: ${this.#url}/${path}`);
      await this.#collect(answer, into, seen);
      into.push({ name: String(name), definition: definitionOf(answer, path) });
    }
  }

  /** Undefined: there is none. An address that leads elsewhere must not look like a registry without schemas: every record would be put aside. */
  async #get(path: string): Promise<Answer | undefined> {
    const url = `${this.#url}/${path}`;
    let response: Response;
    let text: string;
    try {
      const headers = { accept: "application/vnd.schemaregistry.v1+json", ...(await this.#headers()) };
      response = await fetch(url, { headers, signal: AbortSignal.timeout(answerMsMax), redirect: "error" });
      text = await response.text();
    } catch (error) {
      if (error instanceof MillraceError) throw error;
      const why = messageOf((error as { cause?: unknown }).cause ?? error);
      throw new MillraceError("unavailable", `the schema registry does not answer, it is asked again: ${url}: ${why}`, {
        cause: error,
      });
    }
    if (response.status === 404 && isAbsence(text)) return undefined;
    if (response.ok) return readSchemaAnswer(text, url);
    if (response.status >= 500 || response.status === 429 || response.status === 408)
      throw new MillraceError(
        "unavailable",
        `the schema registry does not answer, it is asked again: ${url}: ${response.status}`,
      );
    const advice =
      response.status === 401 || response.status === 403 ? "give the registry's headers an authorization" : "check its address";
    throw new MillraceError("invalid", `the schema registry refuses, ${advice}: ${url}: ${response.status}`);
  }
}

/** What the registry says of a schema. Throws `invalid` for what is no answer of a registry. */
export function readSchemaAnswer(text: string, url: string): Answer {
  try {
    const answer: unknown = JSON.parse(text);
    if (isObject(answer)) {
      const { schema, references = [] } = answer as Answer;
      if (Array.isArray(references) && references.every(isObject)) return { schema, references };
    }
  } catch {
    // As any other answer that is none.
  }
  throw new MillraceError("invalid", `this is no schema registry, check its address: ${url}`);
}

/** Whether it is a registry that says that it has no such thing, and not whatever else is at the address. */
function isAbsence(text: string): boolean {
  try {
    return /^404\d+$/.test(String((JSON.parse(text) as { readonly error_code?: unknown } | null)?.error_code));
  } catch {
    return false;
  }
}

function isObject(value: unknown): boolean {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Throws `invalid` for an answer that has none. */
export function definitionOf({ schema }: Answer, what: string): string {
  if (typeof schema === "string") return schema;
  throw new MillraceError("invalid", `the schema registry gives no schema: ${what}`);
}
