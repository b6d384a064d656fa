import { describe, expect, test } from 'vitest'
import { Peer } from '../../test/support/peer.ts'
import { start } from '../../test/support/server.ts'
import { definitionSuite } from '../testing/definition-suite.ts'
import { createBatch, createTestContext } from '../testing/part-context.ts'
import { nullSink } from './null.ts'

describe('the definition', () => {
  for (const { name, run } of definitionSuite(nullSink)) test(name, run)
})

test('it promises nothing', () => {
  expect(nullSink.confirms({})).toBe('nothing')
})

test('it finishes at once, and refuses once it is closed', async () => {
  const sink = await nullSink.create({}, createTestContext())
  expect(sink.write(createBatch(['a', undefined]))).toBeUndefined()
  await sink.close()
  await sink.close()
  expect(() => sink.write(createBatch(['a']))).toThrow('the sink is closed')
})

test('in a dataflow: the messages go on behind it', async () => {
  await using running = await start({ listen: { a: { port: 0, dataflow: [{ null: {} }, { reply: 'OK ${msg}' }] } } })
  await using peer = await Peer.connect(running.port())
  expect(await peer.send('1\n2\n').finish().end()).toBe('OK 1\nOK 2\n')
})
