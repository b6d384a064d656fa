import { type Code, js } from '../codegen/code.ts'
import { FieldFault, notPrintable } from './struct-bytes.ts'
import { type Reading, take, type Variable, type Writing } from './struct-coding.ts'
import type { Length } from './struct-texts.ts'

/** Items that are counted. */
export function countedArray(item: Variable, count: Length, label: string): Variable {
  return {
    size: undefined,
    minSize: count.min * item.minSize,
    read(reading) {
      const { body, end } = reading
      const most = count.read(reading)
      // Before anything is made of it: a number of items may say what it likes.
      body.add(js`if (${most} * ${item.minSize} > ${end} - at) throw ${body.call(tooMany, label, most, js`at`, end)}`)
      const i = body.name()
      return readItems(reading, item, js`for (let ${i} = 0; ${i} < ${most}; ${i}++)`)
    },
    write(writing, value) {
      const { body } = writing
      const list = body.keep(body.call(listOf, value, label))
      const expected = count.write(writing)
      if (expected !== undefined) body.add(body.call(mustHave, list, expected, label))
      writeItems(writing, item, list)
    },
  }
}

/** Items up to a length in bytes. */
export function measuredArray(item: Variable, length: Length, label: string): Variable {
  return {
    size: undefined,
    minSize: length.min,
    read(reading) {
      const { body } = reading
      const from = take(reading, length.read(reading), label)
      const end = body.keep(js`at`)
      body.add(js`at = ${from}`)
      return readItems({ ...reading, end }, item, js`while (at < ${end})`)
    },
    write(writing, value) {
      const { body } = writing
      const from = body.keep(js`writer.at`)
      const list = body.keep(body.call(listOf, value, label))
      writeItems(writing, item, list)
      const expected = length.write(writing)
      if (expected !== undefined) body.add(body.call(mustMeasure, list, expected, js`writer.at - ${from}`, label))
    },
  }
}

/** @param head of the loop */
function readItems(reading: Reading, item: Variable, head: Code): Code {
  const list = reading.body.keep(js`[]`)
  reading.body.block(head, (body) => {
    const value = item.read({ ...reading, body })
    body.add(js`${list}.push(${value})`)
  })
  return list
}

function writeItems(writing: Writing, item: Variable, list: Code): void {
  const value = writing.body.name()
  writing.body.block(js`for (const ${value} of ${list})`, (body) => item.write({ ...writing, body }, value))
}

function tooMany(label: string, count: number, at: number, end: number): FieldFault {
  return new FieldFault(`${label} has ${count} items, and there are ${end - at} bytes left,`, at)
}

function listOf(value: unknown, label: string): readonly unknown[] {
  if (Array.isArray(value)) return value
  throw notPrintable(label, value, 'a list')
}

function mustHave(list: readonly unknown[], expected: number, label: string): void {
  if (list.length !== expected) throw notPrintable(label, list, `${expected} items`)
}

function mustMeasure(list: readonly unknown[], expected: number, written: number, label: string): void {
  if (written !== expected) throw notPrintable(label, list, `${expected} bytes, not ${written}`)
}
