import fc from 'fast-check'
import { expect, test } from 'vitest'
import { Message } from '../contracts/message.ts'
import { hl7 as hl7Format } from '../formats/hl7.ts'
import { createTestContext, testSource } from '../testing/part-context.ts'
import { runStepNow } from '../testing/run-step.ts'
import { ack } from './ack.ts'

const ADT = 'MSH|^~\\&|EHR|WARD|LAB|MAIN|20260101||ADT^A01^ADT_A01|4711|P|2.5||||||8859/1\rPID|1\r'

interface Failed {
  readonly step: string
  readonly message?: string
}

/** What is answered to a frame, which steps have changed since. */
async function answerTo(frame: string, options: Parameters<typeof ack.options.parse>[0], failed?: Failed) {
  const source = testSource()
  const raw = Buffer.from(frame, 'latin1')
  const read = new Message('changed', source, 'message', 0, 3, raw, 0, raw.length, undefined)
  const error = failed && { message: 'disk full', code: 'sink_failed', retryable: false, ...failed }
  const message = error === undefined ? read : read.withError(error)
  const run = runStepNow(await ack.create(ack.options.parse(options), createTestContext()), [message])
  return { run, replies: source.replies }
}

async function hl7AnswerTo(frame: string, failed?: Failed, more: object = {}): Promise<string[]> {
  const { replies } = await answerTo(frame, { protocol: 'hl7', ...more }, failed)
  expect(replies).toMatchObject([{ sequence: 3, kind: 'text' }])
  return (replies[0]!.content as Buffer).toString('latin1').split('\r')
}

test('hl7: the answer goes back to the sender, with the event, the version and the charset of the message', async () => {
  expect(await hl7AnswerTo(ADT)).toEqual([
    'MSH|^~\\&|LAB|MAIN|EHR|WARD|20260101000000+0000||ACK^A01^ACK|40008000000000000001|P|2.5||||||8859/1',
    'MSA|AA|4711',
    '',
  ])
})

test('hl7: without an event, a structure or a charset none is made up', async () => {
  const [old] = await hl7AnswerTo('MSH|^~\\&|A|B|C|D|||ADT^A08|1|T|2.3\rEVN|')
  expect(old).toMatch(/\|\|ACK\^A08\|\d+\|T\|2\.3$/)
  const [bare, msa] = await hl7AnswerTo('MSH|^~\\&')
  expect(bare).toMatch(/^MSH\|\^~\\&\|\|\|\|\|20260101000000\+0000\|\|ACK\|\d+\|\|$/)
  expect(msa).toBe('MSA|AA|')
})

test('hl7: other separators, line ends and bytes of the sender come back as they are', async () => {
  const lines = await hl7AnswerTo('MSH#:*!%#L\xe4b#B#C#D###ORU:R01#9#P#2.4\nPID#1', { step: 'db', message: 'a#b:c' })
  expect(lines[0]).toContain('#C#D#L\xe4b#B#')
  expect(lines[0]).toContain('#ACK:R01#')
  expect(lines[1]).toBe('MSA#AE#9#a b c')
})

test('hl7: AE for what a step failed, AR for what could not be read, with the reason in ASCII', async () => {
  expect(await hl7AnswerTo(ADT, { step: 'db', message: 'Größe | 1^2' })).toContain('MSA|AE|4711|Gr??e   1 2')
  expect(await hl7AnswerTo(ADT, { step: '' })).toContain('MSA|AR|4711|disk full')
  const [msh, msa] = await hl7AnswerTo('hello', { step: '', message: 'x'.repeat(200) })
  expect(msh).toMatch(/^MSH\|\^~\\&\|\|\|\|\|\d+\+0000\|\|ACK\|\d+\|P\|2\.5$/)
  expect(msa).toBe(`MSA|AR||${'x'.repeat(80)}`)
})

test('hl7: a code and a text of the user win', async () => {
  expect(await hl7AnswerTo(ADT, undefined, { code: 'CA' })).toContain('MSA|CA|4711')
  const context = createTestContext()
  const source = testSource()
  const raw = Buffer.from(ADT)
  const error = { message: 'secret things', code: 'sink_failed', step: 'db', retryable: false }
  const message = new Message(null, source, 'message', 0, 1, raw, 0, raw.length, undefined, { error })
  const text = Object.assign(() => null, { source: '', isMessage: false })
  runStepNow(await ack.create({ protocol: 'hl7', text }, context), [message])
  expect(String(source.replies[0]!.content)).toMatch(/\rMSA\|AE\|4711\r$/)
})

test('hl7: a message that is none fails, and says what to do', async () => {
  const { run, replies } = await answerTo('hello', { protocol: 'hl7' })
  expect(replies).toEqual([])
  expect(run.failures).toMatchObject([{ error: { message: expect.stringContaining('no HL7 message') } }])
})

test('hl7: whatever fails, the answer can be read as HL7', async () => {
  const format = hl7Format.create({ encoding: 'latin1' })
  await fc.assert(
    fc.asyncProperty(fc.string({ unit: 'binary' }), fc.string(), async (tail, reason) => {
      const frame = `MSH|^~\\&|${tail}`
      const lines = await hl7AnswerTo(frame, { step: 'db', message: reason })
      const bytes = Buffer.from(lines.join('\r'), 'latin1')
      expect(format.parse(bytes, 0, bytes.length).get('MSA-1')).toBe('AE')
    }),
  )
})

test.each([
  ['mllp', 'text'],
  ['stx-etx', 'raw'],
] as const)('%s: ACK and NAK, as %s', async (protocol, kind) => {
  expect((await answerTo('a', { protocol })).replies).toEqual([{ sequence: 3, kind, content: Buffer.from([6]) }])
  const failed = await answerTo('a', { protocol }, { step: 'db' })
  expect(failed.replies).toEqual([{ sequence: 3, kind, content: Buffer.from([0x15]) }])
})

test('the options are one protocol or bytes, and code and text belong to hl7', () => {
  const problem = (options: unknown) => ack.options.safeParse(options).error?.issues[0]?.message
  const bytes = { ok: 'OK', error: 'NO' }
  expect(problem({ bytes })).toBeUndefined()
  expect(problem({})).toBe('protocol is missing, such as ack: hl7, or bytes')
  expect(problem({ protocol: 'mllp', bytes })).toBe('only one of protocol and bytes')
  expect(problem({ protocol: 'mllp', code: 'CA' })).toBe('only hl7 has a code')
  expect(problem({ bytes, text: 'no' })).toBe('only hl7 has a text')
  expect(ack.inWords!(ack.options.parse({ bytes: { ok: '\\x06', error: '\\x15' } }))).toBe(
    '"\\x06" (what failed: "\\x15")',
  )
})
