/** Keeps the bytes of today's formats: `node test/formats/record.ts <version>`, once when a format's version is raised. */
import { existsSync, writeFileSync } from "node:fs";
import { samples } from "./samples.ts";

const version = process.argv[2];
if (version === undefined || !/^\d+$/.test(version)) throw new Error("give the version: node test/formats/record.ts <version>");
for (const { name, encode } of samples) {
  const path = new URL(`${name}.${version}.hex`, import.meta.url);
  if (existsSync(path)) continue;
  const lines =
    Buffer.from(encode())
      .toString("hex")
      .match(/.{1,120}/g) ?? [];
  writeFileSync(path, `${lines.join("\n")}\n`);
}
