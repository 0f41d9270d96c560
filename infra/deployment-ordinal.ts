/**
 * The number of a deployment, which must be higher than those before (R9, L4): by it, environments of older code know that they are over.
 *
 * D1 All jobs of an app have the same, however long its synthesis takes.
 */
import type { Construct } from "constructs";
import { MillraceError } from "../runtime/base/errors.ts";

export const deploymentContext = "millrace:deployment";

const ordinals = new WeakMap<object, number>();

/** Seconds since 1970 unless the context says otherwise: rising without anybody who counts. */
export function deploymentOrdinal(scope: Construct): number {
  const given = scope.node.tryGetContext(deploymentContext) as unknown;
  if (given !== undefined) return checked(given);
  const { root } = scope.node;
  const known = ordinals.get(root) ?? Math.floor(Date.now() / 1000);
  ordinals.set(root, known);
  return known;
}

function checked(given: unknown): number {
  const ordinal = Number(given);
  if (Number.isSafeInteger(ordinal) && ordinal >= 1) return ordinal;
  throw new MillraceError("invalid", `the context value ${deploymentContext} is a whole number from 1 on: ${String(given)}`);
}
