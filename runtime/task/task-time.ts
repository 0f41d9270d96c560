/** The watermarks of a task's operators: which have several inputs, and where they stood at the last commit. */
import { hasTwoInputs } from "../api/graph.ts";
import type { ChannelId, TaskId } from "../base/ids.ts";
import type { ExchangePlan } from "../plan/job-graph.ts";
import type { Progress } from "../state/commit.ts";
import { stageOf, upstreamOf } from "../streaming/channel.ts";
import { loadWatermark, minWatermark, storeWatermark, type StoredWatermark } from "../time/watermark.ts";
import { type SideStatus, TwoInputValve } from "../time/two-input-valve.ts";
import { type InputStatus, WatermarkValve } from "../time/watermark-valve.ts";
import type { StoredSourceWatermarks } from "../time/source-watermarks.ts";
import { AssignerNode } from "./assigner-node.ts";
import type { Chain, NodeInput } from "./chain.ts";
import type { ChainNode } from "./chain-node.ts";
import type { ChannelInput } from "./channel-input.ts";
import { SortingNode, type SortProgress } from "./sorting-node.ts";
import type { SourceInput } from "./source-input.ts";
import { stageOfTask } from "./source-task.ts";
import type { TaskPlan } from "./task-plan.ts";

interface StoredInput extends Omit<InputStatus, "at"> {
  readonly at: StoredWatermark;
}
type StoredInputs = readonly (readonly [string, StoredInput])[];
interface StoredSide {
  readonly watermark: StoredWatermark;
  readonly inputs: StoredInputs;
}
/** After a restore into a new generation only the watermark is there: the channels are new. */
export interface StoredValve {
  readonly watermark: StoredWatermark;
  readonly inputs: StoredInputs | undefined;
  /** In the place of `inputs`, of an operator that keeps two inputs apart. */
  readonly sides?: readonly [StoredSide, StoredSide];
  /** Of an operator that makes event time: where its own stands. */
  readonly assigner?: StoredSourceWatermarks;
}

interface Timed {
  readonly plan: TaskPlan;
  readonly chain: Chain;
  readonly channels: ChannelInput;
  readonly sources: ReadonlyMap<string, SourceInput>;
}

/** Gives a valve to every operator whose watermark is of more than one input. */
export function createValves(task: Timed, progress: Progress): void {
  for (const node of task.chain.nodes) {
    const inputs = [...(task.chain.chainedInputs.get(node.uid) ?? []), ...channelInputs(task, node, progress.channels.keys())];
    const stored = progress.valves.get(node.uid) as StoredValve | undefined;
    if (node instanceof AssignerNode) node.begin(stored?.assigner);
    if (node instanceof SortingNode) node.begin(progress.sorts?.get(node.uid) as SortProgress | undefined);
    const fromChannels = task.plan.job.exchanges.some((exchange) => exchange.to === node.uid);
    if (inputs.length < 2 && !fromChannels) continue;
    const { spec } = task.plan.job.operators.get(node.uid)!.node;
    node.valve = hasTwoInputs(spec) ? restoreTwoInputValve(stored, inputs) : restoreValve(stored, inputs);
    if (!ownsTime(node)) node.current = node.valve.watermark;
  }
}

/** Its watermark is not that of its input. */
function ownsTime(node: ChainNode): boolean {
  return node instanceof AssignerNode || node instanceof SortingNode;
}

function channelInputs(task: Timed, node: ChainNode, channels: Iterable<ChannelId>): NodeInput[] {
  const { exchanges } = task.plan.job;
  const into = exchanges.filter((exchange) => exchange.to === node.uid && exchange.toStage === task.plan.stage.id);
  const inputs: NodeInput[] = [];
  for (const channel of channels)
    for (const exchange of into)
      if (sends(task, upstreamOf(channel), exchange))
        inputs.push({ name: `${exchange.number}:${channel}`, side: exchange.input });
  return inputs;
}

