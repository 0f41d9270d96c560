/** Proves that the linter catches every ban of purity.js in every pure folder, and nowhere else. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { ESLint, Linter } from "eslint";
import { parser } from "typescript-eslint";
import { bannedGlobals, bannedProperties, bannedSyntax, pureFolders } from "./purity.js";

/** One statement each that a pure layer must not contain. */
const impure = [
  // waits
  "setTimeout(f, 1);",
  "setInterval(f, 1);",
  "setImmediate(f);",
  "queueMicrotask(f);",
  "scheduler.postTask(f);",
  "export const signal = AbortSignal.timeout(5);",
  // clocks
  "export const a = Date.now();",
  "export const { now } = Date;",
  "export const b = new Date();",
  "export const c = Date();",
  "export const d = performance.now();",
  "export const e = Temporal.Now.instant();",
  // chance
  "export const g = Math.random();",
  "export const h = crypto.randomUUID();",
  'import { randomBytes } from "node:crypto";',
  'import { createHash, randomUUID as id } from "crypto";',
  'import { getRandomValues } from "node:crypto";',
  'import { webcrypto } from "node:crypto";',
  'import { generateKeyPairSync } from "node:crypto";',
  'import nodeCrypto from "node:crypto";',
  'import * as everyCrypto from "node:crypto";',
  // promises
  "export async function i() {}",
  "export const j = async () => undefined;",
  "export const k = { async method() {} };",
  "export async function* l() {}",
  "await f();",
  "for await (const x of f()) f(x);",
  "export const m = new Promise(f);",
  "export const n = Promise.resolve(1);",
  "export const o = Promise.all([]);",
  'export const p = import("./other.ts");',
  // the world outside
  "export const q = process.env;",
  "console.log(1);",
  'fetch("http://localhost");',
  'export const r = require("fs");',
  "export const s = navigator.hardwareConcurrency;",
  'export const t = new WebSocket("ws://localhost");',
  'export const u = new EventSource("http://localhost");',
  'localStorage.getItem("x");',
  'sessionStorage.getItem("x");',
  "export const v = import.meta.url;",
  ...[
    "fs",
    "net",
    "http",
    "https",
    "http2",
    "tls",
    "dns",
    "dgram",
    "child_process",
    "cluster",
    "worker_threads",
    "os",
    "timers",
  ].map((name) => `import "node:${name}";`),
  ...[
    "process",
    "console",
    "readline",
    "repl",
    "inspector",
    "perf_hooks",
    "async_hooks",
    "v8",
    "vm",
    "sqlite",
    "stream",
    "events",
  ].map((name) => `import "${name}";`),
  'import { readFile } from "node:fs/promises";',
  'import { setTimeout as sleep } from "timers/promises";',
  'export { readFileSync } from "node:fs";',
  'export * from "node:os";',
  // the machine's locale and time zone
  "export const w = (1234).toLocaleString();",
  'export const x = "I".toLocaleLowerCase();',
  'export const y = "a".localeCompare("b");',
  "export const z = new Intl.Collator();",
  "export const aa = new Intl.DateTimeFormat();",
  'export const ab = Intl.DateTimeFormat("en-US", { hour: "2-digit" });',
  "export const ac = new Date(2026, 1, 1);",
  "export const ad = new Date(0).getHours();",
  "export const ae = new Date(0).setMonth(1);",
  "export const af = new Date(0).getTimezoneOffset();",
  "export const ag = new Date(0).toDateString();",
  "export const ah = new Date(0).toTimeString();",
  // the garbage collector, other threads
  "export const ai = new WeakRef({});",
  "export const aj = new FinalizationRegistry(f);",
  "Atomics.wait(new Int32Array(1), 0, 0);",
  "export const ak = new SharedArrayBuffer(8);",
  'export const al = new Worker("x");',
  "export const am = new MessageChannel();",
  'export const an = new BroadcastChannel("x");',
  // back doors
  "export const ao = globalThis.Date;",
  "export const ap = global.Date;",
  "export const aq = self.Date;",
  "export const ar = window.Date;",
];

/** One statement each that looks like the above and is pure. */
const pure = [
  "export const a = new Date(0).getUTCHours();",
  "export const b = new Date(0).toISOString();",
  "export const c = Date.UTC(2026, 1, 1);",
  "export const d = Math.floor(1.5);",
  'import { createHash } from "node:crypto";',
  'import { deflateRawSync } from "node:zlib";',
  'import { open } from "./fs.ts";',
  'import { ostrich } from "ostrich";',
  'export const e = new Intl.DateTimeFormat("en-US", { timeZone: "Europe/Berlin" });',
  "export const f = (window: { end: number }, process: () => number) => window.end + process();",
  "export const g = { now: 1, random: 2, timeout: 3 };",
  "export const h = g.now + g.random + g.timeout;",
  "export type Later = Promise<number>;",
  "export const i = new WeakMap<object, number>();",
  'export const j = "a".toLowerCase();',
];

const eslint = new ESLint();
const purityRules = /^no-restricted-(?:globals|properties|syntax)$/;

/** The purity errors of each line. */
async function errorsByLine(lines: readonly string[], folder: string): Promise<readonly (readonly Linter.LintMessage[])[]> {
  const [result] = await eslint.lintText(lines.join("\n"), { filePath: `${folder}/probe.ts` });
  const fatal = result!.messages.find((message) => message.fatal);
  assert.equal(fatal, undefined, fatal?.message);
  const found = result!.messages.filter(({ ruleId }) => ruleId !== null && purityRules.test(ruleId));
  for (const { severity, message } of found) assert.equal(severity, 2, message);
  return lines.map((_, i) => found.filter(({ line }) => line === i + 1));
}

describe("the purity lint", () => {
  for (const folder of pureFolders) {
    test(`catches everything impure in ${folder}, and in folders below it`, async () => {
      for (const where of [folder, `${folder}/below`]) {
        const errors = await errorsByLine(impure, where);
        const missed = impure.filter((_, i) => errors[i]!.length === 0);
        assert.deepEqual(missed, []);
      }
    });

    test(`lets what is pure stand in ${folder}`, async () => {
      const errors = await errorsByLine(pure, folder);
      const blamed = pure.filter((_, i) => errors[i]!.length > 0);
      assert.deepEqual(blamed, []);
    });
  }

  for (const folder of ["runtime/driver", "runtime/adapters/memory", "runtime/connectors/files", "cli", "test/layers"])
    test(`leaves ${folder} alone`, async () => {
      assert.deepEqual((await errorsByLine(impure, folder)).flat(), []);
    });

  const bans = [
    ...bannedGlobals.map((ban) => ({ rule: "no-restricted-globals", ban, name: ban.name })),
    ...bannedProperties.map((ban) => ({ rule: "no-restricted-properties", ban, name: `${ban.object}.${ban.property}` })),
    ...bannedSyntax.map((ban) => ({ rule: "no-restricted-syntax", ban, name: ban.selector })),
  ];
  test("has no ban that catches nothing", () => {
    const linter = new Linter();
    const catches = ({ rule, ban }: (typeof bans)[number]) =>
      linter.verify(impure.join("\n"), [{ languageOptions: { parser }, rules: { [rule]: ["error", ban] } }]).length > 0;
    assert.deepEqual(
      bans.filter((ban) => !catches(ban)).map(({ name }) => name),
      [],
    );
  });
});
