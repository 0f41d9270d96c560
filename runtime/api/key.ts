type KeyPart = string | number | bigint | boolean;

/**
 * What a stream can be keyed by: compared and hashed by its canonical encoding, so 1, 1n and "1" differ and -0 is 0.
 * NaN, null, undefined and keys over 16 KiB send their record to the dead letters.
 */
export type Key = KeyPart | readonly KeyPart[];
export type { KeyPart };
