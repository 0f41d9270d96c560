/** The days and weeks of time zones, held against what their clocks show. */
import { describe, it } from "node:test";
import assert from "node:assert/strict";
import fc from "fast-check";
import { ZoneCalendar } from "../../runtime/time/calendar.ts";

const hour = 3_600_000;
const zones = [
  ...["UTC", "Europe/Berlin", "America/New_York", "America/Sao_Paulo", "America/St_Johns", "Asia/Kolkata", "Asia/Beirut"],
  ...["Africa/Cairo", "Pacific/Apia", "Pacific/Kiritimati", "Australia/Lord_Howe", "America/Havana", "Asia/Tehran"],
];
const calendars = new Map(zones.map((zone) => [zone, new ZoneCalendar(zone)]));
const calendar = (zone: string) => calendars.get(zone)!;

/** The date that the zone's clocks show, as a number that grows with it. */
function shownDate(zone: string, at: number): number {
  const text = new Date(at).toLocaleDateString("sv-SE", { timeZone: zone });
  return Number(text.replaceAll("-", ""));
}

const years = { min: Date.parse("1971-01-01T00:00Z"), max: Date.parse("2037-01-01T00:00Z") };
const moments = fc.integer(years);

describe("calendar days", () => {
  it("hold their instant, lie side by side, and begin when the clocks show their date for the first time", () => {
    fc.assert(
      fc.property(fc.constantFrom(...zones), moments, (zone, at) => {
        const { start, end } = calendar(zone).dayOf(at);
        assert.ok(start <= at && at < end, `${start} <= ${at} < ${end}`);
        assert.equal(calendar(zone).dayOf(end).start, end);
        assert.equal(calendar(zone).dayOf(start - 1).end, start);
        const date = shownDate(zone, start);
        assert.ok(shownDate(zone, start - 1) < date && date < shownDate(zone, end));
      }),
      { numRuns: 500 },
    );
  });

  const days: readonly (readonly [string, string, string, number])[] = [
    ["Europe/Berlin", "2024-03-31T12:00Z", "2024-03-30T23:00Z", 23],
    ["Europe/Berlin", "2024-10-27T12:00Z", "2024-10-26T22:00Z", 25],
    ["Australia/Lord_Howe", "2024-04-07T03:00Z", "2024-04-06T13:00Z", 24.5],
    // Clocks go forward at midnight: the day begins at one o'clock.
    ["Asia/Beirut", "2022-03-27T12:00Z", "2022-03-26T22:00Z", 23],
    ["America/Sao_Paulo", "2018-11-04T12:00Z", "2018-11-04T03:00Z", 23],
    // Clocks go back at one past midnight: what is shown twice belongs to the day that has begun.
    ["America/St_Johns", "2008-11-02T02:40Z", "2008-11-02T02:30Z", 25],
    ["America/St_Johns", "2008-11-01T12:00Z", "2008-11-01T02:30Z", 24],
  ];
  for (const [zone, at, start, hours] of days)
    it(`that of ${at} in ${zone} has ${hours} hours`, () => {
      const window = calendar(zone).dayOf(Date.parse(at));
      assert.deepEqual(
        { start: new Date(window.start).toISOString(), hours: (window.end - window.start) / hour },
        { start: new Date(Date.parse(start)).toISOString(), hours },
      );
    });

  it("a date that a zone left out has no window", () => {
    const before = calendar("Pacific/Apia").dayOf(Date.parse("2011-12-30T09:00Z"));
    assert.equal(before.end, Date.parse("2011-12-30T10:00Z"));
    assert.equal(shownDate("Pacific/Apia", before.start), 20111229);
    assert.equal(shownDate("Pacific/Apia", before.end), 20111231);
  });

  it("reach back to local mean time and before Christ, and to the last date", () => {
    const berlin = calendar("Europe/Berlin").dayOf(Date.parse("1890-01-01T12:00Z"));
    assert.equal(new Date(berlin.start).toISOString(), "1889-12-31T23:06:32.000Z");
    for (const at of [-8.64e15, Date.parse("-000044-03-15T12:00Z"), Date.parse("0050-01-01T12:00Z"), 8.64e15]) {
      const { start, end } = calendar("UTC").dayOf(at);
      assert.deepEqual([start, end - start], [Math.floor(at / 86_400_000) * 86_400_000, 86_400_000]);
    }
  });
});

describe("calendar weeks", () => {
  it("are seven days that begin on the day asked for", () => {
    fc.assert(
      fc.property(fc.constantFrom(...zones.filter((zone) => zone !== "Pacific/Apia")), moments, fc.nat(6), (zone, at, first) => {
        const { start, end } = calendar(zone).weekOf(at, first);
        assert.ok(start <= at && at < end);
        const weekday = new Date(start).toLocaleDateString("en-US", { timeZone: zone, weekday: "short" });
        assert.equal(weekday, ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"][first]);
        let days = 0;
        for (let day = start; day < end; day = calendar(zone).dayOf(day).end) days++;
        assert.equal(days, 7);
      }),
      { numRuns: 200 },
    );
  });
});
