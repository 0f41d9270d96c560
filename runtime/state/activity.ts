/** Counts whatever a unit of work does to state or outputs: unchanged since the unit began means nothing must be taken back. */
export class Activity {
  count = 0;
}
