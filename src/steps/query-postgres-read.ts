/**
 * How a value is read from its text form.
 * @param type object id of its type. Those of the types that come with PostgreSQL never change
 *   (src/include/catalog/pg_type.dat in its source). Of any other type the text stays
 */
export function readerOf(type: number): (text: string) => unknown {
  const element = ELEMENTS.get(type)
  if (element === undefined) return READERS.get(type) ?? same
  const read = READERS.get(element) ?? same
  return (text) => readList(text, read)
}

/**
 * Reads a list in PostgreSQL's text form, `{"a",NULL,"b"}`; lists in lists are the dimensions of one array.
 * @see https://www.postgresql.org/docs/current/arrays.html#ARRAYS-IO
 */
export function readList(text: string, read: (item: string) => unknown): unknown[] {
  const item = /"((?:[^"\\]|\\.)*)"|[^{},"]+/sy
  // Bounds that do not begin at 1 stand before it: `[0:1]={a,b}`.
  let at = text.indexOf('{')
  const list = (): unknown[] => {
    const items: unknown[] = []
    at++
    while (at < text.length && text[at] !== '}') {
      if (text[at] === '{') items.push(list())
      else {
        item.lastIndex = at
        const [whole = ',', quoted] = item.exec(text) ?? []
        at += whole.length
        if (quoted !== undefined) items.push(read(quoted.replaceAll(/\\(.)/gs, '$1')))
        else if (whole !== ',') items.push(whole === 'NULL' ? null : read(whole))
      }
    }
    at++
    return items
  }
  return list()
}

/** By the object id of the type. */
const READERS: ReadonlyMap<number, (text: string) => unknown> = new Map([
  [16, (text: string) => text === 't'],
  [17, readBytes],
  [20, readExact],
  [21, Number],
  [23, Number],
  [26, Number],
  [114, readJson],
  [700, Number],
  [701, Number],
  [1184, readTime],
  [1700, readExact],
  [3802, readJson],
])

/** The type of the elements of a type of arrays. */
const ELEMENTS: ReadonlyMap<number, number> = new Map([
  [199, 114],
  [1000, 16],
  [1001, 17],
  [1005, 21],
  [1007, 23],
  [1009, 25],
  [1014, 1042],
  [1015, 1043],
  [1016, 20],
  [1021, 700],
  [1022, 701],
  [1028, 26],
  [1115, 1114],
  [1182, 1082],
  [1185, 1184],
  [1231, 1700],
  [2951, 2950],
  [3807, 3802],
])

function same(text: string): string {
  return text
}

function readJson(text: string): unknown {
  return JSON.parse(text)
}

/** The connection has `bytea_output` hex. */
function readBytes(text: string): Buffer {
  return Buffer.from(text.slice(2), 'hex')
}

/** A number where JavaScript has one with all these digits: 15 of them always fit. Else the text stays. */
function readExact(text: string): number | string {
  const number = Number(text)
  if (Number.isSafeInteger(number) && !text.includes('.')) return number
  const digits = text.replaceAll(/\D/g, '').replace(/^0+/, '').length
  return Number.isFinite(number) && digits <= 15 ? number : text
}

/** A time with its zone, as a connection with `DateStyle` ISO gives it. What no time can hold (`infinity`, years BC) stays a text. */
function readTime(text: string): Date | string {
  const [, day, time, hours, minutes = '00'] =
    /^(\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d(?:\.\d+)?)([+-]\d\d)(?::(\d\d))?$/.exec(text) ?? []
  return day === undefined ? text : new Date(`${day}T${time}${hours}:${minutes}`)
}
