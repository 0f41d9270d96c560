import type { SeededRandom } from "../runtime/base/seeded-random.ts";

/** In the form of a random UUID. */
export function randomUuid(random: SeededRandom): string {
  const digits = Array.from({ length: 32 }, () => random.int(16).toString(16));
  digits[12] = "4";
  digits[16] = (8 + random.int(4)).toString(16);
  const text = digits.join("");
  return [text.slice(0, 8), text.slice(8, 12), text.slice(12, 16), text.slice(16, 20), text.slice(20)].join("-");
}
