declare const brand: unique symbol;

/** A length of time in milliseconds; made by `millis()`, `seconds()`, … so that a bare number cannot pass for one. */
export type Duration = number & { readonly [brand]: "Duration" };

/** `n` milliseconds. */
export function millis(n: number): Duration {
  return n as Duration;
}
/** `n` seconds. */
export function seconds(n: number): Duration {
  return millis(n * 1_000);
}
/** `n` minutes. */
export function minutes(n: number): Duration {
  return millis(n * 60_000);
}
/** `n` hours. */
export function hours(n: number): Duration {
  return millis(n * 3_600_000);
}
/** `n` days of 24 hours. */
export function days(n: number): Duration {
  return millis(n * 86_400_000);
}
