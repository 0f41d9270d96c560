/** Standard Schema validation at the edge of a job: synchronous, and a failure reads as a reason. */
import type { Schema, Type } from "../../api/functions.ts";
import { MillraceError, messageOf } from "../../base/errors.ts";
import { Rejection } from "./format.ts";

/** What a format is given to check values with: a validator, or a type that may carry one. */
export type SchemaOrType<T> = Schema<T> | Type<T>;

interface Issue {
  readonly message: string;
  readonly path?: readonly (PropertyKey | { readonly key: PropertyKey })[] | undefined;
}

const issuesShown = 5;

/**
 * Checks a value and gives what the schema made of it; undefined when there is nothing to check. The function throws `Rejection`
 * for a value that does not validate, `invalid` for an asynchronous schema.
 */
export function validator<T>(schemaOrType: SchemaOrType<T> | undefined): ((value: unknown) => T) | undefined {
  const schema = schemaOf(schemaOrType);
  return schema === undefined ? undefined : (value) => validate(schema, value);
}

function schemaOf<T>(given: SchemaOrType<T> | undefined): Schema<T> | undefined {
  if (given === undefined) return undefined;
  return "~standard" in given ? given : given.schema;
}

function validate<T>(schema: Schema<T>, value: unknown): T {
  const result = run(schema, value);
  if (isPromise(result)) {
    const { vendor } = schema["~standard"];
    throw new MillraceError(
      "invalid",
      `a format cannot wait for an asynchronous validator: make the schema synchronous: ${vendor}`,
    );
  }
  const { issues, value: valid } = result as { readonly value: T; readonly issues?: readonly Issue[] };
  if (issues !== undefined) throw new Rejection(describeIssues(issues));
  return valid;
}

function run(schema: Schema<unknown>, value: unknown): unknown {
  try {
    return schema["~standard"].validate(value);
  } catch (error) {
    throw new Rejection(`the schema threw: ${messageOf(error)}`);
  }
}

function isPromise(result: unknown): boolean {
  return typeof (result as { then?: unknown } | null)?.then === "function";
}

function describeIssues(issues: readonly Issue[]): string {
  const shown = issues.slice(0, issuesShown).map(describeIssue);
  const more = issues.length > issuesShown ? [`${issues.length - issuesShown} more`] : [];
  return `does not match the schema: ${[...shown, ...more].join("; ")}`;
}

function describeIssue({ path, message }: Issue): string {
  return path === undefined || path.length === 0 ? message : `${describePath(path)}: ${message}`;
}

function describePath(path: NonNullable<Issue["path"]>): string {
  return path
    .map((part) => describeStep(typeof part === "object" ? part.key : part))
    .join("")
    .replace(/^\./, "");
}

function describeStep(key: PropertyKey): string {
  return typeof key === "number" ? `[${key}]` : `.${String(key)}`;
}
