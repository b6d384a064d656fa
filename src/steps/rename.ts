import { defineStep } from '../contracts/define.ts'
import { SluiceError } from '../contracts/errors.ts'
import { withoutProto, z } from '../contracts/schema.ts'
import { hasPath, type Path, parsePath, pathOption, readPath, withoutPath, withPath } from './paths.ts'

const target = z.strictObject({
  to: pathOption().describe('The new path.'),
  required: z.boolean().default(false).describe('A message that lacks the key fails. Default false.'),
})

/** Gives keys of messages other names. */
export const rename = defineStep({
  name: 'rename',
  summary: 'Gives keys of `msg` other names, or moves them into objects and out of them; everything else stays.',
  details:
    'All keys are taken away before the first comes back under its new name, so two can change places. A key that a ' +
    'message does not have is no error, unless it says `required`. Where the new name is taken, the message fails, so ' +
    'that no value is lost; `unset` it before, if it is not wanted.',
  options: withoutProto(z.record(pathOption(), z.union([pathOption(), target])))
    .superRefine((entries, context) => {
      const keys = Object.keys(entries)
      if (keys.length === 0) context.addIssue({ code: 'custom', message: 'name a key, such as { temp: temperature }' })
      const moves = movesOf(entries)
      for (const [i, { from, to }] of moves.entries()) {
        const other = moves.findIndex((one, at) => at !== i && (overlap(one.from, from) || overlap(one.to, to)))
        if (other === -1 || other > i) continue
        const message = `${keys[i]} and ${keys[other]} are in each other's way`
        const params = { hint: 'use two steps' }
        context.addIssue({ code: 'custom', message, path: [keys[i]!], params })
      }
    })
    .describe('Paths inside `msg`, each with its new path: `{ temp: temperature, pos.lat: lat }`.'),
  examples: [
    {
      title: 'Another name',
      config: { rename: { temp: 'temperature' } },
      given: [{ temp: 20, id: 7 }, { id: 8 }],
      gives: [{ id: 7, temperature: 20 }, { id: 8 }],
    },
    {
      title: 'Out of an object and into one',
      config: { rename: { 'pos.lat': 'latitude', id: { to: 'device.id', required: true } } },
      given: [{ id: 7, pos: { lat: 52.5, alt: 34 } }],
      gives: [{ pos: { alt: 34 }, latitude: 52.5, device: { id: 7 } }],
    },
  ],
  create(entries) {
    const moves = movesOf(entries)
    return {
      run(message) {
        const { msg } = message
        const present = moves.filter(({ from, required }) => {
          const isThere = hasPath(msg, from)
          if (!isThere && required) throw failed(`the message has no ${from.join('.')}`)
          return isThere
        })
        if (present.length === 0) return message
        let value: unknown = msg
        for (const { from } of present) value = withoutPath(value, from)
        for (const { from, to } of present) {
          const place = to.join('.')
          if (hasPath(value, to)) {
            throw failed(`the message has ${place} already`, `Take it out before: unset: ${place}`)
          }
          const next = withPath(value, to, readPath(msg, from))
          if (next === undefined) throw failed(`${place} is inside something that is no object`)
          value = next
        }
        return message.with(value)
      },
    }
  },
})

interface Move {
  readonly from: Path
  readonly to: Path
  readonly required: boolean
}

function movesOf(entries: Readonly<Record<string, string | { readonly to: string; readonly required: boolean }>>) {
  return Object.entries(entries).map(([from, target]): Move => {
    const { to, required } = typeof target === 'string' ? { to: target, required: false } : target
    return { from: parsePath(from), to: parsePath(to), required }
  })
}

/** True when one of them is the other, or inside it. */
function overlap(a: Path, b: Path): boolean {
  return a.every((key, i) => i >= b.length || key === b[i])
}

function failed(text: string, hint?: string): SluiceError {
  return new SluiceError('step_failed', `rename: ${text}`, hint === undefined ? {} : { hint })
}
