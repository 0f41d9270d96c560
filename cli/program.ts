/**
 * The commands and their options, as data that `--help` and docs/commands.md are made of. What a command does is loaded when it is called.
 *
 * P1 Every command takes `--json`, and answers in one document then; `run`, `dev` and `emulate` print what they are for as it comes.
 */
import { readFileSync } from "node:fs";
import { findPackageJSON } from "node:module";
import { Argument, Command, Option } from "commander";
import { type Answer, printAnswer } from "./answer.ts";
import { loadJob } from "./load-job.ts";
import { UsageError } from "./report-error.ts";
import { isAway } from "./target/is-away.ts";
import { openTarget } from "./target/open-target.ts";
import type { JobGraph } from "../runtime/plan/job-graph.ts";
import type { Target } from "./target/target.ts";

/** What commander made of the command line: values by the names of options, as they are declared here. */
type Given = any;

const jobArgument = () => new Argument("<job>", "the module that exports the job by default");
const optionalJob = () => new Argument("[job]", "the module that exports the job by default");

/** `finish` is told the exit code. */
export function createProgram(finish: (code: number) => void): Command {
  const program = new Command("millrace")
    .description("Stateful stream processing: runs jobs, and looks after them where they run.")
    .version(ownVersion())
    .exitOverride()
    .showHelpAfterError("see --help")
    .helpCommand(false);
  const add = (name: string, description: string) =>
    program.command(name).description(description).option("--json", "print one JSON document").exitOverride();

  runCommands(add, finish);
  targetCommands(add, finish);
  letterCommands(program, finish);
  stateCommands(program, finish);
  return program;
}

function ownVersion(): string {
  const { version } = JSON.parse(readFileSync(findPackageJSON("..", import.meta.url)!, "utf8")) as { version: string };
  return version;
}

type Add = (name: string, description: string) => Command;
type Finish = (code: number) => void;

// ---- what runs something ----

function runCommands(add: Add, finish: Finish): void {
  const run = runOptions(add("run", "run a job on this machine: begins, or goes on from where it stands")).addArgument(
    jobArgument(),
  );
  run.option("--from <checkpoint>", "begin again from a checkpoint that is kept: its number, or latest");
  run.action(async (path: string, given: Given) => finish(await runJobHere(path, given)));

  const dev = runOptions(add("dev", "run a job here, and again from its checkpoint whenever its code changes")).addArgument(
    jobArgument(),
  );
  dev.action(async (path: string, _given: Given) => {
    const { dev: watchAndRun } = await import("./commands/dev.ts");
    const args = process.argv.slice(process.argv.indexOf("dev") + 1);
    finish(await watchAndRun(path, { args, print: (line) => process.stderr.write(`${line}\n`) }));
  });

  explainCommand(add, finish);
  emulateCommand(add, finish);
}

/** Of those that run a job here, or have the coordinator do it where it is deployed. */
function hereOrAwayOptions(command: Command): Command {
  const here = new Set(runOptions(new Command()).options.map((option) => option.attributeName()));
  return runOptions(waitOptions(coordinatorOption(command))).hook("preAction", (called) => {
    if (!isAway(called.args[0], called.opts())) return;
    const given = called.options.filter((option) => {
      const name = option.attributeName();
      return here.has(name) && name !== "state" && called.getOptionValueSource(name) === "cli";
    });
    if (given.length > 0) throw new UsageError(notOfDeployed(given.map(({ long }) => long!)));
  });
}

function notOfDeployed(options: readonly string[]): string {
  const advice = "what a deployed job runs with is in its code and its deployment";
  return `${options.join(", ")}: for a job on this machine; ${advice}`;
}

/** Of all that run a job here. */
function runOptions(command: Command): Command {
  return jobOptions(command)
    .option("--bind <name=path>", "a file for a source, a directory for a sink, by uid or name; may be repeated", repeated, [])
    .option("--output <dir>", "what relative paths of sinks are relative to", ".")
    .option("--state <dir>", "where the job keeps its state (default: .millrace/<job>)")
    .option("--memory", "keep no state", false)
    .option("--rate <n>", "read at most n records a second", numberOf("--rate", 1))
    .option("--parallelism <n>", "run at this parallelism from now on", wholeNumberOf("--parallelism", 1))
    .option("--allow-skipped-state", "go on without the state of operators and states that the job no longer has")
    .option("--share", "run the job together with other processes started with --share", false)
    .addHelpText("after", "\nCtrl-C stops with a checkpoint; the same command goes on from it.");
}

