/**
 * A topic of Kafka, as a deployment binds it: where its cluster is, and how Lambda's mapping is let in. A cluster has no CDK object that
 * says all of it.
 *
 * Sources: https://docs.aws.amazon.com/lambda/latest/dg/with-msk-permissions.html, …/with-kafka-permissions.html,
 * …/msk-cluster-auth.html, …/kafka-cluster-auth.html
 */
import { Fn } from "aws-cdk-lib";
import type { CfnEventSourceMapping } from "aws-cdk-lib/aws-lambda";
import { MillraceError } from "../runtime/base/errors.ts";
import type { ExternalSecret } from "./external.ts";

interface Topic {
  /** The topic's name in the cluster. Default: what the job calls it. */
  readonly topicName?: string;
  /**
   * The group under which the mapping keeps its offsets; it cannot be changed, and no other may use it. Default
   * `millrace-<job>-<the source's uid>`.
   */
  readonly consumerGroup?: string;
  /** How the mapping is let in: the secret of the user, or of the client's certificate. Kept in Secrets Manager as Lambda asks for it. */
  readonly secret?: ExternalSecret;
}

/** Of Amazon MSK, provisioned or serverless. */
export interface MskTopic extends Topic {
  readonly clusterArn: string;
  /** Default "iam": by the function's role. The others need `secret`; "none" is for clusters that let everybody in. */
  readonly authentication?: "iam" | "scram512" | "certificate" | "none";
}

/** Of a cluster of one's own, or of another vendor's. */
export interface SelfManagedTopic extends Topic {
  /** `host:port` of brokers, up to ten. */
  readonly bootstrapServers: readonly string[];
  /** All but "none" need `secret`. */
  readonly authentication: "scram256" | "scram512" | "plain" | "certificate" | "none";
  /** Has the certificate of the authority that signed the brokers', where that is no public one. */
  readonly serverCertificate?: ExternalSecret;
  /** Where the brokers are, when the internet does not reach them. */
  readonly subnetIds?: readonly string[];
  readonly securityGroupIds?: readonly string[];
}

export type KafkaTopic = MskTopic | SelfManagedTopic;

const accessTypes = {
  scram256: "SASL_SCRAM_256_AUTH",
  scram512: "SASL_SCRAM_512_AUTH",
  plain: "BASIC_AUTH",
  certificate: "CLIENT_CERTIFICATE_TLS_AUTH",
} as const;
const brokersMax = 10;

export function isMsk(topic: KafkaTopic): topic is MskTopic {
  return "clusterArn" in topic;
}

/** Throws `invalid`, naming the topic, for a way in that is not whole. */
export function checkKafkaTopic(name: string, topic: KafkaTopic): void {
  const { authentication = "iam", secret } = topic;
  const refuse = (why: string) => {
    throw new MillraceError("invalid", `kafkaTopics: ${why}: ${name}`);
  };
  if (!isMsk(topic) && !(topic.bootstrapServers?.length >= 1 && topic.bootstrapServers.length <= brokersMax))
    refuse(`give the clusterArn of Amazon MSK, or 1 to ${brokersMax} bootstrapServers`);
  const known = isMsk(topic) ? ["iam", "scram512", "certificate", "none"] : [...Object.keys(accessTypes), "none"];
  if (!known.includes(authentication)) refuse(`authentication is one of ${known.join(", ")}`);
  const needsSecret = authentication !== "iam" && authentication !== "none";
  if (needsSecret !== (secret !== undefined))
    refuse(needsSecret ? `authentication ${authentication} needs a secret` : `authentication ${authentication} has no secret`);
}

/** What the mapping is told of the cluster, in CloudFormation's properties. */
export function clusterProperties(
  topic: KafkaTopic,
  consumerGroupId: string,
): Pick<
  ConstructorParameters<typeof CfnEventSourceMapping>[2],
  | "eventSourceArn"
  | "selfManagedEventSource"
  | "amazonManagedKafkaEventSourceConfig"
  | "selfManagedKafkaEventSourceConfig"
  | "sourceAccessConfigurations"
> {
  const access = accessOf(topic);
  const shared = access.length === 0 ? {} : { sourceAccessConfigurations: access };
  if (isMsk(topic))
    return { ...shared, eventSourceArn: topic.clusterArn, amazonManagedKafkaEventSourceConfig: { consumerGroupId } };
  return {
    ...shared,
    selfManagedEventSource: { endpoints: { kafkaBootstrapServers: [...topic.bootstrapServers] } },
    selfManagedKafkaEventSourceConfig: { consumerGroupId },
  };
}

function accessOf(topic: KafkaTopic): CfnEventSourceMapping.SourceAccessConfigurationProperty[] {
  const { authentication = "iam", secret } = topic;
  const own =
    authentication === "iam" || authentication === "none" ? [] : [{ type: accessTypes[authentication], uri: secret!.secretArn }];
  if (isMsk(topic)) return own;
  const { serverCertificate, subnetIds = [], securityGroupIds = [] } = topic;
  return [
    ...own,
    ...(serverCertificate ? [{ type: "SERVER_ROOT_CA_CERTIFICATE", uri: serverCertificate.secretArn }] : []),
    ...subnetIds.map((id) => ({ type: "VPC_SUBNET", uri: `subnet:${id}` })),
    ...securityGroupIds.map((id) => ({ type: "VPC_SECURITY_GROUP", uri: `security_group:${id}` })),
  ];
}

/** The secrets by which the mapping is let in. */
export function secretsOf(topic: KafkaTopic): readonly ExternalSecret[] {
  const { secret } = topic;
  const certificate = isMsk(topic) ? undefined : topic.serverCertificate;
  return [secret, certificate].filter((one) => one !== undefined);
}

/** Lambda reads MSK from within its network always, others where they have one. */
export function isInNetwork(topic: KafkaTopic): boolean {
  return isMsk(topic) || (topic.subnetIds?.length ?? 0) > 0;
}

/** ARNs that a cluster's own permissions are about: of the cluster itself, of the topic, of the group. */
export function mskArns({ clusterArn }: MskTopic, topicName: string, group: string): readonly [string, string, string] {
  const of = (kind: string) => Fn.join(`:${kind}/`, Fn.split(":cluster/", clusterArn, 2));
  return [clusterArn, `${of("topic")}/${topicName}`, `${of("group")}/${group}`];
}
