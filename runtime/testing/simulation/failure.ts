/** What a checker has found: the run is over. */
export class SimulationFailure extends Error {
  constructor(message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.name = "SimulationFailure";
  }
}