function jobOptions(command: Command): Command {
  return command
    .option(
      "--param <name=value>",
      "a parameter of the job; may be repeated; else MILLRACE_PARAM_<NAME> of the environment",
      repeated,
      [],
    )
    .option("--batch", "batch mode: bounded input, sorted by key, one key's state at a time", false);
}

async function runJobHere(path: string, given: Given): Promise<number> {
  const { runHere } = await import("./commands/run.ts");
  return runHere(await loadJob(path, given), given);
}

function explainCommand(add: Add, finish: Finish): void {
  const command = jobOptions(add("explain", "print the plan of a job")).addArgument(jobArgument());
  command.action(async (path: string, given: Given) => {
    const [{ planJob }, { explain }, { explainJson }] = await Promise.all([
      import("../runtime/plan/plan-job.ts"),
      import("../runtime/plan/explain.ts"),
      import("../runtime/plan/explain-json.ts"),
    ]);
    const graph = planJob(await loadJob(path, given));
    finish(printAnswer({ json: explainJson(graph), lines: explain(graph).split("\n") }, given.json));
  });
}

function emulateCommand(add: Add, finish: Finish): void {
  const command = add("emulate", "run an emulated cloud: Kinesis, DynamoDB, S3, and Lambda functions in processes of their own");
  command
    .argument("<cloud>", "what cdk synth wrote (cdk.out), or a topology (JSON)")
    .option("--stack <name>", "of cdk.out, a stack and those that it depends on; may be repeated", repeated, [])
    .option("--state <dir>", "where the cloud keeps its data (default: in memory)")
    .addOption(
      new Option(
        "--port <n>",
        "the first of six ports, for Kinesis, DynamoDB, S3, Lambda, SQS with SNS, EventBridge; 0 takes free ones",
      )
        .default(4600)
        .argParser(portOf),
    )
    .action(async (path: string, { stack, state, port }: Given) => {
      const { emulate } = await import("./emulate.ts");
      // Lines of functions go to standard output, what is said about the cloud to standard error.
      await emulate(path, { stacks: stack, state, port, output: process.stdout, terminal: process.stderr });
      finish(0);
    });
}

// ---- what looks at a job, or gives it orders, wherever it runs ----

function targetCommands(add: Add, finish: Finish): void {
  const onTarget: OnTarget = (name, description, answer, declare = (command) => command) =>
    declare(targetOptions(add(name, description)).addArgument(optionalJob())).action(
      async (path: string | undefined, given: Given) => finish(await withTarget(path, given, (target) => answer(target, given))),
    );

  onTarget("status", "how a job stands, and what can be done next", async (target) => {
    const { status } = await import("./commands/status.ts");
    return status(target);
  });
  onTarget("checkpoints", "what a job can begin again from", async (target) => {
    const { checkpoints } = await import("./commands/checkpoints.ts");
    return checkpoints(target);
  });
  onTarget(
    "savepoint",
    "take a savepoint, or wait for the one that is being taken: a checkpoint that stays; the job goes on",
    async (target, given) => {
      const { savepoint } = await import("./commands/orders.ts");
      return savepoint(target, { timeoutMs: given.timeout * 1_000, id: given.order, say: (line) => console.error(line) });
    },
    (command) =>
      waitOptions(command).option("--order <name>", "the savepoint of this order: given again by its name, it is taken once"),
  );
  const ordered = [
    ["stop", "stop with a savepoint: nothing is taken in or put out beyond it"],
    ["pause", "take nothing more in; going on is a matter of seconds"],
    ["resume", "go on after a pause, or give a stop up"],
  ] as const;
  for (const [name, description] of ordered)
    onTarget(
      name,
      description,
      async (target, given) => {
        const orders = await import("./commands/orders.ts");
        return orders[name](target, { timeoutMs: given.timeout * 1_000 });
      },
      waitOptions,
    );
  restoreCommands(add, finish);
  rescaleCommand(add, finish);
  forkCommand(onTarget);
  checkCommand(add, finish);
}

type OnTarget = (
  name: string,
  description: string,
  answer: (target: Target, given: Given) => Promise<Answer>,
  declare?: (command: Command) => Command,
) => Command;

function rescaleCommand(add: Add, finish: Finish): void {
  const description = "stop with a savepoint, begin again at another parallelism";
  const command = hereOrAwayOptions(add("rescale", description)).addArgument(optionalJob());
  command
    .option("--deploy <command>", "of a job that is deployed: deploys it at its new parallelism, once it has stopped")
    .action(async (path: string | undefined, given: Given) => {
      const { rescale } = await import("./commands/rescale.ts");
      finish(await rescale(path, given));
    });
}

