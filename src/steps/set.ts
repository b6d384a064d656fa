import { contentText } from '../contracts/codec.ts'
import { defineStep } from '../contracts/define.ts'
import type { Message } from '../contracts/message.ts'
import { type Expression, expr, withoutProto, z } from '../contracts/schema.ts'
import { keepValue, ownText } from '../util/kept-value.ts'

/** Writes the state of a connection and the tags of its client. */
export const set = defineStep({
  name: 'set',
  summary: 'Remembers values for the connection (`state.NAME`) and gives its client tags (`client.tags.NAME`).',
  details:
    'All values are worked out before the first is written, so they see the state as it was before this step, and a ' +
    'message that fails here has changed nothing. `null` removes a name. Tags are texts: other values are written as ' +
    'text. The message itself goes on unchanged.',
  options: withoutProto(z.record(z.string(), z.union([expr(), z.null()])))
    .superRefine((entries, context) => {
      const keys = Object.keys(entries)
      if (keys.length === 0) context.addIssue({ code: 'custom', message: 'name something to set, such as state.count' })
      for (const key of keys) {
        if (parseKey(key) !== undefined) continue
        const message = 'only state.NAME and client.tags.NAME can be set'
        const hint = /^\w+$/.test(key)
          ? `write state.${key}; to change the message, use map`
          : 'to change the message, use map'
        context.addIssue({ code: 'custom', message, path: [key], params: { hint, at: 'key' } })
      }
    })
    .describe('`state.NAME` or `client.tags.NAME`, with an expression each.'),
  examples: [
    {
      title: 'Count the messages of a connection',
      config: { set: { 'state.count': 'default(state.count, 0) + 1' } },
      given: ['a', 'b'],
      gives: ['a', 'b'],
    },
    {
      title: 'Put the client into a room, to be addressed by send',
      config: { set: { 'client.tags.room': 'msg.room' } },
      given: [{ room: 'kitchen' }],
      gives: [{ room: 'kitchen' }],
    },
  ],
  oneByOne: true,
  create(entries) {
    const writes = Object.entries(entries).map(([key, value]) => createWrite(key, value))
    const values = new Array<unknown>(writes.length)
    return {
      run(message) {
        for (let i = 0; i < writes.length; i++) values[i] = writes[i]!.read(message)
        for (let i = 0; i < writes.length; i++) writes[i]!.write(message, values[i])
        values.fill(undefined)
        return message
      },
    }
  },
})

interface Write {
  /** Gives the value to be written; null removes. */
  read(message: Message): unknown
  write(message: Message, value: unknown): void
}

const KEY = /^(state|client\.tags)\.([A-Za-z_]\w*)$/

function parseKey(key: string): { place: string; name: string } | undefined {
  const [, place, name] = KEY.exec(key) ?? []
  return place === undefined || name === undefined || name === '__proto__' ? undefined : { place, name }
}

function createWrite(key: string, value: Expression | null): Write {
  const { place, name } = parseKey(key)!
  if (place === 'state') {
    return {
      read: (message) => ownedValue(message, value?.(message)),
      write: ({ state }, to) => writeState(state, name, to),
    }
  }
  return { read: (message) => tagText(value?.(message)), write: (message, to) => writeTag(message, name, to) }
}

function writeState(state: Record<string, unknown>, name: string, value: unknown): void {
  if (value === null) delete state[name]
  else state[name] = value
}

/** Tags are replaced and never changed, so whoever holds them has a picture that stands still. */
function writeTag({ client }: Message, name: string, value: unknown): void {
  const { [name]: _, ...others } = client.tags
  client.tags = Object.freeze(value === null ? others : { ...others, [name]: value as string })
}

/** A piece of the message would keep the whole read in memory for as long as the connection lives. */
function ownedValue({ raw }: Message, value: unknown): unknown {
  return keepValue(value ?? null, raw.length).value
}

function tagText(value: unknown): string | null {
  return value === null || value === undefined ? null : ownText(contentText(value).toString())
}
