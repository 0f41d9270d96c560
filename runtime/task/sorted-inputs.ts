/** The operators of a task that sort their input (batch mode), upstream first: what they have gathered, and how far it is given to them. */
import { crc32 } from "../base/crc32.ts";
import { ByteWriter } from "../base/byte-writer.ts";
import type { BlobName } from "../base/ids.ts";
import { encodeValue } from "../base/message-pack.ts";
import type { Progress } from "../state/commit.ts";
import type { SortMark } from "../state/sort-buffer.ts";
import type { WantedRun } from "../state/sorted-runs.ts";
import type { ChainNode } from "./chain-node.ts";
import { SortingNode, type StepStatus } from "./sorting-node.ts";

export type GatheredMark = ReadonlyMap<SortingNode, SortMark>;

export class SortedInputs {
  private readonly nodes: readonly SortingNode[];

  constructor(chain: readonly ChainNode[]) {
    this.nodes = chain.filter((node): node is SortingNode => node instanceof SortingNode);
  }

  /** Some operator's input is there and sorted, and not all of it has been processed. */
  get haveMore(): boolean {
    return this.nodes.some((node) => node.isSorted);
  }

  /** About what the gathered records take in memory. */
  get gatheredBytes(): number {
    let bytes = 0;
    for (const node of this.nodes) bytes += node.gatheredBytes;
    return bytes;
  }

  /** Writes what operators have gathered since the last commit as runs of one object; undefined when they have nothing. */
  spill(blob: BlobName): Uint8Array | undefined {
    if (this.gatheredBytes === 0) return undefined;
    const writer = new ByteWriter(1 << 16);
    for (const node of this.nodes) node.spill(writer, blob);
    return writer.take();
  }

  /** Goes on with what is sorted. */
  feed(isFull: () => boolean): StepStatus {
    for (const node of this.nodes) {
      if (!node.isSorted) continue;
      if (node.gatheredBytes > 0) return "full";
      const status = node.step(isFull);
      if (status !== "done") return status;
    }
    return "done";
  }

  /** Tells apart how far sorted input is given to operators, whatever else is committed. */
  get place(): string {
    return String(crc32(encodeValue(this.nodes.map((node) => node.progress()))));
  }

  /** Parts of sorted runs that must be read before `feed` can go on. */
  get wantedRuns(): readonly WantedRun[] {
    return this.nodes.flatMap((node) => node.wanted);
  }

  /** Objects in which runs lie that are not processed to their ends. */
  get runBlobs(): ReadonlySet<BlobName> {
    return new Set(this.nodes.flatMap((node) => node.progress().runs.map(({ blob }) => blob)));
  }

  mark(): GatheredMark {
    return new Map(this.nodes.map((node) => [node, node.markGathered()]));
  }

  takeBack(mark: GatheredMark): void {
    for (const [node, at] of mark) node.takeBackGathered(at);
  }

  progress(): Pick<Progress, "sorts"> {
    return this.nodes.length > 0 ? { sorts: new Map(this.nodes.map((node) => [node.uid, node.progress()])) } : {};
  }
}
