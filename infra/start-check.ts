/**
 * The start-up check as infrastructure: a function, and the custom resource by which a deployment calls it (functions/check.ts).
 *
 * S1 All that acts for the job depends on the resource: while the check does not pass, no function is made or changed, and no mapping.
 * S2 The resource is another with each deployment, so each is checked.
 */
import { CustomResource, Duration } from "aws-cdk-lib";
import type { PolicyStatement } from "aws-cdk-lib/aws-iam";
import { Construct, type IConstruct } from "constructs";
import { type Settings, startCheckType, type StartCheckProperties } from "../functions/contract.ts";
import type { JobGraph } from "../runtime/plan/job-graph.ts";
import type { CheckedProps } from "./check-props.ts";
import { type Connector, keysOf } from "./connector.ts";
import { jobCode } from "./job-code.ts";
import { type FunctionSurroundings, JobFunction } from "./job-function.ts";
import * as permissions from "./permissions.ts";
import type { JobStorage } from "./storage.ts";

export interface StartCheckProps {
  readonly job: JobGraph;
  readonly props: CheckedProps;
  readonly connectors: readonly Connector[];
  readonly storage: JobStorage;
  readonly surroundings: FunctionSurroundings;
  readonly settings: Settings;
}

/**
 * A context value: `false` leaves the check out of a deployment, for stand-ins of AWS that run no functions while they deploy. The coordinator
 * then refuses what it finds when it first looks.
 */
export const startCheckContext = "millrace:startCheck";

const timeout = Duration.minutes(3);
/** CloudFormation waits for an hour by itself. */
const serviceTimeout = Duration.minutes(5);
const memorySize = 512;

export class StartCheck extends Construct {
  readonly function: JobFunction;
  readonly resource: CustomResource;

  constructor(scope: Construct, id: string, all: StartCheckProps) {
    super(scope, id);
    const { job, props, connectors, surroundings, settings } = all;
    this.function = new JobFunction(this, "Check", {
      surroundings,
      code: jobCode(this, "check", props),
      description: `Millrace job ${job.name}: looks at what is deployed before it takes effect`,
      memorySize,
      timeout,
      reservedConcurrency: undefined,
      settings: { ...settings, stage: "check" },
      permissions: permissionsOf(all),
      asyncRetries: 0,
    });
    const keys = [...keysOf(connectors), ...(props.encryptionKey ? [props.encryptionKey] : [])];
    const properties: StartCheckProperties = {
      Deployment: String(settings.deployment),
      ...(props.reservedConcurrency !== undefined && { ReservedConcurrency: String(props.reservedConcurrency) }),
      Keys: keys.map(({ keyArn }) => keyArn),
    };
    this.resource = new CustomResource(this, "Passed", {
      serviceToken: this.function.function.functionArn,
      resourceType: startCheckType,
      serviceTimeout,
      properties: { ...properties },
    });
    this.resource.node.addDependency(this.function.role);
  }

  /** S1. */
  comesBefore(...constructs: readonly IConstruct[]): void {
    for (const construct of constructs) construct.node.addDependency(this.resource);
  }
}

/** Undefined where the context leaves it out. */
export function startCheckOf(scope: Construct, id: string, props: StartCheckProps): StartCheck | undefined {
  return String(scope.node.tryGetContext(startCheckContext) ?? true) === "false" ? undefined : new StartCheck(scope, id, props);
}

/** To look at all that the job's functions read and write. It writes nothing of a sink's, and takes nothing away. */
function permissionsOf({ job, connectors, storage }: StartCheckProps): PolicyStatement[] {
  return [
    permissions.lookAtStateTable(job.name, storage.table),
    ...permissions.lookAtState(job.name, storage.bucket),
    ...permissions.lookAtDeadLetters(job.name, storage.deadLetters),
    ...connectors.flatMap((connector) => connector.permissions.check),
    permissions.lookAtAccount(),
    ...keysOf(connectors).map(permissions.useKey),
  ];
}
