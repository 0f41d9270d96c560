/**
 * Small mistakes that can be made in a source file, found by its syntax: a condition the other way round, a statement left out, one operator
 * for another, a number off by one.
 *
 * U1 A mutation changes code alone: types, imports and assertions of our own mistakes stay.
 * U2 A mutant keeps its lines, so that places in it are places in the original.
 */
import ts from "typescript";

export interface Mutation {
  /** The part of the text that is replaced, and by what. */
  readonly from: number;
  readonly to: number;
  readonly replacement: string;
  /** Whether what is replaced is a statement: an expression otherwise. */
  readonly statement: boolean;
  /** Counted from 1. */
  readonly line: number;
  readonly what: string;
}

type Swap = readonly [token: string, other: string];

const swaps = new Map<ts.SyntaxKind, Swap>([
  [ts.SyntaxKind.AmpersandAmpersandToken, ["&&", "||"]],
  [ts.SyntaxKind.BarBarToken, ["||", "&&"]],
  [ts.SyntaxKind.LessThanToken, ["<", "<="]],
  [ts.SyntaxKind.LessThanEqualsToken, ["<=", "<"]],
  [ts.SyntaxKind.GreaterThanToken, [">", ">="]],
  [ts.SyntaxKind.GreaterThanEqualsToken, [">=", ">"]],
  [ts.SyntaxKind.EqualsEqualsEqualsToken, ["===", "!=="]],
  [ts.SyntaxKind.ExclamationEqualsEqualsToken, ["!==", "==="]],
  [ts.SyntaxKind.PlusToken, ["+", "-"]],
  [ts.SyntaxKind.MinusToken, ["-", "+"]],
  [ts.SyntaxKind.AsteriskToken, ["*", "+"]],
  [ts.SyntaxKind.PlusEqualsToken, ["+=", "-="]],
  [ts.SyntaxKind.MinusEqualsToken, ["-=", "+="]],
  [ts.SyntaxKind.AmpersandToken, ["&", "|"]],
  [ts.SyntaxKind.BarToken, ["|", "&"]],
]);

const steps = new Map<ts.SyntaxKind, Swap>([
  [ts.SyntaxKind.PlusPlusToken, ["++", "--"]],
  [ts.SyntaxKind.MinusMinusToken, ["--", "++"]],
]);

/** All mutations of a file, in the order of their places. */
export function mutationsOf(text: string): Mutation[] {
  const file = ts.createSourceFile("mutated.ts", text, ts.ScriptTarget.ESNext, true);
  const found: Mutation[] = [];
  visit(file, file, found);
  return found.sort((a, b) => a.from - b.from || a.to - b.to);
}

/** The text with one mutation. `probe` is an expression that is evaluated wherever the mutated place is come by. */
export function mutate(text: string, { from, to, replacement, statement }: Mutation, probe?: string): string {
  const lines = text.slice(from, to).split("\n").length - replacement.split("\n").length;
  const body = replacement + "\n".repeat(Math.max(lines, 0));
  const probed = probe === undefined ? body : statement ? `{ ${probe}; ${body} }` : `(${probe}, ${body})`;
  return text.slice(0, from) + probed + text.slice(to);
}

function visit(node: ts.Node, file: ts.SourceFile, found: Mutation[]): void {
  if (ts.isTypeNode(node) || ts.isImportDeclaration(node) || ts.isInterfaceDeclaration(node)) return;
  if (ts.isTypeAliasDeclaration(node) || isAssertion(node)) return;
  mutateNode(node, file, found);
  ts.forEachChild(node, (child) => visit(child, file, found));
}

function isAssertion(node: ts.Node): boolean {
  return (
    ts.isExpressionStatement(node) &&
    ts.isCallExpression(node.expression) &&
    /^assert\b/.test(node.expression.expression.getText())
  );
}

function mutateNode(node: ts.Node, file: ts.SourceFile, found: Mutation[]): void {
  const add = (replacement: string, what: string, statement = false) => {
    const from = node.getStart(file);
    const line = file.getLineAndCharacterOfPosition(from).line + 1;
    found.push({ from, to: node.getEnd(), replacement, statement, line, what });
  };
  const text = node.getText(file);
  if (isCondition(node)) add(`(!(${text}))`, `not: ${shown(text)}`);
  if (ts.isExpressionStatement(node) && !isSuperCall(node)) add(";", `left out: ${shown(text)}`, true);
  if (ts.isBinaryExpression(node)) swapOperator(node, file, add);
  if (ts.isPostfixUnaryExpression(node) || ts.isPrefixUnaryExpression(node)) {
    const swap = steps.get(node.operator);
    if (swap !== undefined) add(text.replace(swap[0], swap[1]), `${swap[1]} for ${swap[0]}: ${shown(text)}`);
    if (node.operator === ts.SyntaxKind.ExclamationToken)
      add(`(!!${node.operand.getText(file)})`, `without its not: ${shown(text)}`);
  }
  if (ts.isNumericLiteral(node) && !isName(node)) add(`(${text} + 1)`, `one more: ${text}`);
  if (node.kind === ts.SyntaxKind.TrueKeyword) add("false", "false for true");
  if (node.kind === ts.SyntaxKind.FalseKeyword) add("true", "true for false");
}

/** Of an if, a loop or a conditional expression. Comparisons and nots have mutations of their own. */
function isCondition(node: ts.Node): boolean {
  const { parent } = node;
  if (parent === undefined || ts.isBinaryExpression(node) || ts.isPrefixUnaryExpression(node)) return false;
  if (ts.isIfStatement(parent) || ts.isWhileStatement(parent) || ts.isDoStatement(parent)) return parent.expression === node;
  return (ts.isConditionalExpression(parent) || ts.isForStatement(parent)) && parent.condition === node;
}

function swapOperator(node: ts.BinaryExpression, file: ts.SourceFile, add: (replacement: string, what: string) => void): void {
  const swap = swaps.get(node.operatorToken.kind);
  if (swap === undefined || (swap[0] === "+" && [node.left, node.right].some(isText))) return;
  const [left, right] = [node.left.getText(file), node.right.getText(file)];
  add(`((${left}) ${swap[1]} (${right}))`, `${swap[1]} for ${swap[0]}: ${shown(node.getText(file))}`);
}

function isText(node: ts.Expression): boolean {
  return ts.isStringLiteralLike(node) || ts.isTemplateExpression(node);
}

function isSuperCall({ expression }: ts.ExpressionStatement): boolean {
  return ts.isCallExpression(expression) && expression.expression.kind === ts.SyntaxKind.SuperKeyword;
}

/** A number may be the name of a member. */
function isName(node: ts.NumericLiteral): boolean {
  return ts.isPropertyAssignment(node.parent) && node.parent.name === node;
}

function shown(text: string): string {
  const line = text.replaceAll(/\s+/g, " ");
  return line.length > 100 ? `${line.slice(0, 97)}...` : line;
}
