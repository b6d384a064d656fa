import { describe, expect, expectTypeOf, it } from 'vitest'
import { type Connection, connect, createPool, format, type Link, type Pool } from '../../src/index.ts'

interface Question {
  readonly id: number
  readonly op: string
}

interface Answer {
  readonly id: number
  readonly value: number
}

const at = { host: '127.0.0.1', port: 1 } as const

/** Functions that are never called: nothing is opened. */
describe('the types of a client', () => {
  it('are those of its format, both ways, and text without one', () => {
    const one = () => connect({ ...at, format: format.json<Answer>() })
    expectTypeOf(one).returns.resolves.toEqualTypeOf<Connection<Answer, Answer>>()
    const two = () => connect({ ...at, format: { in: format.json<Answer>(), out: format.json<Question>() } })
    expectTypeOf(two).returns.resolves.toEqualTypeOf<Connection<Answer, Question>>()
    const plain = () => connect(at)
    expectTypeOf(plain).returns.resolves.toEqualTypeOf<Connection<string, string>>()
    const pool = () => createPool({ ...at, format: { in: format.json<Answer>(), out: format.text() } })
    expectTypeOf(pool).returns.toEqualTypeOf<Pool<Answer, string>>()
    expect(pool).toBeTypeOf('function')
  })

  it('reach request, the loop, id, match, onConnect and the events', () => {
    const use = async () => {
      const connection = await connect({
        ...at,
        format: { in: format.json<Answer>(), out: format.json<Question>() },
        id: { in: ({ id }) => id, out: ({ id }) => id },
        onConnect: async (link) => {
          expectTypeOf(link).toEqualTypeOf<Link<Answer, Question>>()
        },
      })
      const answer = await connection.request({ id: 1, op: 'read' }, { match: (message) => message.value > 1 })
      expectTypeOf(answer).toEqualTypeOf<Answer>()
      expectTypeOf(await connection.receive()).toEqualTypeOf<Answer | undefined>()
      for await (const message of connection) expectTypeOf(message).toEqualTypeOf<Answer>()
      connection.events.on('message.dropped', ({ message }) => {
        expectTypeOf(message).toEqualTypeOf<Answer | undefined>()
      })
      // @ts-expect-error an answer is no question
      connection.request({ id: 1, value: 7 })
      // @ts-expect-error there is no such event
      connection.events.on('connection.losst', () => undefined)
    }
    expect(use).toBeTypeOf('function')
  })

  it('forbid what is no option', () => {
    const use = () => [
      // @ts-expect-error it is called socket
      connect({ path: '/run/x.sock' }),
      // @ts-expect-error an id is no object
      connect({ ...at, format: format.json<Answer>(), id: (message) => ({ id: message }) }),
      // @ts-expect-error a pool does not reconnect: it replaces
      createPool({ ...at, reconnect: true }),
    ]
    expect(use).toBeTypeOf('function')
  })
})
