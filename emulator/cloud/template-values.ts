/**
 * Values of CloudFormation templates as a deployment would have them: references, attributes, texts put together, exports of other stacks.
 *
 * T1 What has no name in its template is given one by its stack and its logical id, the same in every start.
 */
import { streamLabel } from "../dynamodb/table-streams.ts";
import { MillraceError } from "../../runtime/base/errors.ts";

export interface TemplateResource {
  readonly Type: string;
  readonly Condition?: string;
  readonly Properties?: Readonly<Record<string, unknown>>;
}

export interface Template {
  readonly Resources?: Readonly<Record<string, TemplateResource>>;
  readonly Outputs?: Readonly<Record<string, { readonly Value: unknown; readonly Export?: { readonly Name: unknown } }>>;
  readonly Conditions?: Readonly<Record<string, unknown>>;
  readonly Parameters?: Readonly<Record<string, { readonly Default?: unknown }>>;
}

export interface NamedStack {
  readonly name: string;
  readonly template: Template;
}

/** How a type's resources are named: the property that has the name, its greatest length, and its ARN. */
const naming: Readonly<
  Record<
    string,
    {
      readonly property: string;
      readonly lengthMax: number;
      readonly arn: string;
      readonly lower?: boolean;
      /** A reference to it is its ARN. */
      readonly isReferredByArn?: boolean;
    }
  >
> = {
  "AWS::Kinesis::Stream": { property: "Name", lengthMax: 128, arn: "kinesis:REGION:ACCOUNT:stream/" },
  "AWS::DynamoDB::Table": { property: "TableName", lengthMax: 255, arn: "dynamodb:REGION:ACCOUNT:table/" },
  "AWS::S3::Bucket": { property: "BucketName", lengthMax: 63, arn: "s3:::", lower: true },
  "AWS::Lambda::Function": { property: "FunctionName", lengthMax: 64, arn: "lambda:REGION:ACCOUNT:function:" },
  "AWS::Scheduler::Schedule": { property: "Name", lengthMax: 64, arn: "scheduler:REGION:ACCOUNT:schedule/default/" },
  // A reference to a queue is its URL on AWS, which is not known before the cloud has started: its name is as good here.
  "AWS::SQS::Queue": { property: "QueueName", lengthMax: 80, arn: "sqs:REGION:ACCOUNT:" },
  "AWS::SNS::Topic": { property: "TopicName", lengthMax: 256, arn: "sns:REGION:ACCOUNT:", isReferredByArn: true },
  "AWS::Events::Rule": { property: "Name", lengthMax: 64, arn: "events:REGION:ACCOUNT:rule/" },
  "AWS::Events::EventBus": { property: "Name", lengthMax: 256, arn: "events:REGION:ACCOUNT:event-bus/" },
  "AWS::KinesisFirehose::DeliveryStream": {
    property: "DeliveryStreamName",
    lengthMax: 64,
    arn: "firehose:REGION:ACCOUNT:deliverystream/",
  },
  "AWS::IAM::Role": { property: "RoleName", lengthMax: 64, arn: "iam::ACCOUNT:role/" },
  "AWS::Logs::LogGroup": { property: "LogGroupName", lengthMax: 512, arn: "logs:REGION:ACCOUNT:log-group:" },
};

export class TemplateValues {
  readonly #stacks: ReadonlyMap<string, NamedStack>;
  readonly #place: { readonly region: string; readonly account: string };

  constructor(stacks: readonly NamedStack[], place: { readonly region: string; readonly account: string }) {
    this.#stacks = new Map(stacks.map((stack) => [stack.name, stack]));
    this.#place = place;
  }

  /** The resource's name: its own, or one made of its stack's and its id. */
  nameOf(stack: NamedStack, id: string): string {
    const { Type, Properties = {} } = this.#resource(stack, id);
    const rule = naming[Type];
    if (rule === undefined) return `${stack.name}-${id}`;
    const own = Properties[rule.property];
    if (own !== undefined) return String(this.resolve(own, stack));
    // An id ends with what tells it from others.
    const made = `${stack.name.slice(0, 20)}-${id.slice(-Math.min(rule.lengthMax - 21, 42))}`;
    if (Properties["FifoQueue"] === true || Properties["FifoTopic"] === true) return `${made}.fifo`;
    return rule.lower ? made.toLowerCase() : made;
  }

  /** Throws `invalid` for a function of CloudFormation that is not known here, and for what refers to nothing. */
  resolve(value: unknown, stack: NamedStack): unknown {
    if (Array.isArray(value)) return value.map((one) => this.resolve(one, stack)).filter((one) => one !== undefined);
    if (typeof value !== "object" || value === null) return value;
    const [[key, argument] = ["", undefined], ...more] = Object.entries(value);
    if (more.length === 0 && (key === "Ref" || key.startsWith("Fn::"))) return this.#call(key, argument, stack);
    const resolved = Object.entries(value).map(([name, one]) => [name, this.resolve(one, stack)] as const);
    return Object.fromEntries(resolved.filter(([, one]) => one !== undefined));
  }

