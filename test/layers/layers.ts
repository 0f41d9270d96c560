/**
 * Which part of the repository may import which: the architecture as data. layers.test.ts holds the code to it.
 *
 * A file belongs to the layer with the longest matching path. Every file may import its own layer. Types count as imports.
 */

export interface Layer {
  /** A folder or a file, from the root of the repository. */
  readonly path: string;
  /** Paths of layers; a layer's path does not stand for those of layers below it. */
  readonly imports: readonly string[];
  /** Modules of Node, without "node:". */
  readonly builtins: readonly string[] | "any";
  /** npm packages; a name ending in "/" is a scope. */
  readonly packages: readonly string[];
}

const none: readonly string[] = [];

/** The engine from `base` to `task`: no I/O, so no modules of Node but those that compute. */
function pure(path: string, imports: readonly string[], builtins: readonly string[] = none): Layer {
  return { path, imports, builtins, packages: none };
}

/** What runs in the world. */
function impure(path: string, imports: readonly string[], packages: readonly string[] = none): Layer {
  return { path, imports, builtins: "any", packages };
}

const base = "runtime/base";
const api = "runtime/api";
const plan = "runtime/plan";
const ports = "runtime/ports";
const connectors = "runtime/connectors";
const avroBounds = "runtime/connectors/formats/avro-bounds.ts";
const protobufFits = "runtime/connectors/formats/protobuf-fits.ts";
const surface = "runtime/index.ts";
const cornerstones = ["runtime/streaming", "runtime/state", "runtime/time", "runtime/snapshots"];
const [streaming, state, time] = cornerstones as [string, string, string];
const engine = [base, api, plan, ...cornerstones, "runtime/operators", "runtime/task", ports, "runtime/driver"];
const adapters = ["runtime/adapters", "runtime/adapters/memory", "runtime/adapters/local"];
const aws = "runtime/adapters/aws";

export const layers: readonly Layer[] = [
  pure(base, [], ["zlib"]),
  pure(api, [base]),
  pure(plan, [base, api], ["crypto"]),
  pure(streaming, [base, api], ["buffer", "crypto", "zlib"]),
  pure(state, [base, api, streaming], ["buffer", "crypto"]),
  pure(time, [base, api, streaming, state]),
  pure("runtime/snapshots", [base, api, plan, streaming, state, time], ["buffer", "crypto", "zlib"]),
  pure("runtime/operators", [base, api, plan, ...cornerstones]),
  pure("runtime/task", [base, api, plan, ...cornerstones, "runtime/operators"]),
  pure(ports, [base, api, streaming]),
  pure("runtime/driver", engine.slice(0, -1), ["buffer", "crypto", "zlib"]),

  impure("runtime/adapters", [base, api, streaming, ports]),
  impure("runtime/adapters/memory", [base, api, streaming, ports, "runtime/adapters"]),
  impure("runtime/adapters/local", [base, api, streaming, ports, "runtime/adapters"]),
  impure(aws, [base, api, streaming, ports, "runtime/adapters", connectors], ["@aws-sdk/", "@smithy/"]),
  impure(connectors, [base, api, ports], ["hyparquet-writer"]),
  // Packages of their own: a job that does not import them does not carry the libraries.
  impure("runtime/connectors/formats/avro.ts", [base, api, connectors, avroBounds], ["avsc"]),
  impure(avroBounds, [base, connectors], ["avsc"]),
  impure("runtime/connectors/formats/protobuf.ts", [base, api, connectors, protobufFits], ["protobufjs"]),
  impure(protobufFits, [], ["protobufjs"]),
  pure(surface, [base, api, plan, connectors]),
  // What applications put events into a stream with: nothing of the engine that runs jobs.
  impure("producer", [base, ports, connectors, aws, "runtime/adapters/local"], ["@aws-sdk/", "@smithy/"]),
  impure("runtime/testing", [...engine, ...adapters, connectors, surface], ["fast-check"]),

  // The parts of AWS that run on one machine: npm packages made whole, and servers of our own over the embedded adapters.
  impure("emulator", [base]),
  impure("emulator/dynamodb", ["emulator"], ["dynalite"]),
  impure("emulator/s3", ["emulator"], ["fauxqs"]),
  impure("emulator/messaging", [base, "emulator", "emulator/s3", "emulator/lambda"], ["fauxqs"]),
  impure("packaging", [base], ["esbuild"]),
  impure("emulator/lambda", [base, "emulator"]),
  impure("emulator/event-source-mapping", [base, "emulator", "emulator/lambda"], ["@aws-sdk/"]),
  impure("emulator/events", [base, "emulator", "emulator/lambda", "emulator/event-source-mapping"]),

  impure("functions", [...engine, aws, connectors, "functions/contract.ts"], ["@aws-lambda-powertools/"]),
  impure(
    "cli",
    [...engine, ...adapters, aws, connectors, surface, "functions/contract.ts", "emulator/cloud"],
    ["commander", "hyparquet-writer"],
  ),
  // Names and payloads: what tools need of the functions.
  impure("functions/contract.ts", ["runtime/base", "runtime/snapshots"]),
  impure("console", ["functions"]),
  impure("emulator/kinesis", [base, api, streaming, ports, ...adapters, "emulator"]),
  // The whole of a deployment in one process and virtual time, for tests.
  impure(
    "emulator/simulation",
    [
      ...engine,
      ...adapters,
      aws,
      connectors,
      "runtime/testing",
      "functions",
      "functions/contract.ts",
      "cli",
      "infra/cells.ts",
      "emulator",
      ...["kinesis", "lambda", "event-source-mapping", "messaging"].map((part) => `emulator/${part}`),
    ],
    ["@aws-sdk/"],
  ),
  impure(
    "emulator/cloud",
    [
      base,
      ...adapters,
      "packaging",
      "emulator",
      ...["dynamodb", "s3", "messaging", "events", "kinesis", "lambda", "event-source-mapping"].map((part) => `emulator/${part}`),
    ],
    ["@aws-sdk/", "@smithy/"],
  ),
  impure(
    "infra",
    [base, api, plan, connectors, surface, "functions", "functions/contract.ts", "infra/cells.ts", "packaging", aws],
    ["aws-cdk-lib", "constructs", "cdk-nag"],
  ),
  // How tasks are dealt out to functions: pure, for what takes the place of a deployment.
  pure("infra/cells.ts", [plan]),
  // Apart from the repository: what an author has is the package.
  impure("examples/own-app", [], ["millrace", "aws-cdk-lib", "constructs"]),
  impure("examples", [surface, "runtime/testing", "cli", "producer"]),
  impure(
    "bench",
    [
      ...engine,
      ...adapters,
      connectors,
      surface,
      "runtime/testing",
      "cli",
      "examples",
      "packaging",
      "emulator/kinesis",
      "functions",
      "functions/contract.ts",
      aws,
      "emulator/dynamodb",
      "emulator/s3",
      "emulator/lambda",
      "emulator/simulation",
      "emulator",
      "producer",
    ],
    ["@aws-sdk/", "@smithy/"],
  ),
  impure("docs", [surface, "runtime/testing"]),
];

/**
 * What a job module loads, wherever it is imported: declarations alone. A connector's reader or writer is reached by none of
 * them, so that importing a job touches no network, no disk and no clock.
 */
export const authorsSurface = {
  entry: surface,
  layers: [surface, base, api, plan, connectors],
  builtins: ["buffer", "crypto", "zlib"],
  /** That compute, and no more. */
  packages: ["hyparquet-writer"],
  never: /^runtime\/connectors\/(?:.*\/)?(?:reader|writer)\.ts$/,
} as const;
