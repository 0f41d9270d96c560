/** What is done to good bytes, and to good values before they are written: shared by all that is fuzzed. */
import fc from "fast-check";

/** Bytes that are a length, a tag or an end in one format or another. */
const hurtful = [0x00, 0x01, 0x7f, 0x80, 0x8f, 0x9f, 0xbf, 0xc1, 0xc6, 0xc9, 0xdb, 0xdd, 0xdf, 0xfe, 0xff];
/** Lengths of 2^31 and 2^32 and more, in every way in which they are written. */
const hugeLengths = [
  "ffffffff",
  "7fffffff",
  "ffffff7f",
  "00000080",
  "80000000",
  "ffffffffffffffff7f",
  "ffffffff0f",
  "feffffffffffff0f",
  "ddffffffff",
  "dfffffffff",
  "dbffffffff",
  "c6ffffffff",
  "c9ffffffff03",
  "7fefffffffffffff",
  "7ff0000000000000",
].map((hex) => Buffer.from(hex, "hex"));

type Change = (bytes: Buffer) => Buffer;

const place = fc.nat(0xffff);
const at = (bytes: Buffer, n: number) => (bytes.length === 0 ? 0 : n % bytes.length);
const splice = (bytes: Buffer, from: number, length: number, inserted: Uint8Array) =>
  Buffer.concat([bytes.subarray(0, from), inserted, bytes.subarray(from + length)]);

function overwrite(bytes: Buffer, from: number, over: Uint8Array): Buffer {
  return splice(bytes, from, over.length, over);
}

/** One change each. */
const change: fc.Arbitrary<Change> = fc.oneof(
  fc.tuple(place, fc.nat(7)).map(([n, bit]): Change => (bytes) => {
    const turned = Buffer.from(bytes);
    if (turned.length > 0) turned[at(bytes, n)]! ^= 1 << bit;
    return turned;
  }),
  fc.tuple(place, fc.oneof(fc.nat(255), fc.constantFrom(...hurtful))).map(
    ([n, byte]): Change =>
      (bytes) =>
        overwrite(bytes, at(bytes, n), Buffer.from([byte])),
  ),
  place.map(
    (n): Change =>
      (bytes) =>
        bytes.subarray(0, at(bytes, n)),
  ),
  fc.tuple(place, fc.integer({ min: 1, max: 40 })).map(
    ([n, length]): Change =>
      (bytes) =>
        splice(bytes, at(bytes, n), length, Buffer.alloc(0)),
  ),
  fc.tuple(place, fc.uint8Array({ maxLength: 12 })).map(
    ([n, inserted]): Change =>
      (bytes) =>
        splice(bytes, at(bytes, n), 0, inserted),
  ),
  fc.tuple(place, fc.integer({ min: 1, max: 60 }), place).map(([from, length, to]): Change => (bytes) => {
    const start = at(bytes, from);
    return splice(bytes, at(bytes, to), 0, bytes.subarray(start, start + length));
  }),
  fc.tuple(place, fc.constantFrom(...hugeLengths), fc.boolean()).map(
    ([n, huge, over]): Change =>
      (bytes) =>
        over ? overwrite(bytes, at(bytes, n), huge) : splice(bytes, at(bytes, n), 0, huge),
  ),
);

/** Good bytes with one to four changes, the beginning of some with the end of others, or none of it: any bytes. */
export function mutatedBytes(valid: fc.Arbitrary<Uint8Array>): fc.Arbitrary<Buffer> {
  const changed = fc
    .tuple(valid, fc.array(change, { minLength: 1, maxLength: 4 }))
    .map(([bytes, changes]) => changes.reduce<Buffer>((before, mutate) => mutate(before), Buffer.from(bytes)));
  const spliced = fc.tuple(valid, valid, place, place).map(([one, other, n, m]) => {
    const [a, b] = [Buffer.from(one), Buffer.from(other)];
    return Buffer.concat([a.subarray(0, at(a, n)), b.subarray(at(b, m))]);
  });
  const any = fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes));
  const whole = valid.map((bytes) => Buffer.from(bytes));
  return fc.oneof(
    { weight: 8, arbitrary: changed },
    { weight: 1, arbitrary: spliced },
    { weight: 1, arbitrary: any },
    { weight: 1, arbitrary: whole },
  );
}

