import { expect, test } from 'vitest'
import { hl7 } from '../../formats/hl7.ts'
import { createMessages } from '../../testing/part-context.ts'
import { compileExpression } from '../compile.ts'

const bytes = Buffer.from('MSH|^~\\&|LAB\rPID|1||4711^^^MRN\rOBX|1|NM|||7\rOBX|2|NM|||9')
const message = hl7.create(hl7.options.parse({})).parse(bytes, 0, bytes.length)

function evaluate(source: string, msg: unknown): unknown {
  return compileExpression(source, { env: {} })(createMessages([msg])[0]!)
}

test.each<[string, unknown]>([
  ['msg.get("PID-3.1")', '4711'],
  ['get(msg, "PID-3.4")', 'MRN'],
  ['msg.get("PID-8")', null],
  ['msg.get("PID-8", "U")', 'U'],
  ['msg.get("PID").get("3.1")', '4711'],
  ['num(msg.get("OBX[2]-5")) + 1', 10],
  ['msg.segments.filter(s, s.name == "OBX").map(s, s.get("5"))', ['7', '9']],
  ['msg.segments[1].fields[3]', '4711^^^MRN'],
])('%s reads a message of HL7', (source, expected) => {
  expect(evaluate(source, message)).toEqual(expected)
})

test('a path that is none fails the message, with the cure', () => {
  expect(() => evaluate('msg.get("PID.3.1")', message)).toThrow(
    expect.objectContaining({ code: 'expression_failed', hint: 'Write PID-3.1.' }),
  )
})

test('what a client sends is never called', () => {
  expect(evaluate('msg.get("get")', { get: 7 })).toBe(7)
  expect(evaluate('msg.get("a")', { get: () => 'called', a: 5 })).toBe(5)
  expect(evaluate('msg.get("a")', new Map([['a', 1]]))).toBeNull()
})
