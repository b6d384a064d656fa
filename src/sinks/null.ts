import { defineSink } from '../contracts/define.ts'
import { SluiceError } from '../contracts/errors.ts'
import { z } from '../contracts/schema.ts'

/** Takes messages and forgets them. */
export const nullSink = defineSink({
  name: 'null',
  summary: 'Takes each message and forgets it.',
  details:
    'For trying things out, and for measuring what a dataflow costs without its destination. An answer behind it says that ' +
    'the message was forgotten; nothing is kept. To end some messages on purpose use `filter`, which counts them.',
  options: z.strictObject({}),
  examples: [{ title: 'Answer, and keep nothing', config: { null: {} } }],
  alsoCalled: ['discard', 'devnull', '/dev/null', 'blackhole', 'noop'],
  confirms: () => 'nothing',
  finished: 'the message is forgotten',
  create() {
    let isOpen = true
    return {
      write() {
        if (!isOpen) throw new SluiceError('sink_failed', 'the sink is closed')
      },
      close() {
        isOpen = false
      },
    }
  },
})
