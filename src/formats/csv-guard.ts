import type { Fault } from './fault.ts'

/**
 * Whether the quotes and line ends of a text are those of RFC 4180, section 2. papaparse mends what is not: it takes
 * blanks behind a quoted field away and keeps a quote inside of a bare one, and for each quote that it does not
 * understand it looks through the rest of the text.
 * @param quote one character; '' when there are no quotes
 * @param delimiter one character
 * @returns the first fault
 */
export function findCsvFault(text: string, quote: string, delimiter: string): Fault | undefined {
  if (!text.includes('\r') && (quote === '' || !text.includes(quote))) return undefined
  const parts = splitAtQuotes(text, quote)
  let at = 0
  let opened = 0
  for (const [i, part] of parts.entries()) {
    const isLast = i === parts.length - 1
    if (i % 2 === 1) {
      if (isLast) return { problem: 'a quote that is not closed', at: opened }
    } else if (i === 0 || isLast || part !== '') {
      // Outside of quotes. Nothing between two quotes is a quote inside of the field.
      if (i > 0 && !beginsBehindField(part, delimiter)) {
        return { problem: 'something between a closing quote and the end of its field', at }
      }
      const stray = part.search(/\r(?!\n)/)
      if (stray !== -1) return { problem: 'a CR that ends no line', at: at + stray }
      opened = at + part.length
      if (!isLast && part !== '' && !part.endsWith(delimiter) && !part.endsWith('\n')) {
        return { problem: 'a quote inside a field that does not begin with one', at: opened }
      }
    }
    at += part.length + 1
  }
  return undefined
}

/** The same rows with LF at their ends, for papaparse knows one line end in a text. What is in quotes stays. */
export function endRowsAtLf(text: string, quote: string): string {
  if (!text.includes('\r')) return text
  const parts = splitAtQuotes(text, quote)
  return parts.map((part, i) => (i % 2 === 0 ? part.replaceAll('\r\n', '\n') : part)).join(quote)
}

/** What is outside of quotes has even indexes, what is inside odd ones. */
function splitAtQuotes(text: string, quote: string): string[] {
  return quote === '' ? [text] : text.split(quote)
}

function beginsBehindField(part: string, delimiter: string): boolean {
  return part === '' || part.startsWith(delimiter) || part.startsWith('\n') || part.startsWith('\r\n')
}
