/** A process of a simulated deployment: an execution environment of a function, until it dies. */

export class SimulatedProcess {
  readonly name: string;
  readonly died: Promise<void>;
  /** Epoch ms, virtual: until then it stands still; what it began comes to it afterwards. */
  frozenUntil = 0;
  /** Virtual ms that its code has taken since it last waited for something. */
  busyMs = 0;
  #alive = true;
  #onDeath: () => void = () => undefined;

  constructor(name: string) {
    this.name = name;
    this.died = new Promise((resolve) => (this.#onDeath = resolve));
  }

  get alive(): boolean {
    return this.#alive;
  }

  /** No exception leaves it: it is gone, and what it waits for never comes. */
  die(): void {
    this.#alive = false;
    this.#onDeath();
  }
}

/** What is not there any more waits for ever. */
export function never<T>(): Promise<T> {
  return new Promise<T>(() => undefined);
}
