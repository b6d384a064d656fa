import { describe, expect, expectTypeOf, it } from 'vitest'
import { createFlow, defineStep, type Flow, format, listen, type Message, part, sink, z } from '../../src/index.ts'

interface Reading {
  readonly device: string
  readonly temp: number
}

type Event = { readonly kind: 'scan'; readonly code: string } | { readonly kind: 'weight'; readonly kg: number }

describe('the type of msg', () => {
  it('goes from step to step', () => {
    const flow = createFlow<Reading>()
    expectTypeOf(flow.filter((msg) => msg.temp > 30)).toEqualTypeOf<Flow<Reading>>()
    expectTypeOf(flow.map((msg) => msg.temp)).toEqualTypeOf<Flow<number>>()
    expectTypeOf(flow.to(sink.stdout())).toEqualTypeOf<Flow<Reading>>()
    expectTypeOf(flow.reply((msg, { client }) => `${msg.device} ${client.id}`)).toEqualTypeOf<Flow<Reading>>()
    expectTypeOf(flow.set({ 'state.device': (msg) => msg.device })).toEqualTypeOf<Flow<Reading>>()
    expectTypeOf(flow.deadLetter()).toEqualTypeOf<Flow<never>>()
  })

  it('is narrowed by a filter that is a type guard', () => {
    const flow = createFlow<Event>().filter((msg): msg is Extract<Event, { kind: 'scan' }> => msg.kind === 'scan')
    expectTypeOf(flow).toEqualTypeOf<Flow<Extract<Event, { kind: 'scan' }>>>()
  })

  it('is what a step of the user gives, without its promise and without what ends the message', () => {
    const flow = createFlow<Reading>()
    expectTypeOf(flow.use((msg) => msg.device)).toEqualTypeOf<Flow<string>>()
    expectTypeOf(flow.use(async (msg) => msg.temp)).toEqualTypeOf<Flow<number>>()
    expectTypeOf(flow.use((msg) => (msg.temp > 0 ? msg : undefined))).toEqualTypeOf<Flow<Reading>>()
  })

  it('passes through a part of the user, or becomes what he says', () => {
    const mine = defineStep({
      name: 'mine',
      summary: 'Does something.',
      options: z.strictObject({ size: z.number() }),
      examples: [],
      create: () => ({ run: (message) => message }),
    })
    const flow = createFlow<Reading>()
    expectTypeOf(flow.use(part(mine)({ size: 1 }))).toEqualTypeOf<Flow<Reading>>()
    expectTypeOf(flow.use<string>(part(mine)({ size: 1 }))).toEqualTypeOf<Flow<string>>()
    expectTypeOf(part(mine)).toBeCallableWith({ size: 1 })
    // @ts-expect-error the option is missing
    part(mine)()
    // @ts-expect-error there is no such option
    part(mine)({ size: 1, colour: 'red' })
    expect(flow.use(part(mine)({ size: 1 }), { id: 'm' }).steps).toEqual([{ mine: { size: 1 }, id: 'm' }])
  })

  it('joins what comes out of the cases of a route', () => {
    const flow = createFlow<Reading>().route([{ if: (msg) => msg.temp > 0, dataflow: (hot) => hot.map(() => 'hot') }])
    expectTypeOf(flow).toEqualTypeOf<Flow<Reading | string>>()
  })

  it('begins with the value of the format, and is null where there is none', () => {
    listen({
      port: 0,
      format: format.json<Reading>(),
      dataflow: (flow) => {
        expectTypeOf(flow).toEqualTypeOf<Flow<Reading>>()
        return flow.use((msg, message) => {
          expectTypeOf(message).toEqualTypeOf<Message<Reading>>()
          return msg
        })
      },
      onConnect: (flow) => {
        expectTypeOf(flow).toEqualTypeOf<Flow<null>>()
        return flow
      },
      onError: (flow) => {
        expectTypeOf(flow).toEqualTypeOf<Flow<Reading | null>>()
        return flow
      },
    })
    listen({
      port: 0,
      dataflow: (flow) => {
        expectTypeOf(flow).toEqualTypeOf<Flow<string>>()
        return flow
      },
    })
  })

  it('forbids what the value does not have', () => {
    const flow = createFlow<Reading>()
    // @ts-expect-error a reading has no weight
    flow.map((msg) => msg.weight)
    // @ts-expect-error there is no option of this name
    listen({ port: 0, framming: 'line' })
  })
})
