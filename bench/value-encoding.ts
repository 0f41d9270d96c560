/**
 * Our encoding of values beside msgpackr and cbor-x: operations a second in one run, taken in turns, as ratios to ours.
 *
 *   node bench/value-encoding.ts --modules <folder with msgpackr and cbor-x>
 *
 * One value: ours into a buffer that is there, as rows, commits and frames are written, and into bytes of its own; the libraries into
 * slices of their own buffers. A run: 1,000 values in one buffer; the libraries pack them as one array.
 */
import { createRequire } from "node:module";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { ByteReader } from "../runtime/base/byte-reader.ts";
import { ByteWriter } from "../runtime/base/byte-writer.ts";
import { decodeValue, encodeValue, readValue, writeValue } from "../runtime/base/message-pack.ts";

interface Codec {
  readonly name: string;
  readonly encode: (values: readonly unknown[]) => readonly Uint8Array[];
  readonly decode: (encoded: readonly Uint8Array[]) => void;
}

const { values: args } = parseArgs({ options: { modules: { type: "string" }, rounds: { type: "string", default: "9" } } });
if (args.modules === undefined) throw new Error("give --modules, a folder with msgpackr and cbor-x");
const load = createRequire(join(resolve(args.modules), "package.json"));
const { Packr } = load("msgpackr") as { Packr: new (options: object) => any };
const { Encoder } = load("cbor-x") as { Encoder: new (options: object) => any };
const exact = { moreTypes: true, useBigIntExtension: true };
const packr = new Packr({ ...exact, useRecords: false });
const records = new Packr({ ...exact, useRecords: true });
const cbor = new Encoder({ useRecords: false, tagUint8Array: false });

const count = 1_000;
const roundMs = 40;
const warmUps = 2;
const rounds = Number(args.rounds);
const at = 1_700_000_000_000;

function make(value: (i: number) => unknown): readonly unknown[] {
  return Array.from({ length: count }, (_, i) => value(i));
}

const sets: Readonly<Record<string, readonly unknown[]>> = {
  counts: make((i) => (i * 37) % 5_000),
  "epoch ms": make((i) => at + i * 997),
  "{n, total}": make((i) => ({ n: i % 90, total: i * 13.37 })),
  "records of 5": make((i) => ({ id: `user-${i}`, page: `/page-${i % 50}`, at: at + i * 997, ms: i % 700, bot: i % 9 === 0 })),
  "lists of 20 numbers": make((i) => Array.from({ length: 20 }, (_, k) => i * k)),
  "lists of 5 records": make((i) => Array.from({ length: 5 }, (_, k) => ({ id: i * k, text: `item ${k}` }))),
  "short texts": make((i) => `key-${(i * 7_919) % 100_003}`),
  "texts of 400": make((i) => `${"lorem ipsum dolor sit amet ".repeat(15)}${i}`),
  "texts not ASCII": make((i) => `Straße ${i} Größe übermäßig`),
};

const writer = new ByteWriter(1 << 20);

function inPlace(name: string): Codec {
  return {
    name,
    encode: (values) => {
      writer.clear();
      for (let i = 0; i < values.length; i++) writeValue(writer, values[i]);
      return [writer.buffer.subarray(0, writer.length)];
    },
    decode: ([bytes]) => {
      const reader = new ByteReader(bytes as Uint8Array);
      while (!reader.done) readValue(reader);
    },
  };
}

function each(name: string, encode: (value: unknown) => Uint8Array, decode: (bytes: Uint8Array) => unknown): Codec {
  return {
    name,
    encode: (values) => values.map((value) => encode(value)),
    decode: (encoded) => {
      for (let i = 0; i < encoded.length; i++) decode(encoded[i] as Uint8Array);
    },
  };
}

function whole(name: string, encode: (values: unknown) => Uint8Array, decode: (bytes: Uint8Array) => unknown): Codec {
  return { name, encode: (values) => [encode(values)], decode: ([bytes]) => void decode(bytes as Uint8Array) };
}

const single = [
  inPlace("ours, in place"),
  each("ours, own bytes", encodeValue, decodeValue),
  each(
    "msgpackr",
    (value) => packr.pack(value),
    (bytes) => packr.unpack(bytes),
  ),
  each(
    "cbor-x",
    (value) => cbor.encode(value),
    (bytes) => cbor.decode(bytes),
  ),
];
const inRuns = [
  inPlace("ours"),
  whole(
    "msgpackr",
    (values) => packr.pack(values),
    (bytes) => packr.unpack(bytes),
  ),
  whole(
    "msgpackr, records",
    (values) => records.pack(values),
    (bytes) => records.unpack(bytes),
  ),
  whole(
    "cbor-x",
    (values) => cbor.encode(values),
    (bytes) => cbor.decode(bytes),
  ),
];

/** Values a second. */
function rate(work: () => void): number {
  const startedAt = performance.now();
  let times = 0;
  let tookMs = 0;
  do {
    work();
    times++;
    tookMs = performance.now() - startedAt;
  } while (tookMs < roundMs);
  return (times * count * 1_000) / tookMs;
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1] as number;
}

/** One line per codec: ratios to the first, and bytes per value. */
function compare(title: string, values: readonly unknown[], codecs: readonly Codec[]): void {
  const measured = codecs.map((codec) => ({ codec, encode: [] as number[], decode: [] as number[], bytes: 0 }));
  for (let round = -warmUps; round < rounds; round++)
    for (const each of measured) {
      const encoded = each.codec.encode(values).map((bytes) => Buffer.from(bytes));
      each.bytes = encoded.reduce((sum, bytes) => sum + bytes.length, 0) / count;
      const encode = rate(() => void each.codec.encode(values));
      const decode = rate(() => each.codec.decode(encoded));
      if (round >= 0) each.encode.push(encode);
      if (round >= 0) each.decode.push(decode);
    }
  const [base] = measured;
  console.log(`\n${title}: ours ${perSecond(median(base!.encode))} encoded, ${perSecond(median(base!.decode))} decoded`);
  for (const { codec, encode, decode, bytes } of measured) {
    const ratios = [median(encode) / median(base!.encode), median(decode) / median(base!.decode)];
    const [encoding, decoding] = ratios.map((ratio) => ratio.toFixed(2));
    console.log(`  ${codec.name.padEnd(18)} encode ${encoding}  decode ${decoding}  ${bytes.toFixed(1)} bytes`);
  }
}

function perSecond(n: number): string {
  return `${(n / 1e6).toFixed(1)} M/s`;
}

for (const [name, values] of Object.entries(sets)) compare(`${name}, one by one`, values, single);
for (const name of ["counts", "{n, total}", "records of 5", "lists of 5 records"])
  compare(`${name}, in runs of ${count}`, sets[name] as readonly unknown[], inRuns);
