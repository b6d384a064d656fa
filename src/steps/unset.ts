import { defineStep } from '../contracts/define.ts'
import { SluiceError } from '../contracts/errors.ts'
import { z } from '../contracts/schema.ts'
import { hasPath, parsePath, pathOption, withoutPath } from './paths.ts'

/** Takes keys out of messages. */
export const unset = defineStep({
  name: 'unset',
  summary: 'Takes keys out of `msg`; everything else of it stays.',
  details:
    'A path names a key, or a key inside an object: `card.number`. A key that a message does not have is no error, ' +
    'unless `required` says so. A message without any of them goes on as it came, bytes and all. To take a value out of ' +
    '`state`, write `set: { state.NAME: null }`.',
  options: z.strictObject({
    paths: z
      .union([pathOption(), z.array(pathOption()).min(1)])
      .describe('What is taken out: a path inside `msg`, such as `password` or `card.number`, or a list of them.'),
    required: z.boolean().default(false).describe('A message that lacks one of them fails. Default false.'),
  }),
  short: 'paths',
  alsoCalled: ['remove', 'delete', 'omit', 'drop', 'exclude'],
  examples: [
    {
      title: 'One key',
      config: { unset: 'password' },
      given: [{ user: 'kim', password: 'x' }, { user: 'lee' }],
      gives: [{ user: 'kim' }, { user: 'lee' }],
    },
    {
      title: 'Several, also inside of objects',
      config: { unset: ['pin', 'card.number'] },
      given: [{ pin: 1, card: { number: '4711', valid: true } }],
      gives: [{ card: { valid: true } }],
    },
  ],
  create({ paths, required }) {
    const parsed = [paths].flat().map(parsePath)
    return {
      run(message) {
        let value: unknown = message.msg
        for (const path of parsed) {
          if (hasPath(message.msg, path)) {
            // A path inside one that has gone before it has gone too.
            if (hasPath(value, path)) value = withoutPath(value, path)
          } else if (required) {
            throw new SluiceError('step_failed', `unset: the message has no ${path.join('.')}`)
          }
        }
        return value === message.msg ? message : message.with(value)
      },
    }
  },
})
