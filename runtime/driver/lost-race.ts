/** Thrown inside a turn: another environment was faster. What is cached of the task is gone, the turn starts over. */
export class LostRace extends Error {}
