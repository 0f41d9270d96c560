/**
 * Filter criteria: which records a function gets, by patterns over the JSON in their data.
 *
 * F1 A pattern is an object {"data": {…}} whose leaves are lists of rules. Its fields are joined by AND, the rules of a list and the
 *    patterns of a mapping by OR. Fields that no pattern names are not looked at.
 * F2 Numbers are compared as they are written where rules are for equality: 300 is not 3.0e2.
 * F3 Data that is no JSON object matches no pattern: such a record is dropped.
 * F4 A pattern that AWS would refuse is refused when the mapping is made.
 *
 * Sources: https://docs.aws.amazon.com/lambda/latest/dg/invocation-eventfiltering.html (the operators), …/with-kinesis-filtering.html
 * (the data key, JSON and no JSON), https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-create-pattern-operators.html
 */
import { MillraceError, messageOf } from "../../runtime/base/errors.ts";

/** A leaf of an event. A number keeps its text (F2). */
type Leaf = string | boolean | null | JsonNumber;
class JsonNumber {
  readonly text: string;
  readonly value: number;
  constructor(text: string) {
    this.text = text;
    this.value = Number(text);
  }
}

/** `undefined`: the event has no such field. */
type Matcher = (value: unknown) => boolean;

const filtersMax = 10;
const patternCharactersMax = 4096;

/** Undefined without patterns: every record matches. Throws `invalid` (F4). */
export function compileFilters(patterns: readonly string[]): ((data: Uint8Array) => boolean) | undefined {
  if (patterns.length === 0) return undefined;
  if (patterns.length > filtersMax) {
    throw new MillraceError("invalid", `a mapping has at most 5 filters, ${filtersMax} by quota: ${patterns.length}`);
  }
  const matchers = patterns.map(compilePattern);
  const decoder = new TextDecoder("utf-8", { fatal: true });
  return (data) => {
    let event: unknown;
    try {
      event = parse(decoder.decode(data));
    } catch {
      return false;
    }
    return isObject(event) && matchers.some((matches) => matches(event));
  };
}

/** A pattern of EventBridge's, over whole events, with the operators that filters have. Throws `invalid` for another (F4). */
export function compileEventPattern(text: string): (event: string) => boolean {
  const pattern = parse(text);
  if (!isObject(pattern)) throw new MillraceError("invalid", `an event pattern is a JSON object: ${text}`);
  const matches = compileObject(pattern);
  return (event) => matches(parse(event));
}

function compilePattern(text: string): Matcher {
  if (text.length > patternCharactersMax) {
    throw new MillraceError("invalid", `a filter pattern has at most ${patternCharactersMax} characters: ${text.length}`);
  }
  let pattern: unknown;
  try {
    pattern = parse(text);
  } catch (error) {
    throw new MillraceError("invalid", `a filter pattern must be JSON: ${messageOf(error)}: ${text}`, { cause: error });
  }
  if (!isObject(pattern) || Object.keys(pattern).join() !== "data") {
    throw new MillraceError("invalid", `a filter pattern of Kinesis has the key "data" alone: ${text}`);
  }
  if (!isObject(pattern.data)) {
    throw new MillraceError("invalid", `the pattern of "data" must be a JSON object with the fields of the data: ${text}`);
  }
  return compileObject(pattern.data);
}

function compileObject(pattern: Record<string, unknown>): Matcher {
  const fields = Object.entries(pattern);
  if (fields.length === 0) throw invalidRule("an object of a pattern names at least one field", pattern);
  const matchers = fields.map(([name, rule]): Matcher => {
    if (name === "$or") return compileOr(rule);
    const matches = Array.isArray(rule) ? compileRules(rule) : compileBelow(rule);
    return (object) => matches(isObject(object) && Object.hasOwn(object, name) ? object[name] : undefined);
  });
  return (value) => {
    // An array of objects matches when one of them does.
    const candidates = Array.isArray(value) ? value : [value];
    return candidates.some((candidate) => matchers.every((matches) => matches(candidate)));
  };
}

function compileBelow(rule: unknown): Matcher {
  if (!isObject(rule)) throw invalidRule("a rule stands in a list", rule);
  const matches = compileObject(rule);
  // Below a field that is missing only rules of absence match.
  return (value) => matches(value);
}

function compileOr(rule: unknown): Matcher {
  if (!Array.isArray(rule) || rule.length === 0 || !rule.every(isObject)) {
    throw invalidRule("$or takes a list of patterns", rule);
  }
  const matchers = rule.map(compileObject);
  return (object) => matchers.some((matches) => matches(object));
}

