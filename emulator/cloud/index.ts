/** The emulated cloud, for tests and laptops. */
export type { CloudEvent } from "./cloud-event.ts";
export { type CloudOptions, type EmulatedCloud, startCloud } from "./emulated-cloud.ts";
export { type AssemblyOptions, type AssemblyTopology, readAssembly } from "./read-assembly.ts";
export type { CloudFaults } from "./services.ts";
export type {
  FunctionResource,
  KeyAttribute,
  MappingResource,
  ScheduleResource,
  StreamResource,
  TableResource,
  Topology,
} from "./topology.ts";
