import { expect, test } from 'vitest'
import { createMessages } from '../testing/part-context.ts'
import { compileExpression } from './compile.ts'
import { expressionFunctions } from './reference.ts'

test.each(expressionFunctions)('$signature: $example gives $result', ({ name, example, result, summary }) => {
  const [first] = createMessages([null])
  const [second] = createMessages([null])
  expect(compileExpression(example, { env: {} })(first!)).toEqual(compileExpression(result, { env: {} })(second!))
  expect(example).toContain(name)
  expect(summary).toMatch(/\.$/)
})

test('every helper of the design is there', () => {
  const design = `trim upper lower left right mid before after between split lines replace padStart padEnd
    num int round fixed floor abs min max clamp bits bitAnd bitOr
    bytes text hex unhex base64 slice u8 u16be u16le u32be u32le i8 i16be i16le i32be i32le f32be f32le f64be f64le
    bcd checksum now parseTime formatTime since
    get default keys merge first last sum avg json parseJson lookup either uuid next sha256
    contains startsWith endsWith size length matches has map filter all exists exists_one`
  const names = expressionFunctions.map(({ name }) => name)
  expect(names).toEqual(expect.arrayContaining(design.split(/\s+/)))
  expect(new Set(names).size).toBe(names.length)
})
