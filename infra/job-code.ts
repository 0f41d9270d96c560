/**
 * The code of a job's functions as assets: one bundle for all tasks, one each for the coordinator and the check, made as they are emulated.
 *
 * A1 An asset is named by the hash of its code, so what did not change is not deployed anew (packaging/bundle.ts).
 */
import { createHash } from "node:crypto";
import { writeFileSync } from "node:fs";
import { dirname, extname, join, resolve } from "node:path";
import { AssetHashType, DockerImage, Stack } from "aws-cdk-lib";
import { Code } from "aws-cdk-lib/aws-lambda";
import type { Construct } from "constructs";
import { entryOf, type FunctionKind } from "../functions/contract.ts";
import { type Bundle, bundleFunctionSync } from "../packaging/bundle.ts";
import type { StreamJobProps } from "./stream-job-props.ts";

/** Where the handlers are, and how modules are called there: this runs from sources and from what is built of them. */
const functions = join(import.meta.dirname, "..", "functions");
const extension = extname(import.meta.filename);

const bundles = new Map<string, Bundle>();

/**
 * Throws `invalid` for a module that does not compile, with the place. Of stacks that this synthesis does not deploy nothing is bundled, and
 * the asset is named by its entry alone.
 */
export function jobCode(
  scope: Construct,
  kind: FunctionKind,
  { entry, parameters = {} }: Pick<StreamJobProps, "entry" | "parameters">,
): Code {
  const contents = entryOf(kind, resolve(entry), functions, { extension, parameters });
  const directory = dirname(resolve(entry));
  const isBundled = Stack.of(scope).bundlingRequired;
  return Code.fromAsset(directory, {
    assetHashType: AssetHashType.CUSTOM,
    assetHash: isBundled ? bundleOf(contents, directory).hash : createHash("sha256").update(contents).digest("hex"),
    bundling: {
      // Never asked for: what is bundled is bundled here.
      image: DockerImage.fromRegistry("none"),
      local: {
        tryBundle: (output) => {
          for (const [name, bytes] of bundleOf(contents, directory).files) writeFileSync(join(output, name), bytes);
          return true;
        },
      },
    },
  });
}

/** Constructs of one job in one process share it: an app with a job for each of several regions bundles once. */
function bundleOf(contents: string, directory: string): Bundle {
  const known = bundles.get(contents);
  if (known !== undefined) return known;
  const bundle = bundleFunctionSync({ entry: { contents, directory } });
  bundles.set(contents, bundle);
  return bundle;
}
