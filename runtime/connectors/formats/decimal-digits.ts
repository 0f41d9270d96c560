/** Whether a number is what stands there. */

/**
 * Whether the number, written the shortest way, has the digits of the decimal: of all decimals that are rounded to a number one alone has, so
 * no two become the same.
 */
export function holdsDigits(number: number, decimal: string): boolean {
  return digitsOf(String(number)) === digitsOf(decimal);
}

/** A decimal in one way of writing: its digits without zeros at either end, and the place of the point. */
function digitsOf(text: string): string {
  const [, sign, whole = "", fraction = "", exponent = "0"] = /^(-?)0*(\d*)\.?(\d*)(?:e([+-]?\d+))?$/i.exec(text) ?? [];
  const digits = (whole + fraction).replace(/0+$/, "");
  const leading = /^0*/.exec(digits)![0].length;
  const significant = digits.slice(leading);
  if (significant === "") return "0";
  return `${sign}${significant}e${whole.length + Number(exponent) - leading}`;
}
