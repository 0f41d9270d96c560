/** Hive-style folders of rows. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { folderOf, isPartitionFolder } from "../../runtime/connectors/files/partition.ts";
import { isKind } from "../../runtime/base/errors.ts";

const invalid = (message: RegExp) => (error: unknown) => isKind(error, "invalid") && message.test(error.message);

describe("folders by event time", () => {
  it("are those of the row's time in UTC, as fine as was asked for", () => {
    const at = Date.parse("2026-01-05T07:08:59.999Z");
    const folder = "year=2026/month=01/day=05/hour=07/minute=08/";
    for (const [depth, unit] of (["year", "month", "day", "hour", "minute"] as const).entries())
      assert.equal(
        folderOf(unit)({}, at),
        folder
          .split("/")
          .slice(0, depth + 1)
          .join("/") + "/",
      );
  });

  it("agree with the calendar at any time, whatever came before", () => {
    const folders = folderOf("minute");
    fc.assert(
      fc.property(fc.integer({ min: -(10 ** 13), max: 10 ** 14 }), (at) => {
        const date = new Date(at);
        const two = (n: number) => String(n).padStart(2, "0");
        const day = `month=${two(date.getUTCMonth() + 1)}/day=${two(date.getUTCDate())}`;
        assert.equal(
          folders({}, at),
          `year=${date.getUTCFullYear()}/${day}/hour=${two(date.getUTCHours())}/minute=${two(date.getUTCMinutes())}/`,
        );
      }),
    );
  });

  it("need a timestamp", () => {
    assert.throws(() => folderOf("day")({}, undefined), invalid(/no timestamp/));
    assert.throws(() => folderOf("day")({}, 9e15), invalid(/beyond what dates can be/));
  });
});

describe("folders by the row", () => {
  const of = (fields: any) => folderOf(() => fields)({}, 0);

  it("have the fields in their order, escaped as Hive does, and a name for what is missing", () => {
    assert.equal(of({ country: "DE", n: 3, ok: true, big: 7n }), "country=DE/n=3/ok=true/big=7/");
    assert.equal(of({ path: "a/b=c%", q: "x y" }), "path=a%2Fb%3Dc%25/q=x y/");
    assert.equal(
      of({ a: null, b: undefined, c: "" }),
      ["a", "b", "c"].map((name) => `${name}=__HIVE_DEFAULT_PARTITION__/`).join(""),
    );
  });

  it("tell different values apart, and are folders that a reader and a path understand", () => {
    const value = fc.string({ unit: "binary", minLength: 1, maxLength: 40 });
    fc.assert(
      fc.property(value, value, (a, b) => {
        const [one, other] = [of({ v: a }), of({ v: b })];
        assert.equal(one === other, a === b);
        const [segment, end, ...more] = one.split("/");
        assert.deepEqual([isPartitionFolder(segment!), end, more], [true, "", []]);
      }),
    );
  });

  it("are refused where they cannot be", () => {
    assert.throws(() => of({}), invalid(/no fields/));
    assert.throws(() => of(undefined), invalid(/no fields/));
    assert.throws(() => of({ "": 1 }), invalid(/without a name/));
    assert.throws(() => of({ ".a": 1 }), invalid(/begins with/));
    assert.throws(() => of({ a: {} }), invalid(/text, a number or a boolean: a, object/));
    assert.throws(() => of({ a: "x".repeat(300) }), invalid(/too long/));
    assert.throws(() => of({ a: "x".repeat(220), b: "x".repeat(220), c: "x".repeat(220) }), invalid(/more than 600/));
    assert.throws(() => folderOf("week" as any), invalid(/one of year, month/));
  });
});