  /** Whether a condition of the stack's holds; undefined, none, does. */
  holds(condition: string | undefined, stack: NamedStack): boolean {
    return condition === undefined || this.#isTrue(stack.template.Conditions?.[condition], stack);
  }

  #isTrue(expression: unknown, stack: NamedStack): boolean {
    const { Condition: name } = (expression ?? {}) as { readonly Condition?: string };
    return name === undefined ? this.resolve(expression, stack) === true : this.holds(name, stack);
  }

  #call(name: string, argument: unknown, stack: NamedStack): unknown {
    switch (name) {
      case "Ref":
        return this.#reference(String(argument), stack);
      case "Fn::GetAtt": {
        const [id, attribute] = Array.isArray(argument) ? (argument as string[]) : String(argument).split(".");
        return this.#attribute(stack, id!, attribute!);
      }
      case "Fn::Join": {
        const [between, parts] = argument as [string, unknown];
        return (this.resolve(parts, stack) as unknown[]).join(between);
      }
      case "Fn::Sub": {
        const [text, given] = Array.isArray(argument) ? (argument as [string, Record<string, unknown>]) : [String(argument), {}];
        return text.replace(/\$\{([^}!]+)\}/g, (_, word: string) =>
          String(this.resolve(given[word] ?? this.#substitute(word), stack)),
        );
      }
      case "Fn::Select": {
        const [place, list] = argument as [number, unknown];
        return (this.resolve(list, stack) as unknown[])[Number(place)];
      }
      case "Fn::Split": {
        const [between, text] = argument as [string, unknown];
        return String(this.resolve(text, stack)).split(between);
      }
      case "Fn::If": {
        const [condition, then, otherwise] = argument as [string, unknown, unknown];
        return this.resolve(this.holds(condition, stack) ? then : otherwise, stack);
      }
      case "Fn::Equals": {
        const [a, b] = this.resolve(argument, stack) as [unknown, unknown];
        return String(a) === String(b);
      }
      case "Fn::And":
        return (argument as unknown[]).every((one) => this.#isTrue(one, stack));
      case "Fn::Or":
        return (argument as unknown[]).some((one) => this.#isTrue(one, stack));
      case "Fn::Not":
        return !this.#isTrue((argument as [unknown])[0], stack);
      case "Fn::ImportValue":
        return this.#import(String(this.resolve(argument, stack)), stack);
      default:
        throw new MillraceError(
          "invalid",
          `the emulated cloud does not know this function of CloudFormation: ${name}, stack ${stack.name}`,
        );
    }
  }

  #substitute(word: string): unknown {
    return word.includes(".") ? { "Fn::GetAtt": word.split(".") } : { Ref: word };
  }

  #reference(id: string, stack: NamedStack): unknown {
    const { region, account } = this.#place;
    const pseudo: Readonly<Record<string, string | undefined>> = {
      "AWS::Region": region,
      "AWS::AccountId": account,
      "AWS::Partition": "aws",
      "AWS::URLSuffix": "amazonaws.com",
      "AWS::StackName": stack.name,
      "AWS::NoValue": undefined,
    };
    if (Object.hasOwn(pseudo, id)) return pseudo[id];
    const parameter = stack.template.Parameters?.[id];
    if (parameter !== undefined) return parameter.Default;
    const { Type } = this.#resource(stack, id);
    return naming[Type]?.isReferredByArn === true ? this.#attribute(stack, id, "Arn") : this.nameOf(stack, id);
  }

  #attribute(stack: NamedStack, id: string, attribute: string): string {
    const { Type } = this.#resource(stack, id);
    const name = this.nameOf(stack, id);
    const rule = naming[Type];
    if (attribute === rule?.property) return name;
    const { region, account } = this.#place;
    const arn = rule && `arn:aws:${rule.arn.replace("REGION", region).replace("ACCOUNT", account)}${name}`;
    if (attribute === "StreamArn") return `${arn}/stream/${streamLabel}`;
    return arn !== undefined && (attribute === "Arn" || attribute === `${Type.split("::")[2]}Arn`) ? arn : `${name}.${attribute}`;
  }

  #import(name: string, from: NamedStack): unknown {
    for (const stack of this.#stacks.values())
      for (const { Value, Export } of Object.values(stack.template.Outputs ?? {}))
        if (Export !== undefined && this.resolve(Export.Name, stack) === name) return this.resolve(Value, stack);
    throw new MillraceError("invalid", `no stack of the assembly exports what stack ${from.name} imports: ${name}`);
  }

  #resource(stack: NamedStack, id: string): TemplateResource {
    const found = stack.template.Resources?.[id];
    if (found === undefined) throw new MillraceError("invalid", `stack ${stack.name} has no resource of this id: ${id}`);
    return found;
  }
}
