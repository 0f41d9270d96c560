/** The reference of the commands, as docs/commands.md has it: made of the program itself. `node cli/describe-commands.ts` writes it anew. */
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Argument, Command, Option } from "commander";
import { createProgram } from "./program.ts";

/** What stands before the reference in the page. */
export const marker = "<!-- What follows is made by cli/describe-commands.ts. -->";
export const page = join(import.meta.dirname, "../docs/commands.md");

/** One section for each command. */
export function describeCommands(): string {
  const program = createProgram(() => undefined);
  return leavesOf(program.commands, "millrace")
    .map(([name, command]) => describe(name, command))
    .join("\n");
}

function leavesOf(commands: readonly Command[], before: string): readonly (readonly [string, Command])[] {
  return commands.flatMap((command) => {
    const name = `${before} ${command.name()}`;
    return command.commands.length === 0 ? [[name, command] as const] : leavesOf(command.commands, name);
  });
}

function describe(name: string, command: Command): string {
  const args = command.registeredArguments.map(argumentOf).join(" ");
  const options = command.options.map((option) => `    ${option.flags.padEnd(32)} ${textOf(option)}`.trimEnd());
  return [
    `### ${name}`,
    "",
    `    ${`${name} ${args}`.trimEnd()} [options]`,
    "",
    sentence(command.description()),
    "",
    ...options,
    "",
  ].join("\n");
}

function argumentOf(argument: Argument): string {
  const name = `${argument.name()}${argument.variadic ? "..." : ""}`;
  return argument.required ? `<${name}>` : `[${name}]`;
}

function textOf({ description, defaultValue, mandatory }: Option): string {
  const none = defaultValue === undefined || defaultValue === false || (Array.isArray(defaultValue) && defaultValue.length === 0);
  return `${description}${none ? "" : ` (default: ${String(defaultValue)})`}${mandatory ? " (must be given)" : ""}`;
}

function sentence(text: string): string {
  return `${text[0]!.toUpperCase()}${text.slice(1)}.`;
}

if (import.meta.main) {
  const text = await readFile(page, "utf8");
  await writeFile(page, `${text.slice(0, text.indexOf(marker) + marker.length)}\n\n${describeCommands()}`);
}