function sends({ plan }: Timed, from: TaskId, { fromStage, from: operator }: ExchangePlan): boolean {
  return stageOf(from) === fromStage && stageOfTask(plan.job, from).operators.includes(operator);
}

function floorOf(stored: StoredValve | undefined): number {
  return stored === undefined ? minWatermark : loadWatermark(stored.watermark);
}

function restoreValve(stored: StoredValve | undefined, inputs: readonly NodeInput[]): WatermarkValve {
  const floor = floorOf(stored);
  if (stored?.inputs !== undefined) return WatermarkValve.restore(loadInputs(stored.inputs), { floor });
  const valve = new WatermarkValve({ floor });
  for (const { name } of inputs) valve.add(name);
  return valve;
}

function restoreTwoInputValve(stored: StoredValve | undefined, inputs: readonly NodeInput[]): TwoInputValve {
  const floor = floorOf(stored);
  if (stored?.sides !== undefined) {
    const [left, right] = stored.sides;
    return TwoInputValve.restore([loadSide(left), loadSide(right)], floor);
  }
  const valve = new TwoInputValve(floor);
  for (const { name, side } of inputs) valve.add(name, side);
  return valve;
}

function loadInputs(inputs: StoredInputs): Map<string, InputStatus> {
  return new Map(inputs.map(([name, input]) => [name, { ...input, at: loadWatermark(input.at) }]));
}

function loadSide({ watermark, inputs }: StoredSide): SideStatus {
  return { watermark: loadWatermark(watermark), inputs: loadInputs(inputs) };
}

/**
 * Puts operators with one input where they stood themselves, and those of which that is not stored where their only input stands: they
 * have no timers. An input may stand further after a restore, where it is of other tasks than it was: their timers have not fired yet.
 */
export function restoreWatermarks(task: Timed, progress: Progress): void {
  const at = new Map<string, number>();
  for (const [uid, source] of task.sources) at.set(uid, source.time);
  for (const node of task.chain.nodes) {
    const upstream = task.plan.job.operators.get(node.uid)?.node.inputs.find(({ from }) => at.has(from))?.from;
    const stored = progress.valves.get(node.uid) as StoredValve | undefined;
    if (node.valve === undefined && upstream !== undefined && !ownsTime(node))
      node.current = stored === undefined ? (at.get(upstream) ?? minWatermark) : loadWatermark(stored.watermark);
    at.set(node.uid, node.current);
  }
}

/**
 * The valves as plain data, for the commit; of other operators with timers only where they stand: at another parallelism they may
 * have a valve.
 */
export function valveProgress(chain: Chain): Map<string, StoredValve> {
  const valves = new Map<string, StoredValve>();
  for (const node of chain.nodes) {
    const { uid, valve, state, current } = node;
    if (node instanceof AssignerNode) valves.set(uid, assignerProgress(node));
    else if (valve !== undefined) valves.set(uid, storedValve(valve));
    else if (state !== undefined) valves.set(uid, { watermark: storeWatermark(current), inputs: undefined });
  }
  return valves;
}

function assignerProgress(node: AssignerNode): StoredValve {
  const { valve } = node;
  const before = valve === undefined ? { watermark: storeWatermark(minWatermark), inputs: undefined } : storedValve(valve);
  return { ...before, assigner: node.snapshotTime() };
}

function storedValve(valve: WatermarkValve | TwoInputValve): StoredValve {
  const watermark = storeWatermark(valve.watermark);
  if (valve instanceof WatermarkValve) return { watermark, inputs: storedInputs(valve.snapshot()) };
  const [left, right] = valve.snapshot();
  return { watermark, inputs: undefined, sides: [storedSide(left), storedSide(right)] };
}

function storedSide({ watermark, inputs }: SideStatus): StoredSide {
  return { watermark: storeWatermark(watermark), inputs: storedInputs(inputs) };
}

function storedInputs(inputs: ReadonlyMap<string, InputStatus>): StoredInputs {
  return [...inputs].map(([name, status]) => [name, { ...status, at: storeWatermark(status.at) }] as const);
}
