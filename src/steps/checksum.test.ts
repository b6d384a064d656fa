import fc from 'fast-check'
import { expect, test } from 'vitest'
import { createMessages, createTestContext } from '../testing/part-context.ts'
import { runStepNow } from '../testing/run-step.ts'
import { checksumNames } from '../util/checksum.ts'
import { checksum } from './checksum.ts'

async function run(options: unknown, given: readonly unknown[]) {
  const step = await checksum.create(checksum.options.parse(options), createTestContext())
  const { gives, failures, messages } = runStepNow(step, createMessages(given))
  return { gives, failures: failures.map(({ error }) => error.message), messages }
}

const shape = fc.record({
  algorithm: fc.constantFrom(...checksumNames),
  hex: fc.boolean(),
  endian: fc.constantFrom('big' as const, 'little' as const),
  at: fc.constantFrom('end' as const, 'start' as const),
  between: fc.constantFrom(undefined, '*', '\\x03\\xff'),
  skip: fc.nat({ max: 3 }),
})

test('what is appended verifies and comes off again, wherever it stands, and no changed bit of it passes', async () => {
  const content = fc.uint8Array({ minLength: 3, maxLength: 40 }).map((bytes) => Buffer.from(bytes))
  await fc.assert(
    fc.asyncProperty(shape, content, fc.nat(), async (options, given, at) => {
      const [written] = (await run({ ...options, mode: 'append' }, [given])).gives as Buffer[]
      expect(await run(options, [written])).toMatchObject({ gives: [given], failures: [] })
      // One wrong bit in what is covered is found by every one of them.
      const changed = Buffer.from(written!)
      const length = given.length - options.skip
      if (length === 0) return
      const first = (options.at === 'start' ? written!.length - given.length : 0) + options.skip
      changed[first + (at % length)]! ^= 1
      expect((await run(options, [changed])).failures).toEqual([expect.stringContaining('the checksum is wrong')])
    }),
  )
})

test('texts: digits in either case, covered as UTF-8', async () => {
  const [written] = (await run({ algorithm: 'crc16-arc', mode: 'append', hex: true }, ['20 °C'])).gives as string[]
  expect(written).toMatch(/^20 °C[0-9A-F]{4}$/)
  const lower = `20 °C${written!.slice(5).toLowerCase()}`
  expect(await run({ algorithm: 'crc16-arc', hex: true }, [written, lower])).toMatchObject({
    gives: ['20 °C', '20 °C'],
  })
})

test('keep leaves the message as it came', async () => {
  const { messages, failures } = await run({ algorithm: 'xor', keep: true }, [Buffer.from([1, 2, 3])])
  expect(failures).toEqual([])
  expect(messages[0]!.msg).toEqual(Buffer.from([1, 2, 3]))
})

test('says what is wrong, for each message alone', async () => {
  const options = { algorithm: 'xor', hex: true, between: '*', skip: 1 }
  const { gives, failures } = await run(options, ['$A*41', '$A*42', '$A 41', '*4', 7, '$A*4é'])
  expect(gives).toEqual(['$A'])
  expect(failures).toEqual([
    'checksum: the checksum is wrong: "42" stands there, and "41" is right',
    'checksum: "*" is missing before the checksum: "$A 41"',
    'checksum: the message is too short for xor: "*4"',
    'checksum: the message is neither bytes nor a text',
    'checksum: "*" is missing before the checksum: "$A*4\\xc3\\xa9"',
  ])
  expect((await run({ algorithm: 'xor' }, ['text'])).failures).toEqual([
    'checksum: this checksum cannot stand in a text',
  ])
  expect((await run({ algorithm: 'xor', at: 'start', between: '*' }, [Buffer.from([1, 2, 1])])).failures).toEqual([
    'checksum: "*" is missing behind the checksum: "\\x01\\x02\\x01"',
  ])
  expect((await run({ algorithm: 'xor', mode: 'append', skip: 2 }, [Buffer.from([1])])).failures).toEqual([
    'checksum: the message is shorter than skip: 2',
  ])
})

test('an unknown name is answered with the one that was meant', () => {
  const meant = (name: string) => checksum.options.safeParse({ algorithm: name }).error?.issues[0]
  expect(meant('crc16-modbuss')).toMatchObject({
    message: 'there is no checksum crc16-modbuss',
    params: { hint: 'did you mean crc16-modbus?' },
  })
  expect(meant('constructor')).toMatchObject({ params: { hint: expect.stringMatching(/^there are crc8, /) } })
})
