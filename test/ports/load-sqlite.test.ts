/** Loading SQLite keeps the terminal clean, on versions of Node that would warn as well. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { loadSqlite } from "../../runtime/adapters/local/load-sqlite.ts";
import { isKind } from "../../runtime/base/errors.ts";

describe("loading SQLite", () => {
  it("drops its experimental warning, and no other", (t) => {
    const warnings: string[] = [];
    t.mock.method(process, "emitWarning", (warning: string) => warnings.push(warning));
    const loaded = { DatabaseSync: class {} };
    t.mock.method(process, "getBuiltinModule", () => {
      // As Node 22 does when the module is loaded for the first time.
      process.emitWarning("SQLite is an experimental feature and might change at any time", "ExperimentalWarning");
      process.emitWarning("something else");
      return loaded;
    });
    assert.equal(loadSqlite(), loaded);
    process.emitWarning("afterwards");
    assert.deepEqual(warnings, ["something else", "afterwards"]);
  });

  it("says what to do where Node was built without it", (t) => {
    t.mock.method(process, "getBuiltinModule", () => undefined);
    const { emitWarning } = process;
    assert.throws(loadSqlite, (error) => isKind(error, "invalid") && /22\.15 or later/.test(error.message));
    assert.equal(process.emitWarning, emitWarning);
  });
});
