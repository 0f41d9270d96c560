/**
 * Ends the processes of functions when the process that started them has ended in any way, kill -9 too: a shell of a few hundred KB
 * that is told which ones live, and reads the end of its input when its owner is gone.
 *
 * G1 It knows only processes that it was told of and that have not ended: an id that the system gives anew is safe.
 */
import { type ChildProcess, spawn } from "node:child_process";
import type { Socket } from "node:net";

/** Ctrl-C reaches every process of a terminal: the owner decides what then happens. */
const script = `
trap '' INT TERM HUP QUIT
live=' '
while read -r sign pid; do
  case $sign in
    +) live="$live$pid " ;;
    -) live="\${live%% $pid *} \${live#* $pid }" ;;
  esac
done
for pid in $live; do kill -9 "-$pid"; done
`;

class ProcessGuard {
  #shell: ChildProcess | undefined;

  /** `pid`: the leader of a process group. */
  watch(pid: number): void {
    this.#tell(`+ ${pid}\n`);
  }

  forget(pid: number): void {
    this.#tell(`- ${pid}\n`);
  }

  #tell(line: string): void {
    if (process.platform === "win32") return;
    this.#shell ??= startShell();
    this.#shell.stdin?.write(line);
  }
}

function startShell(): ChildProcess {
  const shell = spawn("sh", ["-c", script], { stdio: ["pipe", "ignore", "ignore"], detached: true });
  shell.on("error", () => {});
  shell.stdin.on("error", () => {});
  // Neither keeps its owner alive.
  shell.unref();
  (shell.stdin as unknown as Socket).unref();
  return shell;
}

/** One for this process, started with the first function. */
export const processGuard = new ProcessGuard();