function forkCommand(onTarget: OnTarget): void {
  onTarget(
    "fork",
    "another job that begins from this one's savepoint: on this machine, or under another name where it is deployed",
    async (target, { to, into, name, from, freshInput = false, replace = false, timeout }) => {
      const { fork } = await import("./commands/fork.ts");
      return fork(target, { to, directory: into, name, from, freshInput, replace, timeoutMs: timeout * 1_000 });
    },
    (command) =>
      waitOptions(command)
        .requiredOption("--to <where>", "local, or the coordinator of the job that is to begin from it")
        .option("--into <dir>", "with --to local: the state directory of the fork")
        .option("--name <job>", "with --to local: what the fork is called (default: as this job)")
        .option("--from <checkpoint>", "its number, or latest (default: a savepoint that is taken now)")
        .option("--fresh-input", "its sources begin anew: positions and event time in them stay behind")
        .option("--replace", "the other job has run: it gives up what it has, and takes back what it put out")
        .hook("preAction", (fork) => checkPlaceOf(fork.opts())),
  );
}

function checkPlaceOf({ to, into, name }: Given): void {
  if (to === "local" && into === undefined)
    throw new UsageError("a fork on this machine needs a directory of its own: --into DIR");
  if (to !== "local" && (into ?? name) !== undefined)
    throw new UsageError(`--into and --name are of a fork on this machine, --to local: ${to}`);
}

/** `millrace deadletters …`: what was put aside. */
function letterCommands(program: Command, finish: Finish): void {
  const group = program.command("deadletters").description("what was put aside, and why; and back again").exitOverride();
  const add = (name: string, description: string) =>
    targetOptions(group.command(name).description(description).option("--json", "print one JSON document").exitOverride());
  add("list", "how many, by operator and reason, and the newest of them")
    .addArgument(optionalJob())
    .option("--operator <uid>", "of one operator alone")
    .option("--reason <text>", "whose reason has this text")
    .option("--limit <n>", "so many of the newest, one by one", wholeNumberOf("--limit", 0), 10)
    .action(async (path: string | undefined, given: Given) => {
      const { list } = await import("./commands/deadletters.ts");
      finish(await withTarget(path, given, (target) => list(target, given)));
    });
  add("show", "one or several in full")
    .argument("<letter...>", "as list names them")
    .action(async (letters: readonly string[], given: Given) => {
      const { show } = await import("./commands/deadletters.ts");
      finish(await withTarget(undefined, given, (target) => show(target, letters)));
    });
  redriveCommand(group, finish);
}

/** Stops the job, and lets it go on with what was given back. */
function redriveCommand(group: Command, finish: Finish): void {
  const command = group
    .command("redrive")
    .description("give them back to the sources or the operators that they were for, once each, after a fix");
  hereOrAwayOptions(command.option("--json", "print one JSON document").exitOverride())
    .addArgument(optionalJob())
    .option("--operator <uid>", "of one operator alone")
    .option("--reason <text>", "whose reason has this text")
    .action(async (path: string | undefined, given: Given) => {
      const { redrive } = await import("./commands/redrive.ts");
      finish(await redrive(path, given));
    });
}

/** `millrace state …`: by the job's own code, which knows the shapes. */
function stateCommands(program: Command, finish: Finish): void {
  const group = program.command("state").description("keyed state: journal, pages and segments, or a checkpoint").exitOverride();
  const add = (name: string, description: string) => {
    const command = group.command(name).description(description).option("--json", "print one JSON document").exitOverride();
    return targetOptions(jobOptions(command)).addArgument(jobArgument()).option("--at <checkpoint>", "its number, or latest");
  };
  const answer = async (
    path: string,
    given: Given,
    ask: (state: typeof import("./commands/state.ts"), target: Target, graph: JobGraph) => Promise<Answer>,
  ) => {
    const [state, { planHere }] = await Promise.all([import("./commands/state.ts"), import("./plan-here.ts")]);
    const job = await loadJob(path, given);
    const target = await openTarget(given, job.name);
    try {
      finish(printAnswer(await ask(state, target, await planHere(job, target)), given.json));
    } finally {
      await target.close();
    }
  };
  add("list", "operators, their states, and how much they keep").action((path: string, given: Given) =>
    answer(path, given, (state, target, graph) => state.listState(target, graph, given)),
  );
  add("get", "all that an operator keeps of a key")
    .argument("<operator>", "its uid")
    .argument("<key>", "a text, or JSON")
    .action((path: string, operator: string, key: string, given: Given) =>
      answer(path, given, (state, target, graph) => state.getState(target, graph, operator, key, given)),
    );
  add("export", "everything, one entry a line or a row")
    .option("--operator <uid>", "of one operator alone")
    .option("--format <format>", "ndjson or parquet", "ndjson")
    .option("--to <file>", "where it is written (default: standard output)")
    .action((path: string, given: Given) =>
      answer(path, given, (state, target, graph) => state.exportState(target, graph, given)),
    );
}

