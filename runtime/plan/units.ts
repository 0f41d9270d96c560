/** Lengths of time and sizes in words. */

/** A length of time in its largest whole unit: 90,000 is "90 s", 120,000 is "2 min". */
export function formatMs(ms: number): string {
  const units = [
    [86_400_000, "d"],
    [3_600_000, "h"],
    [60_000, "min"],
    [1_000, "s"],
  ] as const;
  const [size, unit] = units.find(([size]) => ms !== 0 && ms % size === 0) ?? [1, "ms"];
  return `${ms / size} ${unit}`;
}

/** A size in its largest whole binary unit: 134,217,728 is "128 MiB". */
export function formatBytes(bytes: number): string {
  const units = [
    [2 ** 30, "GiB"],
    [2 ** 20, "MiB"],
    [2 ** 10, "KiB"],
  ] as const;
  const [size, unit] = units.find(([size]) => bytes !== 0 && bytes % size === 0) ?? [1, "B"];
  return `${bytes / size} ${unit}`;
}
