/**
 * A function of a job with all that is its own: a role that may do what it is given and nothing else, and a log group.
 */
import { Duration, RemovalPolicy } from "aws-cdk-lib";
import type { ISecurityGroup, IVpc, SubnetSelection } from "aws-cdk-lib/aws-ec2";
import { type PolicyStatement, Role, ServicePrincipal } from "aws-cdk-lib/aws-iam";
import type { IKey } from "aws-cdk-lib/aws-kms";
import { Architecture, Code, Function, Runtime } from "aws-cdk-lib/aws-lambda";
import { LogGroup, type RetentionDays } from "aws-cdk-lib/aws-logs";
import { Construct } from "constructs";
import { handlerName, type Settings, writeSettings } from "../functions/contract.ts";
import type { StreamJobProps } from "./stream-job-props.ts";
import { isForLocalstack } from "./localstack.ts";
import { allow, useKey, useNetwork } from "./permissions.ts";

/** What all functions of a job have in common. */
export interface FunctionSurroundings {
  readonly logRetention: RetentionDays;
  readonly encryptionKey: IKey | undefined;
  readonly vpc: StreamJobProps["vpc"];
  readonly vpcSubnets: SubnetSelection | undefined;
  readonly securityGroups: readonly ISecurityGroup[] | undefined;
}

export interface JobFunctionProps {
  readonly surroundings: FunctionSurroundings;
  readonly code: Code;
  readonly description: string;
  readonly memorySize: number;
  readonly timeout: Duration;
  readonly reservedConcurrency: number | undefined;
  readonly settings: Settings;
  readonly permissions: readonly PolicyStatement[];
  /** How often Lambda invokes it again after an asynchronous invocation has failed. */
  readonly asyncRetries: 0 | 1 | 2;
}

/** The runtime that functions are bundled for, and the oldest that the engine runs on. */
export const runtime = Runtime.NODEJS_24_X;

export class JobFunction extends Construct {
  readonly function: Function;
  readonly role: Role;
  readonly logGroup: LogGroup;

  constructor(scope: Construct, id: string, props: JobFunctionProps) {
    super(scope, id);
    const { surroundings, code, description, memorySize, timeout, reservedConcurrency } = props;
    this.logGroup = this.#logs(surroundings);
    this.role = this.#role(props);
    this.function = new Function(this, "Function", {
      description,
      code,
      handler: handlerName,
      runtime,
      architecture: isForLocalstack(this) && process.arch === "x64" ? Architecture.X86_64 : Architecture.ARM_64,
      memorySize,
      timeout,
      role: this.role,
      logGroup: this.logGroup,
      environment: writeSettings(props.settings),
      ...(reservedConcurrency !== undefined && { reservedConcurrentExecutions: reservedConcurrency }),
      ...(surroundings.encryptionKey && { environmentEncryption: surroundings.encryptionKey }),
      ...networkOf(surroundings),
      // A poke that is late is of no use: another has followed it.
      maxEventAge: Duration.minutes(5),
      retryAttempts: props.asyncRetries,
    });
    // Without them the first invocations would fail, and a mapping not be made at all.
    this.function.node.addDependency(this.role);
  }

  #logs({ logRetention, encryptionKey }: FunctionSurroundings): LogGroup {
    return new LogGroup(this, "Logs", {
      retention: logRetention,
      removalPolicy: RemovalPolicy.DESTROY,
      ...(encryptionKey && { encryptionKey }),
    });
  }

  #role({ permissions, surroundings }: JobFunctionProps): Role {
    const role = new Role(this, "Role", { assumedBy: new ServicePrincipal("lambda.amazonaws.com") });
    const logs = allow(["logs:CreateLogStream", "logs:PutLogEvents"], [this.logGroup.logGroupArn]);
    const key = surroundings.encryptionKey;
    const all = [logs, ...permissions, ...(key ? [useKey(key)] : []), ...(surroundings.vpc ? [useNetwork()] : [])];
    for (const statement of all) role.addToPolicy(statement);
    return role;
  }
}

function networkOf({ vpc, vpcSubnets, securityGroups }: FunctionSurroundings) {
  if (vpc === undefined) return {};
  return { vpc: vpc as IVpc, ...(vpcSubnets && { vpcSubnets }), ...(securityGroups && { securityGroups: [...securityGroups] }) };
}
