/**
 * The start-up check: what only AWS knows of a deployment, looked at before it takes effect. CloudFormation calls it as a custom resource, on
 * which functions, mappings and the schedule depend: while it does not pass, none is made and none is changed, and its reasons stand in the
 * events of the deployment.
 *
 * K1 It changes nothing of a running job, and settles nothing of one that has not begun.
 * K2 A removal passes, and so does CloudFormation's own return to the deployment before, which the ordinal shows: neither must be stopped.
 * K3 What may be over soon (a role that AWS does not know everywhere yet, a throttled request) is tried again before it is a reason.
 */
import { withEnvironment } from "../runtime/api/environment-parameters.ts";
import type { Job } from "../runtime/api/job.ts";
import { accountLimits, type AccountLimits } from "../runtime/adapters/aws/account-limits.ts";
import { awsClients } from "../runtime/adapters/aws/aws-clients.ts";
import { customerKeyOf, isKnownKey } from "../runtime/adapters/aws/stream-key.ts";
import { isKind, MillraceError } from "../runtime/base/errors.ts";
import { partsOf } from "../runtime/connectors/hybrid/hybrid.ts";
import { queueKinds } from "../runtime/connectors/sqs/sqs.ts";
import { Coordinator } from "../runtime/driver/coordinator.ts";
import { together } from "../runtime/driver/together.ts";
import { planJob } from "../runtime/plan/plan-job.ts";
import type { JobGraph } from "../runtime/plan/job-graph.ts";
import { allSafeguards } from "../runtime/task/safeguards.ts";
import { readSettings, type Settings, type StartCheckProperties } from "./contract.ts";
import {
  answerCustomResource,
  type CustomResourceOutcome,
  type CustomResourceRequest,
  decodeCustomResource,
} from "./custom-resource.ts";
import { executionsOf, queueExecutions, refusalOfExecutions } from "./executions.ts";
import { guardedHandler, type Made } from "./guarded-handler.ts";
import { fieldsOf, millraceError } from "./handler-error.ts";
import type { LambdaContext } from "./lambda-context.ts";
import { type FunctionPorts, openPorts, sourcesOf } from "./open-ports.ts";
import { openSinks } from "./open-sinks.ts";
import type { FunctionParts } from "./task.ts";

export interface CheckParts extends FunctionParts {
  /** Default: asks Lambda. */
  readonly accountLimits?: () => Promise<AccountLimits>;
  /** Default: by the address that CloudFormation names. */
  readonly answer?: typeof answerCustomResource;
}

export type CheckHandler = (event: unknown, context: LambdaContext) => Promise<CustomResourceOutcome>;

/** A new role is known everywhere within some seconds. */
const patienceMs = 60_000;
const retryMs = 5_000;
/** What the answer needs of the invocation's time. */
const reserveMs = 10_000;

export function createCheckHandler(job: Job, parts: CheckParts = {}): CheckHandler {
  const graph = planJob(withEnvironment(job, parts.variables ?? process.env));
  const open = async (made: Made) => made;
  return guardedHandler(graph, parts, "check", open, async (made, event, { awsRequestId }) => {
    const request = decodeCustomResource(event);
    const outcome = isBackwards(request)
      ? ({ outcome: "passed" } as const)
      : await check(graph, parts, made, request, awsRequestId);
    if (outcome.outcome === "failed") made.telemetry.log("error", "the deployment is refused", { reason: outcome.reason });
    await (parts.answer ?? answerCustomResource)(request, outcome, `${graph.name}-start-check`);
    return outcome;
  });
}

/** K2. */
function isBackwards({ type, properties, oldProperties }: CustomResourceRequest): boolean {
  return type === "Delete" || (type === "Update" && Number(properties.Deployment) < Number(oldProperties.Deployment));
}

async function check(
  graph: JobGraph,
  parts: CheckParts,
  { clock, telemetry }: Made,
  { properties }: CustomResourceRequest,
  id: string,
): Promise<CustomResourceOutcome> {
  // Without an answer CloudFormation would wait, and tell no reason.
  const until = clock.now() + Math.min(patienceMs, clock.remainingMs() - reserveMs);
  for (;;) {
    const reasons = await reasonsAgainst(graph, parts, { clock, telemetry }, properties as unknown as StartCheckProperties, id);
    if (reasons.length === 0) return { outcome: "passed" };
    if (clock.now() + retryMs >= until || !reasons.every(mayBeOver)) {
      const texts = [...new Set(reasons.map(({ message }) => message))];
      return { outcome: "failed", reason: `job ${graph.name} is not started: ${texts.join("; ")}` };
    }
    for (const reason of reasons) telemetry.log("warn", "the check is tried again", fieldsOf(reason));
    await clock.sleep(retryMs);
  }
}

