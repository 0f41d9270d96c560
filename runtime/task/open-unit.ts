/** What can be taken back of a unit of work: changes of state, outputs, and what was gathered or put aside (units.ts). */
import type { MillraceError } from "../base/errors.ts";
import { ownerOf } from "../state/operator-state.ts";
import { blame } from "./blame.ts";
import type { Chain } from "./chain.ts";
import type { ChannelWriters, WritersMark } from "./channel-writers.ts";
import type { DeadLetterOutbox } from "./dead-letter-outbox.ts";
import type { GatheredMark, SortedInputs } from "./sorted-inputs.ts";
import type { UnitKeeper, UnitOrigin } from "./units.ts";

/** Of a task: where its units leave what they do. */
interface Outcome {
  readonly chain: Chain;
  readonly writers: ChannelWriters;
  readonly sorted: SortedInputs;
  readonly deadLetters: DeadLetterOutbox;
}

interface Mark {
  readonly writers: WritersMark;
  readonly sinks: ReadonlyMap<string, number>;
  readonly gathered: GatheredMark;
  readonly letters: number;
}

export class OpenUnit implements UnitKeeper {
  private readonly task: Outcome;
  private outputs: Mark | undefined;

  constructor(task: Outcome) {
    this.task = task;
  }

  mark(): void {
    const { chain, writers, sorted, deadLetters } = this.task;
    for (const store of chain.stores) store.startUnit();
    this.outputs = {
      writers: writers.mark(),
      sinks: new Map([...chain.sinks].map(([uid, sink]) => [uid, sink.length])),
      gathered: sorted.mark(),
      letters: deadLetters.length,
    };
  }

  takeBack(): void {
    const { chain, writers, sorted, deadLetters } = this.task;
    const mark = this.outputs as Mark;
    for (const node of chain.nodes) node.dropWaitingRecords();
    for (const store of chain.stores) store.undoUnit();
    writers.rollback(mark.writers);
    sorted.takeBack(mark.gathered);
    for (const [uid, length] of mark.sinks) chain.sinks.get(uid)?.truncate(length);
    deadLetters.truncate(mark.letters);
    this.outputs = undefined;
  }

  check(): void {
    for (const store of this.task.chain.stores) {
      try {
        store.checkUnit();
      } catch (error) {
        throw blame(error, ownerOf(store.operator));
      }
    }
  }

  forget(): void {
    for (const store of this.task.chain.stores) store.endUnit();
    this.outputs = undefined;
  }

  waiting(): boolean {
    return this.task.chain.nodes.some((node) => node.holdsRecords);
  }

  deadLetter(origin: UnitOrigin, error: MillraceError): void {
    const { chain, deadLetters } = this.task;
    deadLetters.add(origin, String(error.context.operator), error.message);
    if (origin.kind === "timer") chain.byUid.get(origin.operator)?.timerFailed(origin);
  }
}
