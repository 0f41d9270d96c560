/** What AWS takes, USD in us-east-1 by the list prices of 2026: to be looked up again before it is quoted. One place for all figures. */

/** By the names that the ports count, without the part of a table that used them. */
export const prices = {
  "dynamodb.wru": 0.625e-6,
  "dynamodb.rru": 0.125e-6,
  "s3.put": 5e-6,
  "s3.list": 5e-6,
  "s3.get": 0.4e-6,
  "s3.delete": 0,
  /** Of 25 KB, of a provisioned stream. */
  "kinesis.putUnits": 0.014e-6,
  "kinesis.shardHours": 0.015,
  "lambda.requests": 0.2e-6,
  /** On arm64. */
  "lambda.gbSeconds": 0.0000133334,
  "s3.gbMonths": 0.023,
  "dynamodb.gbMonths": 0.25,
} as const;

export const hoursPerMonth = 730;

/** Memory with which Lambda gives one processor; less memory, as much less of it. */
export const mbPerProcessor = 1_769;

/** Design aims for the count of bench/cost: USD a month at so many events a second. */
export const monthlyAims: Readonly<Record<number, number>> = { 10: 14, 1000: 26, 10_000: 93 };
