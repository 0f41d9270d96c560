/** What functions, deployment and emulator share: what one writes the other reads, and what is not whole is refused by name. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { isKind } from "../../runtime/base/errors.ts";
import { id, type TaskId } from "../../runtime/base/ids.ts";
import {
  decodeCommand,
  decodePoke,
  entryOf,
  lookCommand,
  pokeOf,
  readSettings,
  type Settings,
  variable,
  writeSettings,
} from "../../functions/contract.ts";

const settings: Settings = {
  stateTable: "table",
  stateBucket: "bucket",
  deadLetterBucket: "letters",
  deployment: 7,
  bindings: { views: "stack-views-1A2B" },
  inboxes: { counts: ["stack-inbox-0", "stack-inbox-1"] },
  taskFunctions: { counts: ["fn-0", "fn-1"], views: ["fn"] },
  stage: "counts",
  cell: 1,
};

const refused = (name: string) => (error: unknown) => isKind(error, "invalid") && error.message.includes(name);

describe("settings", () => {
  test("are read as they were written", () => {
    assert.deepEqual(readSettings(writeSettings(settings)), settings);
    assert.deepEqual(readSettings(JSON.parse(JSON.stringify(writeSettings(settings)))), settings);
  });

  test("have defaults for all but the table and the bucket", () => {
    const least = { [variable.stateTable]: "table", [variable.stateBucket]: "bucket" };
    const empty = { bindings: {}, inboxes: {}, taskFunctions: {}, stage: "", cell: 0, deployment: 1 };
    assert.deepEqual(readSettings(least), { stateTable: "table", stateBucket: "bucket", deadLetterBucket: "bucket", ...empty });
    for (const name of Object.keys(least)) assert.throws(() => readSettings({ ...least, [name]: undefined }), refused(name));
  });

  test("that are not what they should be are refused by name", () => {
    const written = writeSettings(settings);
    const wrong: Record<string, readonly string[]> = {
      [variable.deployment]: ["0", "-1", "1.5", "one", "9007199254740993"],
      [variable.cell]: ["-1", "a"],
      [variable.bindings]: ["{", "[]", '{"a":1}', "1", "null"],
      [variable.inboxes]: ['{"a":"b"}', '{"a":[]}', '{"a":[1]}'],
      [variable.taskFunctions]: ['{"a":"b"}'],
    };
    for (const [name, values] of Object.entries(wrong))
      for (const value of values)
        assert.throws(() => readSettings({ ...written, [name]: value }), refused(name), `${name} ${value}`);
  });

  test("of a stage of 64 tasks in cells of 8 fit what Lambda allows", () => {
    const cells = (name: string) => Array.from({ length: 8 }, (_, n) => `${"x".repeat(32)}-${name}-${n}`);
    const large = {
      ...settings,
      inboxes: { counts: cells("inbox") },
      taskFunctions: { counts: cells("function"), views: ["f"] },
    };
    const bytes = Object.entries(writeSettings(large)).reduce((sum, [name, text]) => sum + name.length + text.length, 0);
    assert.ok(bytes < 4_096, `${bytes} bytes`);
  });
});

describe("payloads", () => {
  test("are read as they were written", () => {
    const poke = pokeOf([id<TaskId>("g1.a~0"), id<TaskId>("g1.a~1")]);
    assert.deepEqual(decodePoke(JSON.parse(JSON.stringify(poke))), poke);
    assert.deepEqual(decodeCommand(JSON.parse(JSON.stringify(lookCommand))), lookCommand);
    for (const kind of ["savepoint", "stop", "resume"] as const)
      assert.deepEqual(decodeCommand({ version: 1, kind, id: "a", more: 1 }), { version: 1, kind, id: "a" });
    const restore = { version: 1, kind: "restore", id: "a", manifest: "manifests/000000000004" };
    assert.deepEqual(decodeCommand(restore), restore);
  });

  test("of another version, or not whole, are refused", () => {
    const wrong = [
      { version: 2, kind: "look" },
      { kind: "look" },
      { version: 1, kind: "halt", id: "a" },
      { version: 1, kind: "stop" },
      { version: 1, kind: "stop", id: "" },
      { version: 1, kind: "restore", id: "a", manifest: 4 },
    ];
    for (const command of wrong) assert.throws(() => decodeCommand(command), refused("refused"), JSON.stringify(command));
    assert.throws(() => decodePoke({ version: 1, kind: "poke", tasks: [1] }), refused("tasks"));
    assert.throws(() => decodePoke({ version: 9, kind: "poke", tasks: ["a"] }), refused("version 9"));
  });

  test("of anything else are told from pokes, whatever they are", () => {
    fc.assert(
      fc.property(fc.anything(), (event) => {
        assert.equal(decodePoke(event), undefined);
        assert.throws(() => decodeCommand(event), refused("refused"));
      }),
    );
  });
});

test("a bundle's entry hands the job to the handler", () => {
  const entry = entryOf("task", "/jobs/my job.ts", "/millrace/functions");
  assert.match(entry, /import job from "\/jobs\/my job.ts"/);
  assert.match(entry, /import \{ createTaskHandler \} from "\/millrace\/functions\/task.ts"/);
  assert.match(entry, /export const handler = createTaskHandler\(job\)/);
});
