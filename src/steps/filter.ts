import { defineStep } from '../contracts/define.ts'
import { condition } from '../contracts/schema.ts'

/** Lets messages pass for which a condition is true. */
export const filter = defineStep({
  name: 'filter',
  summary: 'Lets a message pass when a condition is true, and ends it here when not.',
  details:
    'What is dropped ends without an answer and without an error. To do something with it, put a dataflow beside the ' +
    'step as `else:`; it ends there.',
  options: condition().describe('The condition: an expression that is true for the messages that go on.'),
  examples: [
    {
      title: 'Keep the hot ones',
      config: { filter: 'msg.temp > 30' },
      given: [{ temp: 35 }, { temp: 20 }],
      gives: [{ temp: 35 }],
    },
    {
      title: 'Say so to the others',
      config: { filter: 'msg.temp > 30', else: [{ reply: 'SKIP ${msg.device}' }] },
      given: [
        { device: 'a', temp: 20 },
        { device: 'b', temp: 31 },
      ],
      gives: [{ device: 'b', temp: 31 }],
      replies: ['SKIP a'],
    },
  ],
  drops: true,
  create: (passes) => ({ run: (message) => (passes(message) ? message : undefined) }),
})
