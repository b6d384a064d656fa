import { z } from '../contracts/schema.ts'

/** The option `numbers` of formats in which everything is a text. */
export function numbersOption(fields: string) {
  return z
    .union([z.boolean(), z.array(z.string()).min(1)])
    .default(false)
    .describe(
      `What becomes a number: \`true\` for each text that is one, or a list of ${fields}, in which anything else is refused. 007 and integers above 2^53 are no numbers, since they would lose digits. Default false: everything is a text.`,
    )
}

/** Reads the text of a field. Gives the problem as `NOT_A_NUMBER` where the field must be a number and is none. */
export type ReadText = (text: string, field: string) => string | number | typeof NOT_A_NUMBER

/** What {@link ReadText} gives for a field that must be a number and is none. */
export const NOT_A_NUMBER: unique symbol = Symbol('not a number')

/**
 * Makes the function that reads texts as the option `numbers` says.
 * @returns undefined when all texts stay texts, so that nobody need ask
 */
export function createReadText(numbers: boolean | readonly string[]): ReadText | undefined {
  if (numbers === false) return undefined
  if (numbers === true) return (text) => readNumber(text) ?? text
  const fields = new Set(numbers)
  return (text, field) => (fields.has(field) ? (readNumber(text) ?? NOT_A_NUMBER) : text)
}

/** A number as JSON writes it (RFC 8259, section 6), that keeps its digits. A number of device with a + is one too. */
function readNumber(text: string): number | undefined {
  if (!/^[+-]?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?$/.test(text)) return undefined
  const value = Number(text)
  if (!Number.isFinite(value) || (Number.isInteger(value) && !Number.isSafeInteger(value))) return undefined
  // -0 is 0: nobody means the other one.
  return value + 0
}
