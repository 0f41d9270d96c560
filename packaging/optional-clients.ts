/**
 * Clients of AWS services that few jobs use, and the modules that declare what uses them. They are imported where they are needed
 * (adapters/aws/lazy-clients.ts), and stay out of the bundles of jobs that declare nothing of the kind.
 *
 * O1 A bundle holds a client when what declares its use is in the bundle, or when something imports it outright; else no code in it asks for
 *    it.
 */
import type { Metafile } from "esbuild";

/** By package: modules, as they end without their extension. */
const declaredBy: Readonly<Record<string, readonly string[]>> = {
  "@aws-sdk/client-dynamodb-streams": ["connectors/dynamodb/dynamodb-stream"],
  "@aws-sdk/client-eventbridge": ["connectors/event-bridge/event-bridge-sink"],
  "@aws-sdk/client-firehose": ["connectors/firehose/firehose-sink"],
  "@aws-sdk/client-lambda": ["connectors/lambda/lambda-sink"],
  "@aws-sdk/client-sns": ["connectors/sns/sns-sink"],
  "@aws-sdk/client-sqs": ["connectors/sqs/sqs-sink"],
};

export const optionalClients: readonly string[] = Object.keys(declaredBy);

/** Those that a bundle needs which was made without any. */
export function neededClients({ outputs }: Metafile): readonly string[] {
  const all = Object.values(outputs);
  const modules = all.flatMap(({ inputs }) =>
    Object.entries(inputs).flatMap(([path, { bytesInOutput }]) => (bytesInOutput > 0 ? [path.replace(/\.[jt]s$/, "")] : [])),
  );
  const imported = new Set(
    all.flatMap(({ imports }) => imports.flatMap(({ path, kind }) => (kind === "import-statement" ? [path] : []))),
  );
  return optionalClients.filter(
    (client) => imported.has(client) || declaredBy[client]!.some((module) => modules.some((path) => path.endsWith(module))),
  );
}
