import { defineStep } from '../contracts/define.ts'
import type { Message } from '../contracts/message.ts'
import { type Expression, expr, withoutProto, z } from '../contracts/schema.ts'

/** Gives messages another value. */
export const map = defineStep({
  name: 'map',
  summary: 'Gives a message a new value: an object built key by key, or the value of one expression.',
  details:
    'An object is built anew from the keys that are written here; nothing else of the old value stays. To keep it all ' +
    'and add a key, write one expression: `map: \'merge(msg, {"seen": received})\'`.',
  options: withoutProto(
    z.union([
      expr(),
      z.record(z.string(), expr()).refine((entries) => Object.keys(entries).length > 0, 'name at least one key'),
    ]),
  ).describe('Keys with an expression each, or one expression for the whole value.'),
  examples: [
    {
      title: 'Build an object',
      config: { map: { device: 'msg.device', fahrenheit: 'msg.temp * 9 / 5 + 32' } },
      given: [{ device: 'a', temp: 20, unused: true }],
      gives: [{ device: 'a', fahrenheit: 68 }],
    },
    { title: 'Take one field', config: { map: 'msg.temp' }, given: [{ temp: 20 }], gives: [20] },
  ],
  create(value) {
    return typeof value === 'function' ? mapWhole(value) : mapKeys(value)
  },
})

function mapWhole(value: Expression) {
  return { run: (message: Message) => message.with(value(message) ?? null) }
}

function mapKeys(entries: Readonly<Record<string, Expression>>) {
  const keys = Object.keys(entries)
  const values = Object.values(entries)
  return {
    run(message: Message) {
      const built: Record<string, unknown> = {}
      for (let i = 0; i < keys.length; i++) built[keys[i]!] = values[i]!(message) ?? null
      return message.with(built)
    },
  }
}
