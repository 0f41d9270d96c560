/** From outside: an app of its own, on the package as it is packed, type-checks and synthesises. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, realpathSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { promisify } from "node:util";
import { root } from "./deploy.ts";

const scratch = mkdtempSync(join(tmpdir(), "millrace-own-app-"));
after(() => rmSync(scratch, { recursive: true }));

const modules = join(root, "node_modules");

async function run(
  program: string,
  args: readonly string[],
  cwd: string,
  variables: Record<string, string> = {},
): Promise<string> {
  const options = { cwd, env: { ...process.env, ...variables }, maxBuffer: 64 << 20 };
  try {
    return (await promisify(execFile)(program, [...args], options)).stdout;
  } catch (error) {
    const { stdout, stderr } = error as { readonly stdout: string; readonly stderr: string };
    assert.fail(`${program} ${args.join(" ")}\n${stdout}\n${stderr}`);
  }
}

/** What `npm pack` makes, put where `npm install` would. */
async function install(app: string): Promise<void> {
  const source = join(scratch, "package");
  mkdirSync(source);
  for (const file of ["package.json", "README.md"]) cpSync(join(root, file), join(source, file));
  await run(
    process.execPath,
    // Types are checked of the repository, and by the app of what is packed.
    [join(modules, "typescript/bin/tsc"), "-p", "tsconfig.build.json", "--noCheck", "--outDir", join(source, "dist")],
    root,
  );
  await run("npm", ["pack", "--ignore-scripts", "--pack-destination", scratch], source);
  const tarball = readdirSync(scratch).find((name) => name.endsWith(".tgz"));
  const target = join(app, "node_modules", "millrace");
  mkdirSync(target, { recursive: true });
  await run("tar", ["-xzf", join(scratch, tarball!), "--strip-components=1", "-C", target], scratch);
  for (const name of readdirSync(realpathSync(modules)))
    if (!name.startsWith(".")) symlinkSync(join(realpathSync(modules), name), join(app, "node_modules", name));
}

test("an app of its own type-checks and synthesises on the packed package", { timeout: 300_000 }, async () => {
  const app = join(scratch, "app");
  cpSync(join(root, "examples", "own-app"), app, { recursive: true });
  await install(app);
  await run(process.execPath, [join(modules, "typescript/bin/tsc"), "-p", "."], app);
  await run(process.execPath, ["app.ts"], app, { CDK_OUTDIR: join(app, "cdk.out") });
  const template = JSON.parse(readFileSync(join(app, "cdk.out", "Orders.template.json"), "utf8"));
  const types = Object.values<{ Type: string }>(template.Resources).map(({ Type }) => Type);
  const count = (type: string) => types.filter((one) => one === type).length;
  assert.deepEqual(
    [count("AWS::Lambda::Function"), count("AWS::Lambda::EventSourceMapping"), count("AWS::Scheduler::Schedule")],
    [3, 1, 1],
  );
  const assets = readdirSync(join(app, "cdk.out")).filter((name) => name.startsWith("asset."));
  assert.equal(assets.length, 3);
  for (const asset of assets) {
    const code = readFileSync(join(app, "cdk.out", asset, "index.mjs"), "utf8");
    assert.match(code, /"orders-per-minute"/, "the job is in it");
  }
});
