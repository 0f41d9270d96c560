/** Steps of generated topologies whose operators have two inputs and no keys. What they give of a row goes by the row alone (B1). */
import type { DataStream } from "../../api/data-stream.ts";
import { type } from "../../api/functions.ts";
import { unionList } from "../../api/operator-scoped-state.ts";
import { map } from "../../api/state.ts";
import type { ConnectedStreams } from "../../api/connected-streams.ts";
import type { SeededRandom } from "../../base/seeded-random.ts";
import type { Block, Row } from "./generated-rows.ts";

const isLeft = ({ value: n }: Row) => n % 2 === 0;
const raised = (row: Row): Row => ({ ...row, value: row.value + 1 });

/** The ways of two streams without keys to one: the left as it is, the right one higher. */
const ways: readonly (readonly [name: string, (sides: ConnectedStreams<Row, Row>, uid: string) => DataStream<Row>])[] = [
  ["map", (sides, uid) => sides.map(uid, (row) => row, raised)],
  [
    "flatMap",
    (sides, uid) =>
      sides.flatMap(
        uid,
        (row) => [row],
        (row) => [raised(row)],
      ),
  ],
  [
    "process",
    (sides, uid) =>
      sides.process(uid, {
        operatorState: { seen: unionList<string>() },
        output: type<Row>(),
        onLeft: (row, { emit }) => emit(row),
        // Every row comes once: one that a task knows already is lost, as it would be if state and input did not go together.
        onRight(row, { operatorState: { seen }, emit }) {
          if (seen.get().includes(row.id)) return;
          seen.add(row.id);
          emit(raised(row));
        },
      }),
  ],
];

/** Two streams, connected as they are. */
export function sidesBlock(random: SeededRandom): Block {
  const [name, way] = random.pick(ways);
  return {
    name: `sides ${name}`,
    stage: false,
    build: (rows, uid) =>
      way(rows.filter(`${uid}-left`, isLeft).connect(rows.filter(`${uid}-right`, (row) => !isLeft(row))), uid),
    expect: (rows) => rows.map((row) => (isLeft(row) ? row : raised(row))),
  };
}

/** Some rows go to every task, beside all of them: what each task keeps is of them alone. */
export function toldBlock(): Block {
  const isTold = ({ value: n }: Row) => n % 4 === 0;
  return {
    name: "told",
    stage: true,
    build: (rows, uid) =>
      rows.connect(rows.filter(`${uid}-some`, isTold).broadcast(`${uid}-told`, { told: map<string, number>() })).process(uid, {
        output: type<Row>(),
        onRecord(row, { broadcast: { told }, emit }) {
          for (const [id, value] of told.entries())
            if (value % 4 !== 0 || (id === row.id && value !== row.value)) throw new Error(`a task was not told so: ${id}`);
          emit(row);
        },
        onBroadcast(row, { broadcast: { told } }) {
          if (told.has(row.id)) throw new Error(`a task was told twice: ${row.id}`);
          told.set(row.id, row.value);
        },
      }),
    expect: (rows) => rows,
  };
}
