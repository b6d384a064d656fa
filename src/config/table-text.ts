/** One cell of a table, and where it begins; both numbers begin with 1. */
export interface Cell {
  readonly text: string
  readonly line: number
  readonly column: number
}

export interface TableText {
  /** The first names the columns. Lines that are empty or begin with # are left out. */
  readonly rows: readonly (readonly Cell[])[]
  /** A quote that is opened here is never closed. */
  readonly open: Cell | undefined
}

/**
 * Splits a CSV file (RFC 4180) into cells. What stands between them is what the first line has most of: a comma, a
 * semicolon (as spreadsheets write where the comma is in numbers) or a tab. Blanks around a cell are not a part of it,
 * unless it is quoted. In quotes everything may stand, also line ends, and `""` for a quote.
 */
export function splitTable(text: string): TableText {
  const rows: Cell[][] = []
  const separator = separatorOf(text)
  const lines = text.split(/\r?\n/)
  for (let at = 0; at < lines.length; at++) {
    let line = lines[at]!
    if (line.trim() === '' || line.startsWith('#')) continue
    const row: Cell[] = []
    const first = at
    for (let from = 0; from <= line.length; ) {
      const begin = from + /^[^\S\t]*/.exec(line.slice(from))![0].length
      // A cell behind one that spans lines has its place in the last of them.
      const place = { line: at + 1, column: begin - (line.length - lines[at]!.length) + 1 }
      if (line[begin] !== '"') {
        const end = line.indexOf(separator, from)
        const to = end === -1 ? line.length : end
        row.push({ ...place, text: line.slice(from, to).trim() })
        from = to + 1
        continue
      }
      let end = closingQuote(line, begin)
      while (end === -1 && at + 1 < lines.length) {
        line += `\n${lines[++at]}`
        end = closingQuote(line, begin)
      }
      if (end === -1) return { rows, open: { ...place, text: lines[first]! } }
      const next = line.indexOf(separator, end)
      const to = next === -1 ? line.length : next
      // What stands behind the quote is a part of the cell, so that it is seen where the cell is judged.
      row.push({ ...place, text: line.slice(begin + 1, end).replaceAll('""', '"') + line.slice(end + 1, to).trim() })
      from = to + 1
    }
    rows.push(row)
  }
  return { rows, open: undefined }
}

/** The index of the quote that ends a text; -1 when there is none. A doubled one is a part of the text. */
function closingQuote(line: string, begin: number): number {
  for (let at = begin + 1; at < line.length; at++) {
    if (line[at] !== '"') continue
    if (line[at + 1] !== '"') return at
    at++
  }
  return -1
}

function separatorOf(text: string): string {
  const header = text.split(/\r?\n/).find((line) => line.trim() !== '' && !line.startsWith('#')) ?? ''
  const times = (separator: string) => header.split(separator).length
  return [',', ';', '\t'].reduce((best, one) => (times(one) > times(best) ? one : best))
}
