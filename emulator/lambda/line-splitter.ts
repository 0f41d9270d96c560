/** Cuts what a process writes into lines. */
import { StringDecoder } from "node:string_decoder";

/** An event in CloudWatch Logs has at most 1 MiB: a longer line is cut there. */
const lineCharactersMax = 1024 * 1024;

export class LineSplitter {
  readonly #decoder = new StringDecoder("utf8");
  readonly #onLine: (line: string) => void;
  #rest = "";

  constructor(onLine: (line: string) => void) {
    this.#onLine = onLine;
  }

  write(bytes: Buffer): void {
    const lines = (this.#rest + this.#decoder.write(bytes)).split(/\r?\n/);
    this.#rest = lines.pop() ?? "";
    for (const line of lines) this.#onLine(line);
    while (this.#rest.length > lineCharactersMax) {
      this.#onLine(this.#rest.slice(0, lineCharactersMax));
      this.#rest = this.#rest.slice(lineCharactersMax);
    }
  }

  /** What was written last without an end of line. */
  end(): void {
    const rest = this.#rest + this.#decoder.end();
    this.#rest = "";
    if (rest !== "") this.#onLine(rest);
  }
}
