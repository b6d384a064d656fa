import { Body, js } from '../codegen/code.ts'
import { FieldFault, type Row, type Writer } from './struct-bytes.ts'
import { type Reading, Values } from './struct-coding.ts'
import type { Level } from './struct-level.ts'

/** Reads `bytes[start, end)`, of which `view` is a view with the same indexes. @throws FieldFault */
export type ReadFrame = (view: DataView, bytes: Buffer, start: number, end: number) => Row

/** Writes one value. @throws SluiceError `format_not_printable` */
export type WriteFrame = (writer: Writer, value: unknown) => void

/**
 * Makes the function that reads frames of this layout. It is a function of its own, and not a tree of closures: these share
 * their lines with all other layouts of the process, so that V8 can tell neither keys nor types there.
 */
export function createReader(level: Level): ReadFrame {
  return Body.compile<ReadFrame>(js`view, bytes, start, end`, (body) => {
    body.add(js`let at = start`)
    const reading: Reading = { body, view: js`view`, values: new Values(), end: js`end` }
    const row = level.read(reading)
    body.add(js`if (at < end) throw ${body.call(leftOver, js`at`, js`end`)}`)
    body.add(js`return ${row}`)
  })
}

/** Makes the function that writes values of this layout. */
export function createWriter(level: Level): WriteFrame {
  return Body.compile<WriteFrame>(js`writer, value`, (body) => {
    level.write({ body, view: js`writer.view`, values: new Values() }, js`value`)
  })
}

function leftOver(at: number, end: number): FieldFault {
  return new FieldFault(`there are ${end - at} bytes more than the fields have,`, at)
}
