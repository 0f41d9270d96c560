/** Whether the platform knows a time zone of this name; undefined, which would mean the machine's own, is none. */
export function isTimeZone(timeZone: string): boolean {
  if (typeof timeZone !== "string") return false;
  try {
    new Intl.DateTimeFormat("en-US", { timeZone });
    return true;
  } catch {
    return false;
  }
}
