/** Numbers, times and lengths of time as a terminal shows them. The same on every machine: no locale, no zone. */

/** 1234567 as 1,234,567. */
export function grouped(n: number): string {
  return String(Math.round(n)).replace(/\B(?=(\d{3})+$)/g, ",");
}

/** A length of time in the unit that suits it. */
export function duration(ms: number): string {
  if (ms < 10_000) return `${(ms / 1000).toFixed(1)} s`;
  if (ms < 120_000) return `${Math.round(ms / 1000)} s`;
  if (ms < 7_200_000) return `${Math.round(ms / 60_000)} min`;
  return ms < 172_800_000 ? `${Math.round(ms / 3_600_000)} h` : `${grouped(ms / 86_400_000)} days`;
}

/** Epoch ms as a watermark is read: a moment, or where it has none. */
export function moment(at: number): string {
  if (at === -Infinity || at < -8.64e15) return "not yet";
  if (at === Infinity || at > 8.64e15) return "end of input";
  return new Date(at)
    .toISOString()
    .replace("T", " ")
    .replace(/\.\d+Z$/, " UTC");
}

export function plural(n: number, one: string, many = `${one}s`): string {
  return `${grouped(n)} ${n === 1 ? one : many}`;
}