/** What may stand where something else is expected. All of it JSON, and none of it as long as it says. */
const strange: readonly unknown[] = [
  ...[null, true, false, 0, -1, 0.5, 2 ** 31, 2 ** 53, 1e308, "", "0", "x", "-1", "1e400", "99999999999999999999999999"],
  ...[
    "__proto__",
    "constructor",
    "\ud800",
    [],
    {},
    [null],
    [[]],
    { length: 4_000_000_000 },
    { $bytes: { length: 4_000_000_000 } },
  ],
  ...[{ $map: {} }, { $map: [[]] }, { $set: 1 }, { $bigint: "x" }, { $number: {} }, { $date: "x" }, { $object: 1 }],
];
/** The same, of what values of our own may hold beside JSON. */
const strangeValues: readonly unknown[] = [
  ...strange,
  ...[undefined, NaN, -0, Infinity, -Infinity, 5n, -(2n ** 200n), new Date(NaN), new Date(0), new Uint8Array(3)],
  ...[new Map(), new Map([["a", 1]]), new Set(), new Set([1])],
];

/** A good value with some of its parts replaced, left out or put twice. */
function mutated(value: fc.Arbitrary<unknown>, others: readonly unknown[]): fc.Arbitrary<unknown> {
  const step = fc.tuple(
    fc.nat(0xffff),
    fc.constantFrom("replace", "leave out", "twice") as fc.Arbitrary<Step>,
    fc.nat(others.length - 1),
  );
  return fc.tuple(value, fc.array(step, { minLength: 1, maxLength: 3 })).map(([whole, steps]) =>
    steps.reduce<unknown>((before, [n, what, other]) => {
      const count = countOf(before);
      return replacePart(before, { left: n % count, what, other: others[other] });
    }, whole),
  );
}

type Step = "replace" | "leave out" | "twice";

/** JSON that is nearly as it should be. */
export function mutatedJson(value: fc.Arbitrary<unknown>): fc.Arbitrary<unknown> {
  return mutated(value, strange);
}

/** Plain data of any kind (base/message-pack.ts) that is nearly as it should be. */
export function mutatedValue(value: fc.Arbitrary<unknown>): fc.Arbitrary<unknown> {
  return mutated(value, strangeValues);
}

function partsOf(value: unknown): readonly unknown[] {
  if (Array.isArray(value)) return value;
  if (value instanceof Map) return [...value].flat();
  if (value instanceof Set) return [...value];
  const isPlain = typeof value === "object" && value !== null && Object.getPrototypeOf(value) === Object.prototype;
  return isPlain ? Object.values(value) : [];
}

/** The value itself and all its parts. */
function countOf(value: unknown): number {
  return partsOf(value).reduce<number>((sum, part) => sum + countOf(part), 1);
}

const gone = Symbol("left out");
const doubled = Symbol("twice");

/** A copy in which part number `left` is another: counted in the order in which they are met, the whole being number 0. */
function replacePart(value: unknown, at: { left: number; readonly what: Step; readonly other: unknown }): unknown {
  const replaced = replaceIn(value, at);
  return replaced === gone || replaced === doubled ? at.other : replaced;
}

function replaceIn(value: unknown, at: { left: number; readonly what: Step; readonly other: unknown }): unknown {
  if (at.left-- === 0) return at.what === "replace" ? at.other : at.what === "leave out" ? gone : doubled;
  const parts = (list: readonly unknown[]) =>
    list.flatMap((part) => {
      const next = replaceIn(part, at);
      return next === gone ? [] : next === doubled ? [part, part] : [next];
    });
  if (Array.isArray(value)) return parts(value);
  if (value instanceof Set) return new Set(parts([...value]));
  if (value instanceof Map) {
    const list = parts([...value].flat());
    return new Map(list.flatMap((key, n) => (n % 2 === 0 && n + 1 < list.length ? [[key, list[n + 1]] as const] : [])));
  }
  if (partsOf(value).length === 0) return value;
  const members = Object.entries(value as object).flatMap(([name, part]) => {
    const next = replaceIn(part, at);
    return next === gone ? [] : [[name, next === doubled ? [part, part] : next] as const];
  });
  return Object.fromEntries(members);
}
