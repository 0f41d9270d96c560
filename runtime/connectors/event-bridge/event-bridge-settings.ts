/** What the runtime half of an EventBridge sink must know: its `options`, and what stands with an event. */
export interface EventBridgeSettings {
  readonly bus: string;
  readonly source: string;
  readonly idField: string | null;
}

/** Of an event. */
export type EventFields = {
  readonly detailType: string;
  readonly resources?: readonly string[];
  /** Epoch ms. */
  readonly time?: number;
};

const timeBytes = 14;

/** Bytes that EventBridge counts an entry for: the text of its parts. */
export function eventSize(source: string, detail: Uint8Array, { detailType, resources = [], time }: EventFields): number {
  let size = Buffer.byteLength(source) + Buffer.byteLength(detailType) + detail.length + (time === undefined ? 0 : timeBytes);
  for (const resource of resources) size += Buffer.byteLength(resource);
  return size;
}
