/** Confluent's schema registry, and those that speak as it does (Redpanda, Apicurio, Karapace): the declaration. */
import { MillraceError } from "../../base/errors.ts";
import { ConfluentSchemas } from "./confluent-schemas.ts";
import type { RegistryDeclaration } from "./record-schemas.ts";

export interface ConfluentRegistryOptions {
  /** Its address, without the path of a schema: `https://registry.example:8081`. */
  readonly url: string;
  /** The logical name, bound on one machine with `--bind <name>=<address or directory>`. Default "schemas". */
  readonly name?: string;
  /** Headers of each request: for `authorization`, which must stand in no plan. Called where records are read. */
  readonly headers?: () => Promise<Readonly<Record<string, string>>> | Readonly<Record<string, string>>;
}

/** Throws `invalid` for an address that is none. */
export function confluentRegistry({
  url,
  name = "schemas",
  headers = () => ({}),
}: ConfluentRegistryOptions): RegistryDeclaration {
  checkAddress(url);
  return {
    kind: "confluent",
    name,
    open: async (bound) => {
      const address = bound ?? url;
      checkAddress(address);
      return new ConfluentSchemas({ url: address, headers });
    },
  };
}

function checkAddress(url: string): void {
  const parsed = URL.parse(url);
  if (parsed === null || !/^https?:$/.test(parsed.protocol))
    throw new MillraceError("invalid", `a registry's address begins with http:// or https://: ${url}`);
  if (parsed.username !== "" || parsed.password !== "")
    throw new MillraceError("invalid", "a registry's address stands in the plan and must hold no password: give it by headers");
}
