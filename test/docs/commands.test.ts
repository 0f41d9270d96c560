/** docs/commands.md says what the program says of itself, and the runbook has a section per alarm that says what to type. */
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { createProgram } from "../../cli/program.ts";
import { describeCommands, marker, page } from "../../cli/describe-commands.ts";
import { exitCodes } from "../../cli/report-error.ts";

const runbook = await readFile(join(import.meta.dirname, "../../docs/operations/runbook.md"), "utf8");
const reference = await readFile(page, "utf8");

test("the reference is what the program says of itself", () => {
  const written = reference.slice(reference.indexOf(marker) + marker.length);
  assert.equal(written.trim(), describeCommands().trim(), "node cli/describe-commands.ts writes it anew");
});

test("every exit code is told", () => {
  for (const code of Object.values(exitCodes)) assert.match(reference, new RegExp(`^\\| ${code} +\\|`, "m"), `exit code ${code}`);
});

test("every command that the documents type is there, with its options", () => {
  const known = new Map<string, ReadonlySet<string>>();
  const add = (commands: ReturnType<typeof createProgram>["commands"], before: string) => {
    for (const command of commands) {
      known.set(`${before}${command.name()}`, new Set(command.options.flatMap(({ long }) => long ?? [])));
      add(command.commands, `${before}${command.name()} `);
    }
  };
  add(createProgram(() => undefined).commands, "");
  let checked = 0;
  for (const text of [runbook, reference.slice(0, reference.indexOf(marker))])
    for (const [, typed] of text.matchAll(/`millrace ([^`]+)`/g)) {
      const words = typed!.split(/\s+/);
      const name = known.has(`${words[0]} ${words[1]}`) ? `${words[0]} ${words[1]}` : words[0]!;
      assert.ok(known.has(name), `there is no command millrace ${typed}`);
      for (const option of words.filter((word) => word.startsWith("--")))
        assert.ok(known.get(name)!.has(option), `millrace ${name} has no option ${option}`);
      checked++;
    }
  assert.ok(checked > 15, `${checked} were found`);
});

test("every section of the runbook says what to type", () => {
  const [, ...sections] = runbook.split(/^## /m);
  assert.ok(sections.length > 10);
  for (const section of sections) assert.match(section, /`(millrace|aws) [a-z]/, section.slice(0, section.indexOf("\n")));
});
