import { afterEach, beforeEach, expect, test } from 'vitest'
import { type SlowServer, startSlowServer } from '../../test/support/plain-server.ts'
import { createExpression } from '../testing/expressions.ts'
import { createMessages, createTestContext } from '../testing/part-context.ts'
import { createTcp } from '../transports/tcp.ts'
import { TcpAsker, tcpTarget } from './request-tcp.ts'

let service: SlowServer
let asker: TcpAsker

beforeEach(async () => {
  service = await startSlowServer()
  const content = createExpression(({ msg }) => msg, 'msg')
  const question = { kind: 'text', content, match: undefined, timeout: 60_000 } as const
  asker = new TcpAsker({ ...tcpTarget.parse(service.at) }, question, createTestContext({ tcp: createTcp() }))
})
afterEach(async () => {
  await asker.close()
  await service[Symbol.asyncDispose]()
})

const [a, b, c] = createMessages(['a', 'b', 'c']) as [never, never, never]

test('who has given up while waiting for a turn is not asked, and the next is', async () => {
  const first = asker.ask(a)
  const over = new AbortController()
  const given = asker.ask(b, over.signal)
  const last = asker.ask(c)
  await service.until(({ lines }) => lines.length === 1)
  over.abort()
  await expect(given).rejects.toMatchObject({
    code: 'request_failed',
    message: expect.stringMatching(/^127\.0\.0\.1:\d+ was busy with other questions for 1m$/),
    retryable: true,
  })
  await service.answer('a', '1')
  await service.answer('c', '3')
  expect([await first, await last]).toEqual(['1', '3'])
  expect(service.lines).toEqual(['a', 'c'])
})

test('a question that cannot be written costs no turn', async () => {
  const value = createExpression(() => undefined)
  const context = createTestContext({ tcp: createTcp() })
  const wrong = new TcpAsker(
    tcpTarget.parse(service.at),
    { kind: 'value', content: value, match: undefined, timeout: 1000 },
    context,
  )
  await expect(wrong.ask(a)).rejects.toMatchObject({ code: 'format_not_printable' })
  await expect(wrong.ask(a)).rejects.toMatchObject({ code: 'format_not_printable' })
  await wrong.close()
})