/** K3: AWS's answers may change by themselves; what we found does not. */
function mayBeOver(error: MillraceError): boolean {
  return error.cause !== undefined || isKind(error, "unavailable");
}

/** Every reason, not the first. */
async function reasonsAgainst(
  graph: JobGraph,
  parts: CheckParts,
  { clock, telemetry }: Made,
  properties: StartCheckProperties,
  id: string,
): Promise<readonly MillraceError[]> {
  const reasons: MillraceError[] = [];
  const collect = (error: unknown) => void reasons.push(millraceError(error));
  try {
    const settings = readSettings(parts.variables ?? process.env);
    const clients = parts.clients ?? awsClients();
    const ports = await openPorts({
      ...{ job: graph, settings, clock, telemetry, clients },
      ...{ lazyClients: parts.lazyClients, random: parts.random, ringSize: parts.ringSize },
      openSinks: parts.openSinks ?? openSinks,
      settlesNothing: true,
    });
    const coordinator = new Coordinator(graph, ports, {
      ...{ id, deployment: settings.deployment, safeguards: allSafeguards },
      createStream: async () => undefined,
    });
    await together([
      coordinator.rehearse().catch(collect),
      ports.check().catch(collect),
      checkReads(graph, ports).catch(collect),
      checkKeys(graph, settings, properties, (stream) => customerKeyOf(clients.kinesis, stream)).catch(collect),
      checkExecutions(graph, settings, properties, ports, parts.accountLimits ?? accountLimits).catch(collect),
    ]);
  } catch (error) {
    collect(error);
  }
  return reasons;
}

/** The stream's encryption is not seen at synthesis where the stream was made elsewhere. */
async function checkKeys(
  graph: JobGraph,
  { bindings }: Settings,
  { Keys = [] }: StartCheckProperties,
  keyOf: (stream: string) => Promise<string | undefined>,
): Promise<void> {
  const connectors = [...graph.operators.values()].flatMap(({ node: { uid, spec } }) => {
    const connector = spec.kind === "source" ? spec.source : spec.kind === "sink" ? spec.sink : undefined;
    return connector?.kind === "kinesis" ? [{ uid, name: connector.name }] : [];
  });
  await together(
    connectors.map(async ({ uid, name }) => {
      const stream = bindings[uid] ?? bindings[name] ?? name;
      const key = await keyOf(stream);
      if (key === undefined || isKnownKey(key, Keys)) return;
      const advice = "hand the stream over with its key, Stream.fromStreamAttributes(…, { streamArn, encryptionKey })";
      throw new MillraceError(
        "invalid",
        `the stream is encrypted with a key that the job's roles may not use, ${advice}: ${stream} of ${uid}, ${key}`,
        { context: { operator: uid } },
      );
    }),
  );
}

/** A permission that is wanting for reading, on the stream or on its key, shows in a read alone. */
async function checkReads(graph: JobGraph, { sources }: FunctionPorts): Promise<void> {
  await together(
    sourcesOf(graph).map(async ({ uid, source }) => {
      const reader = sources.get(uid)!;
      const [shard] = await reader.shards(source.name);
      if (shard !== undefined) await reader.read(source.name, shard.id, "horizon", { records: 1, bytes: 1 });
    }),
  );
}

async function checkExecutions(
  graph: JobGraph,
  { inboxes, bindings }: Settings,
  { ReservedConcurrency }: StartCheckProperties,
  { sources }: FunctionPorts,
  limits: () => Promise<AccountLimits>,
): Promise<void> {
  const open = new Map<string, number>();
  const counted = new Set<string>();
  for (const { uid, source } of sourcesOf(graph)) {
    const { stage } = graph.operators.get(uid)!;
    const rung = `${stage} ${bindings[uid] ?? bindings[source.name] ?? source.name}`;
    // A stream that several sources of a stage read rings once.
    if (counted.has(rung)) continue;
    counted.add(rung);
    const shards = (await sources.get(uid)!.shards(source.name)).filter(({ closed }) => !closed);
    const isQueue = queueKinds.includes(partsOf(source).at(-1)!.kind);
    open.set(stage, (open.get(stage) ?? 0) + (isQueue ? queueExecutions : shards.length));
  }
  const reserved = ReservedConcurrency === undefined ? undefined : Number(ReservedConcurrency);
  const most = executionsOf(graph, {
    sourceShards: (stage) => open.get(stage) ?? 0,
    cells: ({ id }) => inboxes[id]?.length ?? 1,
    reserved,
  });
  const { executions, unreserved } = await limits();
  const refusal = refusalOfExecutions(most, reserved === undefined ? unreserved : executions);
  if (refusal !== undefined) throw new MillraceError("invalid", refusal);
}