/** Those that begin a new generation: on this machine with the job's code, elsewhere the coordinator has it. */
function restoreCommands(add: Add, finish: Finish): void {
  const restores = [
    [
      "start",
      "begin, or go on from where the job has stopped; or from any checkpoint that is kept",
      "--from <checkpoint>",
      false,
    ],
    ["rollback", "go back to a checkpoint that is kept: what was put out after it is taken back", "--to <checkpoint>", true],
  ] as const;
  for (const [name, description, flags, required] of restores) {
    const command = hereOrAwayOptions(add(name, description)).addArgument(optionalJob());
    const what = "its number (see millrace checkpoints), or latest";
    if (required) command.requiredOption(flags, what);
    else command.option(flags, what);
    command.option("--order <name>", "of a job that is deployed: given again by its name, it goes back once");
    command.action(async (path: string | undefined, given: Given) => {
      const { restoreJob } = await import("./commands/restore.ts");
      finish(await restoreJob(name, path, given));
    });
  }
}

function checkCommand(add: Add, finish: Finish): void {
  const command = targetOptions(
    jobOptions(add("check", "would this code go on from that state? Names the operator, before deploying")),
  );
  command
    .addArgument(jobArgument())
    .option("--against <checkpoint>", "a number, latest, or a manifest's file", "latest")
    .option("--allow-skipped-state", "state that the job no longer has may be left behind")
    .action(async (path: string, given: Given) => {
      const job = await loadJob(path, given);
      const [{ planJob }, { check }, { withManifest }] = await Promise.all([
        import("../runtime/plan/plan-job.ts"),
        import("./commands/check.ts"),
        import("./commands/checkpoints.ts"),
      ]);
      const open = () => openTarget(given, job.name);
      const answer = await withManifest(given.against, open, (manifest, at) =>
        check(planJob(job), manifest, at, given.allowSkippedState),
      );
      finish(printAnswer(answer, given.json));
    });
}

/** Opens what the command line names, and closes it. */
export async function withTarget(
  path: string | undefined,
  given: Given,
  answer: (target: Target) => Promise<Answer>,
): Promise<number> {
  const target = await openTarget(given, path === undefined ? undefined : (await loadJob(path, given)).name);
  try {
    return printAnswer(await answer(target), given.json);
  } finally {
    await target.close();
  }
}

function targetOptions(command: Command): Command {
  return coordinatorOption(command)
    .option("--state <dir>", "a job on this machine, by its state directory")
    .option("--output <dir>", "of a job on this machine: where its sinks write", ".");
}

function coordinatorOption(command: Command): Command {
  return command.option(
    "--coordinator <function>",
    "a job on AWS, or where AWS_ENDPOINT_URL… says: the stack's output CoordinatorFunction (or MILLRACE_COORDINATOR)",
  );
}

function waitOptions(command: Command): Command {
  return command.option("--timeout <seconds>", "how long it is waited for", numberOf("--timeout", 0), 600);
}

// ---- values of options ----

function repeated(value: string, before: readonly string[]): readonly string[] {
  return [...before, value];
}

function numberOf(option: string, least: number): (text: string) => number {
  return (text) => {
    if (text.trim() === "" || !(Number(text) >= least)) throw new UsageError(`${option} is a number, at least ${least}: ${text}`);
    return Number(text);
  };
}

function wholeNumberOf(option: string, least: number): (text: string) => number {
  return (text) => {
    if (!/^\d+$/.test(text) || Number(text) < least)
      throw new UsageError(`${option} is a whole number, at least ${least}: ${text}`);
    return Number(text);
  };
}

function portOf(text: string): number {
  if (!/^\d+$/.test(text) || Number(text) > 65_530) throw new UsageError(`--port is a number, at most 65530: ${text}`);
  return Number(text);
}