function compileRules(rules: readonly unknown[]): Matcher {
  if (rules.length === 0) throw invalidRule("a list of rules has at least one", rules);
  const matchers = rules.map(compileRule);
  return (value) => matchers.some((matches) => matches(value));
}

function compileRule(rule: unknown): Matcher {
  if (isLeaf(rule)) return someLeaf((leaf) => isEqual(leaf, rule));
  const [[operator, argument] = ["", undefined], ...others] = isObject(rule) ? Object.entries(rule) : [];
  if (others.length > 0) throw invalidRule("a rule has one operator", rule);
  switch (operator) {
    case "prefix":
      return onText(rule, argument, (text, start) => text.startsWith(start));
    case "suffix":
      return onText(rule, argument, (text, end) => text.endsWith(end));
    case "equals-ignore-case":
      return onText(rule, argument, (text, other) => text.toLowerCase() === other.toLowerCase());
    case "exists":
      if (typeof argument !== "boolean") throw invalidRule("exists takes true or false", rule);
      return (value) => (value !== undefined && !isObject(value)) === argument;
    case "anything-but":
      return compileAnythingBut(rule, argument);
    case "numeric":
      return compileNumeric(rule, argument);
    default:
      throw invalidRule("an operator of Lambda's filters is missing", rule);
  }
}

function onText(rule: unknown, argument: unknown, holds: (text: string, argument: string) => boolean): Matcher {
  if (typeof argument !== "string") throw invalidRule("the operator takes a string", rule);
  return someLeaf((leaf) => typeof leaf === "string" && holds(leaf, argument));
}

function compileAnythingBut(rule: unknown, argument: unknown): Matcher {
  const excluded = Array.isArray(argument) ? argument : [argument];
  const isPlain = (value: unknown) => typeof value === "string" || value instanceof JsonNumber;
  if (excluded.length === 0 || !excluded.every(isPlain)) throw invalidRule("anything-but takes strings or numbers", rule);
  return someLeaf((leaf) => !excluded.some((other) => isEqual(leaf, other as Leaf)));
}

const comparisons: Readonly<Record<string, (value: number, bound: number) => boolean>> = {
  "=": (value, bound) => value === bound,
  "<": (value, bound) => value < bound,
  "<=": (value, bound) => value <= bound,
  ">": (value, bound) => value > bound,
  ">=": (value, bound) => value >= bound,
};

/** One comparison, or a lower and an upper bound. */
function compileNumeric(rule: unknown, argument: unknown): Matcher {
  if (!Array.isArray(argument) || ![2, 4].includes(argument.length))
    throw invalidRule("numeric takes one or two comparisons", rule);
  const checks: ((value: number) => boolean)[] = [];
  for (let n = 0; n < argument.length; n += 2) {
    const [operator, bound] = [argument[n] as unknown, argument[n + 1] as unknown];
    const compare = typeof operator === "string" && Object.hasOwn(comparisons, operator) ? comparisons[operator] : undefined;
    if (compare === undefined || !(bound instanceof JsonNumber)) throw invalidRule("numeric compares with a number", rule);
    checks.push((value) => compare(value, bound.value));
  }
  return someLeaf((leaf) => leaf instanceof JsonNumber && checks.every((holds) => holds(leaf.value)));
}

/** A list in the event matches when one of its values does. */
function someLeaf(holds: (leaf: Leaf) => boolean): Matcher {
  return (value) => (Array.isArray(value) ? value.some((item) => isLeaf(item) && holds(item)) : isLeaf(value) && holds(value));
}

function isEqual(left: Leaf, right: Leaf): boolean {
  if (left instanceof JsonNumber && right instanceof JsonNumber) return left.text === right.text;
  return left === right;
}

function isLeaf(value: unknown): value is Leaf {
  return value === null || typeof value === "string" || typeof value === "boolean" || value instanceof JsonNumber;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value) && !(value instanceof JsonNumber);
}

function invalidRule(why: string, rule: unknown): MillraceError {
  return new MillraceError("invalid", `${why}: ${JSON.stringify(rule)}`);
}

/** Numbers keep their text; the third argument of revivers is not in TypeScript's types yet. */
function parse(text: string): unknown {
  const revive = (_name: string, value: unknown, context?: { readonly source?: string }) =>
    typeof value === "number" ? new JsonNumber(context?.source ?? String(value)) : value;
  return JSON.parse(text, revive as (name: string, value: unknown) => unknown);
}
