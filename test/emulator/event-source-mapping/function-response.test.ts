/** Which answers are success and which failure. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { readResponse } from "../../../emulator/event-source-mapping/function-response.ts";

const numbers = ["100", "101", "102"];
const read = (answer: string, isWindowed = false, reportsItemFailures = true) =>
  readResponse(new TextEncoder().encode(answer), numbers, { reportsItemFailures, isWindowed });
const failing = (...identifiers: unknown[]) =>
  JSON.stringify({ batchItemFailures: identifiers.map((itemIdentifier) => ({ itemIdentifier })) });

describe("with ReportBatchItemFailures", () => {
  test("an empty or null list, an empty or null response are success", () => {
    for (const answer of ['{"batchItemFailures":[]}', '{"batchItemFailures":null}', "{}", "null", ""]) {
      assert.deepEqual(read(answer), { kind: "success" }, answer);
    }
  });

  test("an empty or null identifier, or none under its name, is failure of the whole batch", () => {
    for (const answer of [failing(""), failing(null), failing("101", ""), '{"batchItemFailures":[{"identifier":"101"}]}']) {
      assert.equal(read(answer).kind, "failure", answer);
    }
  });

  test("an identifier that is not of the batch is failure of the whole batch", () => {
    assert.equal(read(failing("101", "99")).kind, "failure");
    assert.equal(read(failing(101)).kind, "failure");
  });

  test("of several identifiers the one that is first in the batch counts", () => {
    assert.deepEqual(read(failing("102", "101")), { kind: "partial", firstFailed: 1 });
    assert.deepEqual(read(failing("100")), { kind: "partial", firstFailed: 0 });
  });

  test("an answer that is no object or no JSON, or whose list is no list, is failure", () => {
    for (const answer of ['"done"', "7", "[]", "true", "{", '{"batchItemFailures":"101"}', '{"batchItemFailures":[null]}']) {
      assert.equal(read(answer).kind, "failure", answer);
    }
  });
});

test("without it any answer is success", () => {
  for (const answer of ["null", '"done"', "{", failing(""), failing("101")]) {
    assert.deepEqual(read(answer, false, false), { kind: "success" }, answer);
  }
});

describe("with a tumbling window", () => {
  test("an answer without a state is failure", () => {
    for (const answer of ["null", "{}", '"done"', '{"batchItemFailures":[]}']) {
      assert.equal(read(answer, true).kind, "failure", answer);
      assert.equal(read(answer, true, false).kind, "failure", answer);
    }
  });

  test("the state is kept, of a partial response too", () => {
    assert.deepEqual(read('{"state":{"a":1}}', true), { kind: "success", state: '{"a":1}' });
    assert.deepEqual(read('{"state":null}', true), { kind: "success", state: "null" });
    const partial = JSON.stringify({ state: { a: 1 }, batchItemFailures: [{ itemIdentifier: "101" }] });
    assert.deepEqual(read(partial, true), { kind: "partial", firstFailed: 1, state: '{"a":1}' });
  });
});
